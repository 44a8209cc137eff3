"""Folders of wafer maps, one file for each wafer, as a fab's file share holds them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from benchmarks.cache import cache_folder
from pipelines.wafer.generate.dies import make_die_map
from pipelines.wafer.generate.files import Names
from pipelines.wafer.generate.sort_maps import sinf

DRAWN = 500  # maps that differ; the others are further names of the same files, so the disk holds them once
PER_FOLDER = 1_000
PATTERNS = ("Center", "Donut", "Edge-Loc", "Edge-Ring", "Loc", "None", "Random", "Scratch")
DIES = (400, 1_600)  # of a wafer, from and to


def folder_of(count: int, root: Path | None = None) -> Path:
    """A folder of `count` SINF files in folders of PER_FOLDER, made unless it is there; the same every time.

    Eight of nine patterns of WM-811K in turn. What is read twice comes from the system's cache of files.
    """
    top = cache_folder("scale", root)
    target = top / f"sinf-{count}"
    if target.is_dir():
        return target
    drawn = _drawn(top / "drawn", min(count, DRAWN))
    partial = top / f"sinf-{count}.{os.getpid()}.tmp"
    for number in range(count):
        place = partial / f"lot{number // PER_FOLDER:04d}" / f"w{number:06d}.sinf"
        if number % PER_FOLDER == 0:
            place.parent.mkdir(parents=True)
        place.hardlink_to(drawn[number % len(drawn)])
    partial.rename(target)
    return target


def _drawn(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:04d}.sinf" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            rng = np.random.default_rng([number, 3])
            dies = make_die_map(rng, PATTERNS[number % len(PATTERNS)], int(rng.integers(*DIES)))
            path.write_bytes(sinf(Names(f"L{number // 25:03d}", f"W{number % 25:02d}", number % 25), dies))
    return paths
