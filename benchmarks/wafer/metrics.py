"""Accuracy, macro-F1 and recall from labels alone, and how sure macro-F1 is on this many maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.str_]


def accuracy(truth: Labels, guess: Labels) -> float:
    """Share of maps whose label is right."""
    return float(np.mean(truth == guess))


def confusion(truth: Labels, guess: Labels, labels: Labels) -> NDArray[np.int64]:
    """Counts (true, predicted) over `labels`, which must be sorted and hold every label that occurs."""
    n = len(labels)
    flat = np.searchsorted(labels, truth) * n + np.searchsorted(labels, guess)
    return np.bincount(flat, minlength=n * n).reshape(n, n)


def macro_f1_of(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean F1 over the classes that occur in truth, of confusion counts (..., true, predicted)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, named = counts.sum(-1), counts.sum(-2)
    f1 = 2 * hits / np.maximum(support + named, 1)
    present = support > 0
    mean: NDArray[np.float64] = (f1 * present).sum(-1) / np.maximum(present.sum(-1), 1)
    return mean


def macro_f1(truth: Labels, guess: Labels) -> float:
    """Mean over the classes that occur in `truth` of 2 TP / (2 TP + FP + FN)."""
    return float(macro_f1_of(confusion(truth, guess, np.union1d(truth, guess))))


def recalls(truth: Labels, guess: Labels) -> dict[str, float]:
    """Of each class that occurs, the share of its maps that were given its label."""
    return {str(label): float(np.mean(guess[truth == label] == label)) for label in np.unique(truth)}


def bootstrap_macro_f1(
    truth: Labels, guesses: dict[str, Labels], *, repeats: int = 2000, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Macro-F1 (repeats,) of each guess on the same resamples of the maps, with replacement.

    Resampling shows the spread from the choice of the maps; that of the training's seed is not in it.
    """
    labels = np.unique(np.concatenate([truth, *guesses.values()]))
    n = len(labels)
    # A resample only changes how often each kind of (truth, guesses...) occurs: draw those counts at once.
    codes = np.stack([np.searchsorted(labels, column) for column in (truth, *guesses.values())], axis=1)
    kinds, counts = np.unique(codes, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(truth), counts / len(truth), size=repeats)
    out = {}
    for place, name in enumerate(guesses, start=1):
        tables = np.zeros((n * n, repeats), dtype=np.int64)
        np.add.at(tables, kinds[:, 0] * n + kinds[:, place], drawn.T)
        out[name] = macro_f1_of(tables.T.reshape(repeats, n, n))
    return out


def interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """The central interval that holds `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
