"""Calibration: probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BINS = 15


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood on held-out maps (Guo et al., 2017).

    logits: (N, K). truth: (N,), class indices.
    """
    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scaled[rows, truth].mean())

    result = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(result.x))


def expected_calibration_error(probability: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Mean gap between top probability (N,) and accuracy over 15 bins of equal width (Guo et al., 2017)."""
    if not len(probability):
        return 0.0
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(place, weights=probability - correct, minlength=BINS)
    return float(np.abs(gap).sum() / len(probability))
