"""Scenes with bright discs for heads, small enough to learn in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.crowd.train.config import TrainConfig

SMALL: dict[str, Any] = {
    "network": {
        "widths": (4, 8, 8, 16, 16),
        "blocks": (0, 1, 0, 0),
        "decoder": (8, 8, 8),
        "decoder_blocks": (0, 0, 0),
    },
    "threads": 1,
    "crop": 64,
    "batch_size": 2,
    "epochs": 2,
    "steps_per_epoch": 3,
    "validate_every": 1,
    "precision": "float32",
}


def small(**changes: Any) -> TrainConfig:
    """Settings of a training that takes a second; `network` changes single fields of the network."""
    network = SMALL["network"] | changes.pop("network", {})
    return TrainConfig.model_validate({**SMALL, **changes, "network": network})


def scene(number: int, height: int = 96, width: int = 128, seed: int = 0) -> tuple[NDArray[np.uint8], Any]:
    """uint8 (height, width, 3) with discs of 8 px on a dark ground, and their centres float64 (N, 2)."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(30, 70, (height, width, 3)).astype(np.uint8)
    points = rng.uniform([4, 4], [width - 4, height - 4], (number, 2))
    rows, columns = np.mgrid[:height, :width]
    for x, y in points:
        pixels[(columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < 16] = (230, 200, 180)
    return pixels, points


def write_scenes(folder: Path, counts: list[int]) -> Path:
    """A data set of scenes with so many heads: images and a CSV of points, as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["image,x,y"]
    for number, count in enumerate(counts):
        pixels, points = scene(count, seed=number)
        name = f"scene{number}.png"
        Image.fromarray(pixels).save(folder / name)
        lines += [f"{name},{x:.3f},{y:.3f}" for x, y in points] or [f"{name},,"]
    (folder / "heads.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
