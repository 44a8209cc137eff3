"""Small die maps of three patterns in the WM-811K layout, and outputs as a network would give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.wafer.wm811k import DieMaps, save
from benchmarks.wafer_openset.outputs import Outputs

LABELS = ("Center", "Donut", "None", "Scratch")


def die_maps(count: int, seed: int) -> DieMaps:
    """Maps (12, 10) in turn of a spot, a ring, nothing, and a line."""
    rng = np.random.default_rng(seed)
    away = np.hypot(*(np.mgrid[:12, :10] - np.array([5.5, 4.5])[:, None, None]))
    shapes = [away < 2, (away > 2.5) & (away < 4), away < 0, np.eye(12, 10, dtype=bool)]
    grids = []
    for number in range(count):
        chance = np.where(shapes[number % 4], 0.95, 0.05)
        grid = np.where(rng.random((12, 10)) < chance, 2, 1)
        grids.append(np.where(away > 6.5, 0, grid).astype(np.uint8))
    return DieMaps(grids, np.array(LABELS)[np.arange(count) % 4])


def write_files(folder: Path, train: int = 240, test: int = 80) -> Path:
    folder.mkdir(parents=True)
    save(folder / "train.npz", die_maps(train, 0))
    save(folder / "val.npz", die_maps(test, 1))
    return folder


def outputs(seed: int = 0, classes: int = 3, background: bool = False) -> tuple[Outputs, NDArray[np.int64]]:
    """Latents of three clusters and novel ones between them, two layers, shapes that tell nothing, and the
    classes of `train`.
    """
    rng = np.random.default_rng(seed)
    weight = np.eye(classes + background, 8, dtype=np.float32)
    layers = {}
    for name, count in (("train", 150), ("held", 60), ("known", 90), ("novel", 45), ("outliers", 40)):
        centres = 9 * np.eye(classes, 8)[np.arange(count) % classes]
        if name in ("novel", "outliers"):
            centres = np.full((count, 8), 2.5)
        latent = (centres + rng.normal(0, 0.7, (count, 8))).astype(np.float32)
        layers[name] = {"early": np.concatenate([latent[:, :4], -latent[:, :2]], axis=1), "latent": latent}
        if name != "train":
            layers[name]["early"] = layers[name]["early"] + rng.normal(0, 0.1, (count, 6)).astype(np.float32)
    odin = {name: rng.normal(0, 1, len(layers[name]["latent"])) for name in ("held", "known", "novel")}
    shape = {name: rng.normal(0, 1, (len(of["latent"]), 5)).astype(np.float32) for name, of in layers.items()}
    found = Outputs(weight, np.zeros(len(weight), dtype=np.float32), layers, shape, odin)
    return found, np.arange(150) % classes
