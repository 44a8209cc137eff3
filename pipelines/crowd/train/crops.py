"""Crops drawn from images, made larger or smaller and changed at random, with the heads in them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.training.spread.world import ALONE, World
from pipelines.crowd.data import Pixels, Points
from pipelines.crowd.model.network import CrowdNetwork, as_input
from pipelines.crowd.model.sparse_counter import COARSE, SparseCounter
from pipelines.crowd.train.config import TrainConfig
from pipelines.crowd.train.images import TrainingImage


class Crops:
    """Draws batches; the same generator gives the same ones."""

    def __init__(self, images: Sequence[TrainingImage], network: CrowdNetwork, config: TrainConfig) -> None:
        self.images, self.network, self.config = images, network, config
        self.chance = chances([image.data for image in images])

    def batch(self, rng: np.random.Generator, world: World = ALONE) -> tuple[Tensor, Tensor]:
        """Images float32 (B, 3, crop, crop) as a network takes them, and its targets float32 (B, h, w); of
        several processes, those that this one takes."""
        drawn = [self._one(rng) for _ in range(self.config.batch_size)]
        own = [drawn[item] for item in world.share([self._cost(points) for _, points in drawn])]
        side = self.config.crop
        targets = [self.network.target(points, side, side) for _, points in own]
        return as_input(np.stack([pixels for pixels, _ in own])), torch.from_numpy(np.stack(targets))

    def _cost(self, points: Points) -> float:
        """What a crop costs a network: a stem the same for each, a sparse decoder by where people are."""
        if not isinstance(self.network, SparseCounter) or self.network.dense:
            return 1.0
        blocks = len(np.unique(points // COARSE, axis=0))
        return 1.0 + blocks / (self.config.crop / COARSE) ** 2

    def _one(self, rng: np.random.Generator) -> tuple[Pixels, Points]:
        config = self.config
        image = self.images[int(rng.choice(len(self.images), p=self.chance))]
        factor = float(np.exp(rng.uniform(-1, 1) * np.log(config.scale)))
        pixels, points = cut(image, config.crop, factor, rng)
        if rng.random() < config.flip:
            pixels, points = pixels[:, ::-1], np.stack([config.crop - points[:, 0], points[:, 1]], axis=1)
        return recoloured(pixels, config, rng), points


def chances(data: Sequence[str]) -> NDArray[np.float64]:
    """How likely each image is to be drawn, by the data set that it is of: float64 (N,).

    A data set is drawn with the square root of its size, so that a small one counts beside a large one
    without being learnt by heart.
    """
    _, which, sizes = np.unique(np.asarray(data), return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(sizes)[which]
    return np.asarray(weight / weight.sum())


def cut(image: TrainingImage, side: int, factor: float, rng: np.random.Generator) -> tuple[Pixels, Points]:
    """A random square of `side` x `side` px of the image made `factor` times as large, and the heads in it.

    Where the image is too small, its last pixels fill the crop up. Pixels are uint8 (side, side, 3); points
    float64 (N, 2), x and y in px of the crop.
    """
    wanted = max(1, round(side / factor))
    place = [int(rng.integers(max(0, length - wanted) + 1)) for length in (image.width, image.height)]
    left, top = place
    part = np.asarray(image.pixels[top : top + wanted, left : left + wanted])
    below, right = wanted - part.shape[0], wanted - part.shape[1]
    if below or right:
        part = np.asarray(cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE))
    how = cv2.INTER_AREA if wanted > side else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(part, (side, side), interpolation=how), np.uint8)
    points = (image.points - [left, top]) * (side / wanted)
    return pixels, points[(points >= 0).all(axis=1) & (points < side).all(axis=1)]


def recoloured(pixels: Pixels, config: TrainConfig, rng: np.random.Generator) -> Pixels:
    """Another brightness (gamma) and contrast, grayscale or noise at random; uint8 (H, W, 3) as before."""
    table = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-1, 1) * config.gamma)
    contrast = 1 + 0.5 * config.gamma * rng.uniform(-1, 1)
    table = ((table - 0.5) * contrast + 0.5) * 255
    changed = np.clip(np.rint(table), 0, 255).astype(np.uint8)[pixels]
    if rng.random() < config.gray:
        changed = np.repeat(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    if config.noise and rng.random() < 0.3:
        level = rng.uniform(0, config.noise)
        noisy = changed + rng.normal(0, level, changed.shape[:2])[:, :, None]
        changed = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(changed)
