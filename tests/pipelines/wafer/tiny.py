"""Tiny wafers, data sets and training settings, for tests that train a model or load one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, NO_DIE, PASS, DieGrid, WaferMap
from pipelines.wafer.train_config import TrainConfig

DIES: Mapping[str, Any] = {
    "kind": "dies",
    "cells": 8,
    "architecture": {
        "native_channels": 4,
        "native_blocks": 1,
        "channels": [4, 6],
        "blocks": [1, 1],
        "latent": 6,
    },
}
COORDINATES: Mapping[str, Any] = {
    "kind": "coordinates",
    "resolution": 512,
    "architecture": {"stem_channels": [4], "channels": [4, 6], "blocks": [1, 1], "latent": 6},
}
SMALL: Mapping[str, Any] = {
    "epochs": 3,
    "batch_size": 8,
    "maps_per_epoch": 48,
    "learning_rate": 0.02,
    "held_out": 0.25,
    "components": (1, 2),
    "novelty_dimension": 4,
    "device": "cpu",
    "seed": 3,
}


def settings(kind: Mapping[str, Any], **changed: Any) -> TrainConfig:
    """The settings of a tiny training, DIES or COORDINATES."""
    return TrainConfig(**{**SMALL, **kind, **changed})


def die_map(status: NDArray[np.uint8], position: int = 0) -> WaferMap:
    """A sort map of these dies."""
    grid = DieGrid.centred(status, 300.0)
    failing = np.flatnonzero(status == FAIL)
    return WaferMap(
        Path("a.npz"), position, grid.positions_mm(failing), failing, 300.0, die_level=True, dies=grid
    )


def defect_map(
    defects: NDArray[np.float64] | Sequence[Sequence[float]],
    diameter_mm: float = 300.0,
    dies: DieGrid | None = None,
    unplaced: int = 0,
) -> WaferMap:
    """An inspection map of these defects (N, 2) in mm."""
    places = np.asarray(defects, dtype=np.float64).reshape(-1, 2)
    rows = np.arange(len(places), dtype=np.int64)
    return WaferMap(
        Path("a.klarf"), 0, places, rows, diameter_mm, die_level=False, dies=dies, unplaced=unplaced
    )


def random_grid(rng: np.random.Generator, rows: int = 9, cols: int = 11) -> NDArray[np.uint8]:
    """A grid (rows, cols) of dies, some missing and some failing; never without a die."""
    grid = rng.choice(np.array([NO_DIE, PASS, FAIL], np.uint8), (rows, cols), p=[0.2, 0.5, 0.3])
    grid[rows // 2, cols // 2] = PASS
    return grid


def toy_grid(rng: np.random.Generator, label: str) -> NDArray[np.uint8]:
    """Dies on a round wafer with a pattern that is easy to tell: `None`, `Center` or `Edge`."""
    side = int(rng.integers(11, 15))
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    radius = np.hypot(x, y)
    wafer = radius <= 1
    grid = np.where(wafer, PASS, NO_DIE).astype(np.uint8)
    part = {"None": radius < 0, "Center": radius < 0.45, "Edge": radius > 0.75}[label]
    chance = rng.random(grid.shape)
    grid[wafer & (part & (chance < 0.9) | (chance < 0.03))] = FAIL
    return grid


def toy_defects(rng: np.random.Generator, label: str) -> NDArray[np.float64]:
    """Defects (N, 2) in mm on a 300 mm wafer: `normal` all over it, `center` or `ring`."""
    count = int(rng.integers(40, 60))
    angle = rng.uniform(0, 2 * np.pi, count)
    low, high = {"normal": (0.0, 148.0), "center": (0.0, 25.0), "ring": (120.0, 148.0)}[label]
    radius = np.sqrt(rng.uniform(low**2, high**2, count))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def write_dies(path: Path, sizes: Mapping[str, int], seed: int = 0) -> Path:
    """A data set in the WM-811K layout with so many maps of each class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(list(sizes), list(sizes.values())))
    grids = [toy_grid(rng, str(label)) for label in labels]
    lengths = [grid.size for grid in grids]
    np.savez(
        path,
        flat=np.concatenate([grid.ravel() for grid in grids]),
        offsets=np.cumsum([0, *lengths[:-1]]),
        shapes=np.array([grid.shape for grid in grids]),
        label=labels,
    )
    return path


def write_defects(path: Path, sizes: Mapping[str, int], seed: int = 0, labelled: bool = True) -> Path:
    """A data set of coordinates with so many maps of each class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(list(sizes), list(sizes.values())))
    maps = [toy_defects(rng, str(label)).astype(np.float32) for label in labels]
    counts = np.array([len(one) for one in maps])
    np.savez(
        path,
        defects=np.concatenate(maps),
        offsets=np.cumsum(counts) - counts,
        counts=counts,
        diameter_mm=np.full(len(maps), 300, np.float32),
        **({"label": labels} if labelled else {}),
    )
    return path


DIE_SIZES = {"None": 24, "Center": 16, "Edge": 16}
DEFECT_SIZES = {"normal": 24, "center": 16, "ring": 16}
