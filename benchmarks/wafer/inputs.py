"""The files that speed is measured on, made once and kept in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cache import fingerprint
from benchmarks.wafer import wm811k
from pipelines.wafer.data import WaferMap, iter_maps, klarf
from pipelines.wafer.generate.dataset import write_dataset
from pipelines.wafer.generate.patterns import PATTERNS

SEED = 7


@dataclass(frozen=True, slots=True)
class Input:
    """name: in rows and summary. path: what `classify` is given. kind: of map, `dies` or `coordinates`."""

    name: str
    path: Path
    kind: str

    def maps(self) -> list[WaferMap]:
        """Every map, read."""
        return [item for item in iter_maps([self.path]) if isinstance(item, WaferMap)]


def some_of(source: Path, target: Path, maps: int) -> Path:
    """The file `target` of `maps` maps drawn at random from one in the WM-811K layout, or of all it has."""
    if not target.exists():
        stored = wm811k.load(source)
        chosen = np.random.default_rng(SEED).permutation(len(stored))[:maps]
        labels = stored.labels[chosen] if len(stored.labels) else stored.labels
        temporary = target.with_name(f"new-{target.name}")
        wm811k.save(temporary, wm811k.DieMaps([stored.grids[number] for number in chosen], labels))
        temporary.replace(target)
    return target


def speed_inputs(data: Path, cache: Path, *, die_maps: int, files: int, full_maps: int) -> list[Input]:
    """Die maps in one npz, a folder of KLARF files of one wafer each, full-resolution maps in one npz.

    data: the folder with `val.npz`. The synthetic maps are the project's own generator's.
    """
    dies = some_of(data / "val.npz", cache / f"dies-{die_maps}-{fingerprint(data / 'val.npz')}.npz", die_maps)
    full = cache / f"full-{full_maps}.npz"
    if not full.exists():
        write_dataset(full, maps_per_class=-(-full_maps // len(PATTERNS)), seed=SEED)
    return [
        Input("dies_npz", dies, "dies"),
        Input("klarf_files", klarf_folder(cache / f"klarf-{files}", files), "coordinates"),
        Input("full_npz", full, "coordinates"),
    ]


def klarf_folder(folder: Path, files: int) -> Path:
    """A folder of that many KLARF 1.2 files of one full-resolution map each."""
    if len(list(folder.glob("*.klarf"))) == files:
        return folder
    folder.mkdir(exist_ok=True)
    dataset = folder.with_suffix(".npz")
    write_dataset(dataset, maps_per_class=-(-files // len(PATTERNS)), seed=SEED + 1)
    for number, item in zip(range(files), iter_maps([dataset]), strict=False):
        target = folder / f"wafer-{number:04}.klarf"
        if isinstance(item, WaferMap) and not target.exists():
            klarf.write([item], target)
    dataset.unlink()
    return folder


def scattered_map(defects: int, diameter_mm: float = 300.0, seed: int = SEED) -> WaferMap:
    """A map of exactly so many defects: four in five anywhere on the wafer, the rest in a cluster."""
    rng = np.random.default_rng((seed, defects))
    radius = diameter_mm / 2 * np.sqrt(rng.random(defects))
    angle = rng.uniform(0, 2 * np.pi, defects)
    points: NDArray[np.float64] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    cluster = defects // 5
    points[:cluster] = rng.normal((0.15 * diameter_mm, 0.1 * diameter_mm), 0.03 * diameter_mm, (cluster, 2))
    return WaferMap(
        source=Path("scattered"),
        position=0,
        defects=points,
        source_rows=np.arange(defects, dtype=np.int64),
        diameter_mm=diameter_mm,
        die_level=False,
    )
