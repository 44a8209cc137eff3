"""The die-level maps of WM-811K as plain arrays, for the peer: no record per map."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cache import ROOT

DEFAULT_FOLDER = ROOT.parent / "shared" / "data" / "wafer" / "wm811k"
FILES = ("train.npz", "val.npz")


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """`--data`, the folder of FILES."""
    parser.add_argument(
        "--data",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="DIR",
        help=f"folder of {' and '.join(FILES)} in the WM-811K layout (default {DEFAULT_FOLDER})",
    )


def check_data(parser: argparse.ArgumentParser, folder: Path) -> None:
    """Ends the command, with the usage, where one of FILES is missing."""
    for name in FILES:
        if not (folder / name).is_file():
            parser.error(f"there is no {folder / name}; name its folder with --data")


@dataclass(frozen=True, slots=True)
class DieMaps:
    """grids: uint8 (rows, cols), 0 no die, 1 pass, 2 fail. labels: text (N,), empty if the file has none."""

    grids: list[NDArray[np.uint8]]
    labels: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.grids)


def load(path: Path) -> DieMaps:
    """Read a file in the WM-811K layout (see `pipelines.wafer.data.wm811k`)."""
    with np.load(path, allow_pickle=False) as stored:
        flat, offsets, shapes = stored["flat"], stored["offsets"], stored["shapes"]
        labels = stored["label"] if "label" in stored.files else np.empty(0, dtype=np.str_)
    grids = [
        flat[start : start + rows * cols].reshape(rows, cols)
        for start, (rows, cols) in zip(offsets.tolist(), shapes.tolist(), strict=False)
    ]
    return DieMaps(grids, labels)


def save(path: Path, maps: DieMaps) -> None:
    """Write a file in the WM-811K layout."""
    sizes = np.array([grid.size for grid in maps.grids], dtype=np.int64)
    arrays: dict[str, NDArray[np.generic]] = {
        "flat": np.concatenate([np.zeros(0, dtype=np.uint8), *(grid.ravel() for grid in maps.grids)]),
        "offsets": np.cumsum(sizes) - sizes,
        "shapes": np.array([grid.shape for grid in maps.grids], dtype=np.int32).reshape(-1, 2),
    }
    if len(maps.labels):
        arrays["label"] = maps.labels
    np.savez_compressed(path, allow_pickle=False, **arrays)
