"""How often the class of size is right, from the 3 x 3 matrix of true and predicted classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .agreement import Floats
from .bins import CLASSES

COUNT: Final = len(CLASSES)
_DISTANCE: Final = np.subtract.outer(np.arange(COUNT), np.arange(COUNT)) ** 2 / (COUNT - 1) ** 2


def cells(true: ArrayLike, predicted: ArrayLike) -> Floats:
    """Which cell of the matrix each item falls into, (N, 9) of 0 and 1, rows of the matrix first.

    true, predicted: classes 0 to 2, (N,) each, as `bins.size_class` gives them.
    """
    rows, columns = np.asarray(true, np.int64), np.asarray(predicted, np.int64)
    if rows.ndim != 1 or rows.shape != columns.shape:
        raise ValueError(f"classes must be two rows of one length, not {rows.shape} and {columns.shape}")
    if len(rows) and (min(rows.min(), columns.min()) < 0 or max(rows.max(), columns.max()) >= COUNT):
        raise ValueError(f"classes go from 0 to {COUNT - 1}")
    found: Floats = np.eye(COUNT * COUNT)[rows * COUNT + columns]
    return found


def confusion(true: ArrayLike, predicted: ArrayLike) -> NDArray[np.int64]:
    """The matrix, int64 (3, 3): true classes are rows, predicted ones columns."""
    found: NDArray[np.int64] = cells(true, predicted).sum(axis=0).astype(np.int64).reshape(COUNT, COUNT)
    return found


def accuracy(matrix: ArrayLike) -> float | None:
    """The share on the diagonal of a matrix (3, 3); None if it is empty."""
    return _single(matrix, accuracy_of)


def macro_f1(matrix: ArrayLike) -> float | None:
    """The mean of the F1 of the classes that occur in truth or prediction; None if the matrix is empty."""
    return _single(matrix, macro_f1_of)


def kappa(matrix: ArrayLike) -> float | None:
    """Cohen's kappa (1968) with quadratic weights; None where it has no value, as with one class alone."""
    return _single(matrix, kappa_of)


def accuracy_of(sums: Floats) -> Floats:
    """From matrices (draws, 9) to (draws,)."""
    found: Floats = np.trace(_square(sums), axis1=1, axis2=2) / sums.sum(axis=1)
    return found


def macro_f1_of(sums: Floats) -> Floats:
    """From matrices (draws, 9) to (draws,)."""
    matrix = _square(sums)
    hits = np.diagonal(matrix, axis1=1, axis2=2)
    both = matrix.sum(axis=1) + matrix.sum(axis=2)
    scores = np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)
    found: Floats = scores.sum(axis=1) / (both > 0).sum(axis=1)
    return found


def kappa_of(sums: Floats) -> Floats:
    """From matrices (draws, 9) to (draws,)."""
    matrix = _square(sums)
    rows, columns = matrix.sum(axis=2), matrix.sum(axis=1)
    total = sums.sum(axis=1)
    expected = np.einsum("ni,nj,ij->n", rows, columns, _DISTANCE) / total
    found: Floats = 1 - np.einsum("nij,ij->n", matrix, _DISTANCE) / expected
    return found


def _square(sums: Floats) -> Floats:
    return sums.reshape(-1, COUNT, COUNT)


def _single(matrix: ArrayLike, of: Callable[[Floats], Floats]) -> float | None:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(of(np.asarray(matrix, np.float64).reshape(1, -1))[0])
    return value if np.isfinite(value) else None
