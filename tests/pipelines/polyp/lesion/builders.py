"""Pale discs on red walls, in the layout of PolypGen: small enough to find in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.polyp.data import Polyp, read_dataset
from pipelines.polyp.lesion.config import LesionConfig

HEIGHT, WIDTH = 96, 120
SMALL: dict[str, Any] = {
    "network": {"side": 64, "widths": (8, 16, 24), "blocks": (1, 1, 1), "heads": 2},
    "threads": 1,
    "held_out": 0.3,
    "tuned_on": 0.2,
    "batch_size": 4,
    "epochs": 2,
    "steps_per_epoch": 3,
    "precision": "float32",
}
PRETRAINING: dict[str, Any] = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4}


def small(**changes: Any) -> LesionConfig:
    """Settings of a training that takes a second; `network` changes single fields of the network."""
    network = SMALL["network"] | changes.pop("network", {})
    return LesionConfig.model_validate({**SMALL, **changes, "network": network})


def wall(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A red wall with folds of its own: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    folds = cv2.resize(
        rng.normal(0, 1, (5, 6)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    colour = np.array([150.0, 70.0, 50.0]) + rng.normal(0, 4, 3)
    pixels = colour + 18 * folds[:, :, None] + rng.normal(0, 3, (height, width, 3))
    return np.clip(pixels, 40, 255).astype(np.uint8)


def disc(x: float, y: float, radius: float, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.bool_]:
    """bool (height, width): px whose middles lie in the circle."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def painted(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], seed: int = 0) -> NDArray[np.uint8]:
    """The wall with a pale lesion where the mask is."""
    found = pixels.copy()
    texture = np.random.default_rng(seed).normal(0, 6, pixels.shape)
    found[mask] = np.clip(np.array([215.0, 170.0, 120.0]) + texture, 0, 255).astype(np.uint8)[mask]
    return found


def write_frame(top: Path, name: str, pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    for folder, ending, values in (("images", "", pixels), ("masks", "_mask", (mask * 255).astype(np.uint8))):
        (top / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(top / folder / f"{name}{ending}.png")


def write_discs(top: Path, count: int, *, empty: int = 3, first: int = 0) -> tuple[Polyp, ...]:
    """`count` frames with one disc each, and `empty` frames more without any; all walls differ."""
    for number in range(count + empty):
        rng = np.random.default_rng(1_000 + first + number)
        radius = float(rng.uniform(9, 20))
        x, y = rng.uniform(radius, WIDTH - radius), rng.uniform(radius, HEIGHT - radius)
        mask = disc(float(x), float(y), radius) if number < count else np.zeros((HEIGHT, WIDTH), bool)
        write_frame(top, f"frame{first + number:03d}", painted(wall(first + number), mask), mask)
    return read_dataset(top).polyps
