"""Handwritten digits (Alpaydin and Kaynak, 1998; the test part, as scikit-learn has it) among clutter."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

SIDE, DIGIT = 48, 28  # px
PIECES = 6  # of other digits, in each image
CLASSES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """images: float32 (N, 3, SIDE, SIDE), about 0 with a deviation of about 1. labels: int64 (N,)."""

    images: Tensor
    labels: Tensor


def cluttered_digits(training: int, seed: int) -> tuple[Digits, Digits]:
    """Digits to train on, so many, and all others to test on.

    Each lies somewhere in a coloured, noisy image, in a colour of its own, among pieces of other digits of
    the same part: what tells is the shape of the largest thing, not its place or colour.
    """
    found = load_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(found.images))
    parts = order[:training], order[training:]
    train, test = (_drawn(found.images[one] / 16, found.target[one], rng) for one in parts)
    return train, test


def _drawn(digits: NDArray[np.float64], labels: NDArray[np.int_], rng: np.random.Generator) -> Digits:
    images = np.stack([_scene(digits, number, rng) for number in range(len(digits))])
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return Digits((values - 0.5) * 3, torch.from_numpy(labels.astype(np.int64)))


def _scene(digits: NDArray[np.float64], number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    ground = rng.uniform(0.1, 0.5, 3) + rng.normal(0, 0.08, (SIDE, SIDE, 3))
    for _ in range(PIECES):
        other = cv2.resize(
            digits[int(rng.integers(len(digits)))], (DIGIT, DIGIT), interpolation=cv2.INTER_LINEAR
        )
        row, column = rng.integers(0, DIGIT - 10, 2)
        _blend(ground, other[row : row + 10, column : column + 10], rng)
    _blend(ground, cv2.resize(digits[number], (DIGIT, DIGIT), interpolation=cv2.INTER_LINEAR), rng)
    return np.clip(ground, 0, 1)


def _blend(image: NDArray[np.float64], shape: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Paint a shape, as strong as its values 0 to 1, somewhere into the image."""
    height, width = shape.shape
    row, column = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
    part = image[row : row + height, column : column + width]
    part += shape[..., None] * (rng.uniform(0.5, 1.0, 3) - part)
