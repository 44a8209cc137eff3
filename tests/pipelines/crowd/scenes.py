"""Small made-up crowds for networks to learn."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.crowd.model.network import CrowdNetwork, as_input

Points = NDArray[np.float64]


def scene(side: int = 64, heads: int = 12, seed: int = 0) -> tuple[NDArray[np.uint8], Points]:
    """Pixels uint8 (side, side, 3), discs on the left half of an image, and their centres (N, 2)."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([2, 2], [side / 2, side - 2], (heads, 2))
    row, column = np.mgrid[:side, :side] + 0.5
    near = ((column[..., None] - points[:, 0]) ** 2 + (row[..., None] - points[:, 1]) ** 2).min(2) < 9
    pixels = rng.integers(0, 40, (side, side, 3), dtype=np.uint8)
    pixels[near] = 220
    return pixels, points


def batch(network: CrowdNetwork, side: int = 64) -> tuple[Tensor, Tensor]:
    """Two scenes of 12 and 5 heads as images (2, 3, side, side) and the network's target (2, h, w)."""
    scenes = [scene(side, 12, 0), scene(side, 5, 1)]
    images = as_input(np.stack([pixels for pixels, _ in scenes]))
    target = np.stack([network.target(points, side, side) for _, points in scenes])
    return images, torch.from_numpy(target)
