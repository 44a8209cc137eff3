"""Many maps of defect coordinates in one .npz file.

Arrays: `defects` float32 (M, 2), x right and y up in mm from the wafer's centre with the notch down, all
maps one after the other; `offsets` int64 (n,) with the first row of each map and `counts` int64 (n,) with
its number of rows; `diameter_mm` float32 (n,); optionally `label`, `lot` and `wafer`, text (n,).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from .limits import DEFAULT, Limits
from .npz import Npz
from .record import FailedMap, WaferFileError, WaferMap

NAMES: Final = frozenset({"defects", "offsets", "counts"})


def count(npz: Npz) -> int:
    """Number of maps in the file."""
    return len(npz.integers("counts", (None,)))


def read_maps(npz: Npz, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """The maps of an opened file, in order. `label` is not looked at."""
    counts = npz.integers("counts", (None,))
    n = len(counts)
    offsets = npz.integers("offsets", (n,))
    defects = npz.floats("defects", (None, 2))
    diameters = npz.floats("diameter_mm", (n,))
    lots = npz.texts("lot", n) if "lot" in npz.names else [""] * n
    wafers = npz.texts("wafer", n) if "wafer" in npz.names else [""] * n
    rows = zip(offsets.tolist(), counts.tolist(), diameters.tolist(), lots, wafers, strict=True)
    for position, (start, length, diameter, lot, wafer) in enumerate(rows):
        try:
            if start < 0 or length < 0 or start + length > len(defects):
                raise WaferFileError(f"the map needs the rows {start} to {start + length} of {len(defects)}")
            yield WaferMap(
                source=source,
                position=position,
                defects=defects[start : start + length].astype(np.float64),
                source_rows=np.arange(length, dtype=np.int64),
                diameter_mm=float(diameter),
                die_level=False,
                lot=lot,
                wafer=wafer,
            )
        except WaferFileError as error:
            yield FailedMap(source, position, str(error))
