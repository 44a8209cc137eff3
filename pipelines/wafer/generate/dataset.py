"""A labelled set of synthetic full-resolution maps in one file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipelines.common.files import replacing_bytes
from pipelines.wafer.generate.patterns import PATTERNS, make_map

WAFERS_PER_LOT = 25


def write_dataset(
    path: Path,
    *,
    maps_per_class: int,
    seed: int,
    normal_factor: float = 1.0,
    patterns: Iterable[str] = PATTERNS,
) -> None:
    """Write maps of every pattern to an .npz in the coordinates layout; equal arguments give equal bytes.

    Arrays: `defects` float32 (M, 2) in mm from the centre, x right and y up, notch down; `offsets` and
    `counts` int64 (n,), so that map i is `defects[offsets[i]:offsets[i] + counts[i]]`; `label`, `lot` and
    `wafer` str (n,); `diameter_mm` float32 (n,), 200 or 300 by lot. The order of the classes is random.

    normal_factor: how many normal maps there are for each map of another class.
    patterns: names in PATTERNS or NOVEL_PATTERNS.
    Raises ValueError for another name, and where no map would be written.
    """
    sizes = {name: round(maps_per_class * (normal_factor if name == "normal" else 1)) for name in patterns}
    if min(sizes.values(), default=0) < 0 or sum(sizes.values()) < 1:
        raise ValueError(
            f"a data set needs at least one map, not {maps_per_class} for each of {len(sizes)} patterns"
        )
    labels = np.repeat(np.array(list(sizes), dtype=np.str_), list(sizes.values()))
    layout = np.random.default_rng([seed, 0])
    labels = layout.permutation(labels)
    lot, wafer = np.divmod(np.arange(len(labels)), WAFERS_PER_LOT)
    diameters = layout.choice([200.0, 300.0], int(lot.max(initial=0)) + 1, p=[0.3, 0.7])[lot]
    # A generator of its own for each map: map i stays what it is whatever becomes of the others.
    maps = [
        make_map(np.random.default_rng([seed, 1, i]), str(label), float(diameter)).astype(np.float32)
        for i, (label, diameter) in enumerate(zip(labels, diameters, strict=True))
    ]
    counts = np.array([len(one) for one in maps], dtype=np.int64)
    arrays = {
        "defects": np.concatenate([np.empty((0, 2), np.float32), *maps]),
        "offsets": np.cumsum(counts) - counts,
        "counts": counts,
        "label": labels,
        "diameter_mm": diameters.astype(np.float32),
        "lot": np.char.add("SYN", np.char.zfill(lot.astype(np.str_), 4)),
        "wafer": np.char.zfill((wafer + 1).astype(np.str_), 2),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_bytes(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
