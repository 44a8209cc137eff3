"""Errors of counts over images: true and predicted are (images,), in people."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def mae(true: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error, in people."""
    return float(np.abs(_errors(true, predicted)).mean())


def rmse(true: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean squared error, in people; papers on crowds call it MSE."""
    return float(np.sqrt((_errors(true, predicted) ** 2).mean()))


def bias(true: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of predicted less true, in people: above 0 if too many are counted."""
    return float(_errors(true, predicted).mean())


def nae(true: ArrayLike, predicted: ArrayLike) -> float | None:
    """Mean of the absolute error over the true count, over the images that are not empty; None without one.

    As the NWPU-Crowd benchmark defines it (Wang et al., 2020).
    """
    errors, truth = np.abs(_errors(true, predicted)), np.asarray(true, np.float64)
    some = truth > 0
    return float((errors[some] / truth[some]).mean()) if some.any() else None


def _errors(true: ArrayLike, predicted: ArrayLike) -> Floats:
    truth, guess = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    if truth.ndim != 1 or truth.shape != guess.shape or not len(truth):
        raise ValueError(f"counts must be two rows of one length, not {truth.shape} and {guess.shape}")
    if not (np.isfinite(truth).all() and np.isfinite(guess).all()) or truth.min() < 0:
        raise ValueError("counts must be finite, and true ones not below 0")
    return guess - truth
