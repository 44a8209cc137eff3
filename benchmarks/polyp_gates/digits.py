"""Handwritten digits (Alpaydin and Kaynak, 1998; the test part, as scikit-learn has it) among clutter."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

SIDE, DIGIT, PIECE = 48, 28, 10  # px
PIECES = 2  # of other digits, in each image
SHIFT = 1  # px that the digit is off the middle at most
NOISE = 0.05  # deviation
VIEWS = 8  # scenes of each digit to train on
CLASSES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """images: float32 (N, 3, SIDE, SIDE), about 0 with a deviation of about 1. labels: int64 (N,)."""

    images: Tensor
    labels: Tensor


def cluttered_digits(training: int, seed: int) -> tuple[Digits, Digits]:
    """Digits to train on, so many, VIEWS times each, and all others to test on.

    Each lies near the middle of a coloured, noisy image, in a colour of its own, over pieces of other digits
    of the same part: what tells is the shape of the largest thing, not its colour.
    """
    found = load_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(found.images))
    parts = np.tile(order[:training], VIEWS), order[training:]
    train, test = (_drawn(found.images[one] / 16, found.target[one], rng) for one in parts)
    return train, test


def _drawn(digits: NDArray[np.float64], labels: NDArray[np.int_], rng: np.random.Generator) -> Digits:
    images = np.stack([_scene(digits, number, rng) for number in range(len(digits))])
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return Digits((values - 0.5) * 3, torch.from_numpy(labels.astype(np.int64)))


def _scene(digits: NDArray[np.float64], number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    ground = rng.uniform(0.1, 0.5, 3) + rng.normal(0, NOISE, (SIDE, SIDE, 3))
    for _ in range(PIECES):
        other = _enlarged(digits[int(rng.integers(len(digits)))])
        row, column = rng.integers(0, DIGIT - PIECE, 2)
        _blend(
            ground, other[row : row + PIECE, column : column + PIECE], rng.integers(0, SIDE - PIECE, 2), rng
        )
    middle = (SIDE - DIGIT) // 2
    _blend(ground, _enlarged(digits[number]), rng.integers(middle - SHIFT, middle + SHIFT + 1, 2), rng)
    return np.clip(ground, 0, 1)


def _enlarged(digit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.resize(digit, (DIGIT, DIGIT), interpolation=cv2.INTER_LINEAR))


def _blend(
    image: NDArray[np.float64], shape: NDArray[np.float64], at: NDArray[np.int_], rng: np.random.Generator
) -> None:
    """Paint a shape, as strong as its values 0 to 1, into the image, its first corner at a row and column."""
    (row, column), (height, width) = at, shape.shape
    part = image[row : row + height, column : column + width]
    part += shape[..., None] * (rng.uniform(0.5, 1.0, 3) - part)
