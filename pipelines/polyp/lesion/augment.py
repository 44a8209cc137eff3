"""Frames changed at random, as squares to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.media.record import Pixels
from pipelines.polyp.lesion.config import LesionConfig
from pipelines.polyp.lesion.frames import LesionFrame
from pipelines.polyp.train.batches import recoloured

SHIFT = 0.12  # of the square, most
STRETCH = 0.1  # of the logarithm of width over height, most
SATURATION = 0.15  # deviation of its logarithm
MAX_BLUR = 1.6  # px


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """pixels: uint8 (B, side, side, 3). masks: float32 (B, 1, side, side), 1 on the lesion. inside: bool
    (B, side, side), within the optical field."""

    pixels: Tensor
    masks: Tensor
    inside: Tensor


def draw_batch(
    frames: Sequence[LesionFrame], size: int, config: LesionConfig, rng: np.random.Generator
) -> Batch:
    """`size` frames, each drawn once before any is drawn twice; the same generator gives the same ones."""
    numbers: list[int] = []
    while len(numbers) < size:
        numbers += rng.permutation(len(frames))[: size - len(numbers)].tolist()
    squares = [changed(frames[one], config, rng) for one in numbers]
    kept = torch.from_numpy(np.stack(squares))
    return Batch(kept[..., :3], (kept[:, None, :, :, 3] > 127).float(), kept[..., 4] > 127)


def changed(frame: LesionFrame, config: LesionConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A frame moved, turned, flipped, resized and in other colours: uint8 (side, side, 5) as it is kept."""
    height, width = frame.kept.shape[:2]
    matrix = placement(height, width, config, rng)
    side = config.network.side
    moved = cv2.warpAffine(np.asarray(frame.kept), matrix, (side, side), flags=cv2.INTER_LINEAR)
    pixels = recoloured(
        saturated(np.ascontiguousarray(moved[:, :, :3]), config.colour, rng), config.colour, rng
    )
    if rng.random() < config.blur:
        sigma = float(rng.uniform(0.4, MAX_BLUR))
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)
    return np.concatenate([pixels, moved[:, :, 3:]], axis=2)


def placement(height: int, width: int, config: LesionConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where a kept frame comes to lie in the square: an affine map (2, 3) of x and y, as OpenCV has them.

    Without any change it fills the square with its longer side, in the middle.
    """
    side = config.network.side
    size = side / max(height, width) * np.exp(rng.uniform(-config.scale, config.scale))
    stretch = np.exp(rng.uniform(-STRETCH, STRETCH) / 2) if config.scale else 1.0
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < config.turn else 0.0
    flips = np.where(rng.random(2) < config.flip, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    linear = size * np.array([[cos, -sin], [sin, cos]]) @ np.diag(flips * (stretch, 1 / stretch))
    shift = rng.uniform(-SHIFT, SHIFT, 2) * side if config.scale else np.zeros(2)
    # Middles of pixels are whole numbers.
    middle, target = np.array([width - 1, height - 1]) / 2, np.full(2, (side - 1) / 2) + shift
    return np.concatenate([linear, (target - linear @ middle)[:, None]], axis=1)


def saturated(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Colours nearer to gray or further from it, at random."""
    if not strength:
        return pixels
    factor = np.float32(np.exp(rng.normal(0, SATURATION * strength)))
    gray = pixels.mean(axis=2, keepdims=True, dtype=np.float32)
    return np.asarray(np.clip(np.rint(gray + (pixels - gray) * factor), 0, 255), np.uint8)
