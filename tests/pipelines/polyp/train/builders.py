"""Discs of known size at known distances, seen by a known camera: small enough to learn in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.polyp.data import Camera, FrameRef, Listed, Polyp
from pipelines.polyp.train.config import TrainConfig

CAMERA = Camera(160, 128, 120.0, 120.0, 80.0, 64.0, -0.2)
SMALL: dict[str, Any] = {
    "network": {"backbone": "sparse-resnet", "side": 96, "widths": (8, 16, 16), "blocks": (1, 1, 1)},
    "threads": 1,
    "batch_size": 4,
    "epochs": 2,
    "steps_per_epoch": 3,
    "validate_every": 0,
    "precision": "float32",
}


def small(**changes: Any) -> TrainConfig:
    """Settings of a training that takes a second; `network` changes single fields of the network."""
    network = SMALL["network"] | changes.pop("network", {})
    return TrainConfig.model_validate({**SMALL, **changes, "network": network})


def write_polyps(folder: Path, sizes: list[float], frames: int = 3) -> list[Polyp]:
    """Polyps of these sizes in mm, one a patient, in frames of 160 x 128 px at 12 to 20 mm: on a tube whose
    stripes tell the distance."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_one(folder, number, mm, frames) for number, mm in enumerate(sizes)]


def _write_one(folder: Path, number: int, mm: float, frames: int) -> Polyp:
    rng = np.random.default_rng(number)
    refs = []
    for frame in range(frames):
        distance = rng.uniform(12, 20)
        half = 0.5 * mm / distance * CAMERA.fx
        x, y = rng.uniform(70, 90), rng.uniform(54, 74)
        row, column = np.mgrid[: CAMERA.height, : CAMERA.width] + 0.5
        period = 4.0 / distance * CAMERA.fx  # stripes of 2 mm
        ground = 110 + 40 * np.sign(np.sin(2 * np.pi * (column + row) / period))
        pixels = np.stack([ground + 40, ground * 0.7, ground * 0.6], 2) + rng.normal(0, 4, (*ground.shape, 3))
        inside = (row - y) ** 2 + (column - x) ** 2 < half**2
        texture = rng.normal(0, 12, ground.shape)
        pixels[inside] = np.stack([200 + texture, 90 + texture, 100 + texture], 2)[inside]
        path = folder / f"polyp{number}_{frame}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
        mask = path.with_name(f"{path.stem}-mask.png")
        Image.fromarray((inside * 255).astype(np.uint8)).save(mask)
        box = (x - half, y - half, x + half, y + half)
        refs.append(FrameRef(path.name, image=path, box=box, mask=mask, upright=True))
    return Polyp(
        f"polyp{number}",
        Listed(tuple(refs)),
        patient=f"patient{number}",
        video=f"video{number}",
        size_mm=mm,
        camera=CAMERA,
    )
