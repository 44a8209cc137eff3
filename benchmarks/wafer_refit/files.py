"""The files of the loop: what the first model trains on, what is reviewed, and what tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.wafer.wm811k import DieMaps, load, save
from benchmarks.wafer_openset.splits import Split, make_split


@dataclass(frozen=True, slots=True)
class Files:
    """Data sets in the WM-811K layout. base: of the known classes only. reviewed, test: of all classes."""

    split: Split
    base: Path
    reviewed: Path
    test: Path


def write_files(
    data: Path, folder: Path, left_out: tuple[str, ...], *, seed: int, maps: int | None, reviewed: int
) -> Files:
    """Make the files of a loop in `folder`.

    The base and the reviewed maps are of `train.npz`, apart from each other; the test maps are of `val.npz`.
    reviewed: so many maps of each class that is left out, and as many known ones in all; fewer if there are
    no more. maps: see `make_split`; None takes all. Raises ValueError as `make_split` does.
    """
    train, test = load(data / "train.npz"), load(data / "val.npz")
    split = make_split(train.labels, test.labels, left_out, seed=seed, maps=maps)
    rng = np.random.default_rng([seed, 23])
    unknown = [rng.permutation(np.flatnonzero(train.labels == name))[:reviewed] for name in left_out]
    known = rng.permutation(split.held)[: sum(map(len, unknown))]
    files = Files(split, *(folder / f"{name}.npz" for name in ("base", "reviewed", "test")))
    folder.mkdir(parents=True, exist_ok=True)
    save(files.base, _chosen(train, split.train))
    save(files.reviewed, _chosen(train, np.sort(np.concatenate([*unknown, known]))))
    save(files.test, _chosen(test, np.concatenate([split.known, split.novel])))
    return files


def _chosen(maps: DieMaps, rows: NDArray[np.int64]) -> DieMaps:
    return DieMaps([maps.grids[row] for row in rows], maps.labels[rows])
