"""Walls whose brightness tells their distance, and polyps on them, with maps of depth in the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipelines.common.engines import load_engine
from pipelines.polyp.data import Camera, FrameRef, Listed, Polyp
from pipelines.polyp.data.record import DepthFile
from pipelines.polyp.depth.config import DepthConfig
from pipelines.polyp.depth.network import DepthNetwork
from pipelines.polyp.depth.trained import save_trained

CAMERA = Camera(80, 64, 60.0, 60.0, 40.0, 32.0, -0.1)
STEP_MM = 0.01  # of the numbers in the files
SMALL: dict[str, Any] = {
    "network": {"side": 32, "widths": (8, 16), "blocks": (1, 1), "heads": 1},
    "threads": 1,
    "held_out": 0.25,
    "batch_size": 4,
    "epochs": 2,
    "steps_per_epoch": 3,
    "precision": "float32",
}


def small(**changes: Any) -> DepthConfig:
    """Settings of a training that takes a second."""
    return DepthConfig.model_validate(SMALL | changes)


def wall(mm: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Pixels (64, 80, 3) and depths of a wall that is `mm` away in the middle and nearer to the right."""
    depth = mm * np.linspace(1.2, 0.8, CAMERA.width, dtype=np.float32)[None].repeat(CAMERA.height, 0)
    texture = np.random.default_rng(0).normal(1, 0.15, depth.shape)  # or the frame would count as blurred
    light = np.clip(1600 / depth * texture, 1, 255)
    return np.stack([light, 0.6 * light, 0.5 * light], 2).astype(np.uint8), depth


def save_estimator(folder: Path) -> Path:
    """A model folder of an estimator that has learnt nothing: what it says is about 20 mm."""
    plan = small().network
    torch.manual_seed(0)
    network = DepthNetwork(load_engine("auto"), plan)
    save_trained(
        folder,
        plan=plan,
        weights=network.shared_weights(),
        training={},
        metrics={},
        card="made for a test",
        files={},
    )
    return folder


def write_walls(
    folder: Path, distances: Sequence[float], *, deep: bool = True, camera: Camera | None = CAMERA
) -> list[Polyp]:
    """A polyp, one a patient, for each distance in mm, in a frame and a darker one. deep: with maps."""
    folder.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    mask[24:40, 32:48] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    polyps = []
    for number, mm in enumerate(distances):
        pixels, depth = wall(mm)
        Image.fromarray(np.rint(depth / STEP_MM).astype(np.uint16)).save(folder / f"{number}-depth.png")
        ref = FrameRef("", box=(32, 24, 48, 40), mask=folder / "mask.png", upright=True)
        refs = []
        for share in (1.0, 0.9):
            path = folder / f"{number}-{share}.png"
            Image.fromarray((share * pixels).astype(np.uint8)).save(path)
            file = DepthFile(folder / f"{number}-depth.png", STEP_MM) if deep else None
            refs.append(replace(ref, name=path.name, image=path, depth=file))
        listed = Listed(tuple(refs))
        polyps.append(
            Polyp(f"p{number}", listed, patient=f"patient{number}", size_mm=5.0 + number, camera=camera)
        )
    return polyps
