"""Scores of novelty from a classifier's logits and latents, each from its paper; the higher, the more novel.

Logits are float (N, K), latents float (N, L); a score is float64 (N,). What must be fitted is fitted on maps
of known classes alone: `classes` int64 (N,) are places in the logits. Plain NumPy, for any classifier whose
logits are `latent @ weight.T + bias`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

Floats = NDArray[np.float64]
CHUNK = 512  # maps compared with all others at once: bounds the memory


def softmax_score(logits: ArrayLike) -> Floats:
    """Minus the log of the largest probability, 0 or more (Hendrycks and Gimpel, ICLR 2017).

    Of the same order as one minus that probability, which runs out of digits where the network is sure.
    """
    values = np.sort(_matrix(logits, "logits"), axis=1)
    others: Floats = np.exp(values[:, :-1] - values[:, -1:]).sum(axis=1)
    return np.log1p(others)


def energy_score(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """The free energy, -T logsumexp(logits / T) (Liu et al., NeurIPS 2020)."""
    if temperature <= 0:
        raise ValueError(f"the temperature must be above 0, not {temperature}")
    energy: Floats = -temperature * logsumexp(_matrix(logits, "logits") / temperature, axis=1)
    return energy


@dataclass(frozen=True, slots=True, eq=False)
class Mahalanobis:
    """Distance to the nearest class under one covariance for all (Lee et al., NeurIPS 2018), on one layer.

    means (K, L): of the classes' latents. whitening (L, D): latents to unit covariance within a class;
    directions in which the latents do not vary are left out.
    """

    means: Floats
    whitening: Floats

    @classmethod
    def fit(cls, latents: ArrayLike, classes: ArrayLike) -> Mahalanobis:
        """Class means and the shared covariance of latents about them."""
        points, labels = _labelled(latents, classes)
        means = np.stack([points[labels == name].mean(axis=0) for name in np.unique(labels)])
        around = points - means[np.unique(labels, return_inverse=True)[1]]
        variance, axes = np.linalg.eigh(around.T @ around / len(points))
        kept = variance > variance[-1] * 1e-10
        if not kept.any():
            raise ValueError("the latents do not vary within any class")
        return cls(means, axes[:, kept] / np.sqrt(variance[kept]))

    def score(self, latents: ArrayLike) -> Floats:
        """The squared distance to the nearest class mean."""
        points = _matrix(latents, "latents", self.means.shape[1]) @ self.whitening
        nearest: Floats = _squared_distances(points, self.means @ self.whitening).min(axis=1)
        return nearest


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Distance to the k-th nearest known latent, all of length 1 (Sun et al., ICML 2022). known: (N, L)."""

    known: Floats
    k: int

    @classmethod
    def fit(cls, latents: ArrayLike, k: int = 10) -> Neighbours:
        """Keep the known latents. Raises ValueError unless k is between 1 and their number."""
        known = _unit(_matrix(latents, "latents"))
        if not 1 <= k <= len(known):
            raise ValueError(f"k must be between 1 and the {len(known)} known maps, not {k}")
        return cls(known, k)

    def score(self, latents: ArrayLike) -> Floats:
        """The distance to the k-th nearest, 0 to 2."""
        points = _unit(_matrix(latents, "latents", self.known.shape[1]))
        parts = [np.empty(0)]
        for start in range(0, len(points), CHUNK):
            squared = _squared_distances(points[start : start + CHUNK], self.known)
            parts.append(np.sqrt(np.partition(squared, self.k - 1, axis=1)[:, self.k - 1]))
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Vim:
    """Virtual-logit matching (Wang et al., CVPR 2022).

    The part of a latent outside the principal space of the known ones is scaled to the size of the largest
    logits, `alpha`, and set against the energy. origin (L,): where the head's logits are all 0, or nearly.
    residual (L, L - D): an orthonormal basis of what the principal space of D dimensions leaves out.
    """

    weight: Floats
    bias: Floats
    origin: Floats
    residual: Floats
    alpha: float

    @classmethod
    def fit(
        cls, latents: ArrayLike, weight: ArrayLike, bias: ArrayLike, *, dimension: int | None = None
    ) -> Vim:
        """From known latents and the head, weight (K, L) and bias (K,).

        dimension: of the principal space; None takes half of L. Raises ValueError unless it is below L.
        """
        head = _matrix(weight, "weight")
        offset = np.asarray(bias, dtype=np.float64)
        points = _matrix(latents, "latents", head.shape[1])
        if offset.shape != (len(head),):
            raise ValueError(f"bias has the shape {offset.shape}, not {(len(head),)}")
        size = head.shape[1] // 2 if dimension is None else dimension
        if not 0 <= size < head.shape[1]:
            raise ValueError(f"dimension must be 0 or more and below {head.shape[1]}, not {size}")
        origin = -np.linalg.pinv(head) @ offset
        centred = points - origin
        _, axes = np.linalg.eigh(centred.T @ centred)
        residual = axes[:, : head.shape[1] - size]
        outside = np.linalg.norm(centred @ residual, axis=1).mean()
        largest = (points @ head.T + offset).max(axis=1).mean()
        alpha = float(largest / outside) if outside > 0 else 0.0
        return cls(head, offset, origin, residual, alpha)

    def score(self, latents: ArrayLike) -> Floats:
        """alpha times the length outside the principal space, plus the energy."""
        points = _matrix(latents, "latents", self.weight.shape[1])
        outside: Floats = np.linalg.norm((points - self.origin) @ self.residual, axis=1)
        return self.alpha * outside + energy_score(points @ self.weight.T + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class OpenMax:
    """Logits recalibrated by how far they lie from their class's mean (Bendale and Boult, CVPR 2016).

    centres (K, K): the mean logits of each class's rightly classified maps. shift, shape, scale (K,): of the
    Weibull distribution of the largest distances to it, in `distance + shift`. top: how many of the largest
    logits give to the unknown class.
    """

    centres: Floats
    shift: Floats
    shape: Floats
    scale: Floats
    top: int

    @classmethod
    def fit(cls, logits: ArrayLike, classes: ArrayLike, *, tail: int = 20, top: int = 3) -> OpenMax:
        """From the logits of training maps. tail: of how many largest distances a class's Weibull is fitted.

        A class of which no map is classified rightly takes all of its maps. Raises ValueError if a class has
        no map, or tail or top is below 1.
        """
        values, labels = _labelled(logits, classes)
        if tail < 1 or top < 1:
            raise ValueError(f"tail and top must be at least 1, not {tail} and {top}")
        count = values.shape[1]
        right = values.argmax(axis=1) == labels
        centres, fits = [], []
        for number in range(count):
            own = labels == number
            if not own.any():
                raise ValueError(f"no map is of class {number}")
            chosen = values[own & right] if (own & right).any() else values[own]
            centres.append(chosen.mean(axis=0))
            far = np.sort(np.linalg.norm(chosen - centres[-1], axis=1))[-tail:]
            # As in the authors' code the tail is moved to begin at 1, so that two parameters are enough.
            shift = 1.0 - far[0]
            fits.append((shift, *fit_weibull(far + shift)))
        shift, shape, scale = np.array(fits).T
        return cls(np.stack(centres), shift, shape, scale, min(top, count))

    def probabilities(self, logits: ArrayLike) -> Floats:
        """Probabilities (N, K + 1) of the classes and, last, of none of them.

        Each row is moved to begin at 0 first, so that what a class gives to the unknown is never negative.
        """
        values = _matrix(logits, "logits", len(self.centres))
        away = np.sqrt(_squared_distances(values, self.centres))
        raised = np.maximum(away + self.shift, 0) / self.scale
        # A steep tail may overflow: such a map is beyond all others, which is right.
        with np.errstate(over="ignore"):
            beyond = -np.expm1(-(raised**self.shape))
        order = np.argsort(-values, axis=1)
        weight = np.zeros_like(values)
        share = (self.top - np.arange(self.top)) / self.top
        np.put_along_axis(weight, order[:, : self.top], share[None], axis=1)
        given = (values - values.min(axis=1, keepdims=True)) * weight * beyond
        moved = values - values.min(axis=1, keepdims=True) - given
        every = np.concatenate([moved, given.sum(axis=1, keepdims=True)], axis=1)
        found: Floats = np.exp(every - logsumexp(every, axis=1, keepdims=True))
        return found

    def score(self, logits: ArrayLike) -> Floats:
        """Minus the log of the largest probability of a known class, at or above 0.

        One minus it is the chance that the map is of another class or of none, and so grows with both.
        """
        known = self.probabilities(logits)[:, :-1].max(axis=1)
        score: Floats = -np.log(np.maximum(known, np.finfo(np.float64).tiny))
        return score


def fit_weibull(values: ArrayLike) -> tuple[float, float]:
    """Shape and scale of the two-parameter Weibull distribution of the greatest likelihood.

    values (N,): above 0. All alike, or one alone, are given the steepest shape that is allowed.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x) or x.min() <= 0:
        raise ValueError("a Weibull distribution is fitted to numbers above 0")
    steepest, flattest = 1e3, 1e-3
    relative = np.log(x / x.max())

    def slope(shape: float) -> float:
        weights = np.exp(shape * relative)
        return float(weights @ relative / weights.sum() - 1 / shape - relative.mean())

    # It rises with the shape: from minus infinity to the gap between the largest and the mean logarithm.
    if slope(steepest) <= 0:
        shape = steepest
    elif slope(flattest) >= 0:
        shape = flattest
    else:
        shape = float(brentq(slope, flattest, steepest))
    return shape, float(x.max() * np.exp(shape * relative).mean() ** (1 / shape))


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """The mean of several scores, each first made comparable by its place among held-out known maps.

    known: of each score, its values (M,) on held-out maps of known classes, rising. weights: of each score.
    """

    known: tuple[Floats, ...]
    weights: tuple[float, ...]

    @classmethod
    def fit(cls, scores: Sequence[ArrayLike], weights: Sequence[float] | None = None) -> Combined:
        """scores: each (M,), of the same held-out known maps. weights: 0 or more; None takes all alike."""
        known = tuple(np.sort(np.asarray(each, dtype=np.float64)) for each in scores)
        if not known or min(len(each) for each in known) < 2:
            raise ValueError("at least one score on at least two maps is needed")
        chosen = tuple(weights) if weights is not None else (1.0,) * len(known)
        if len(chosen) != len(known) or min(chosen) < 0 or sum(chosen) <= 0:
            raise ValueError(f"{len(known)} weights of 0 or more are needed, and not all 0, not {chosen}")
        return cls(known, chosen)

    def score(self, scores: Sequence[ArrayLike]) -> Floats:
        """The weighted mean of how surprising each score (N,) is; see `surprise`."""
        if len(scores) != len(self.known):
            raise ValueError(f"{len(self.known)} scores were fitted, and {len(scores)} given")
        total = sum(self.weights)
        parts = [
            weight / total * surprise(known, each)
            for known, each, weight in zip(self.known, scores, self.weights, strict=True)
        ]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


def surprise(known: Floats, scores: ArrayLike) -> Floats:
    """Minus the log of the share of known scores (M,), rising, that are as high or higher: 0 or more.

    It goes by rank within the known ones; above the highest it goes on rising by the distance in units of
    their spread (the quartiles'), so that what lies far beyond all known maps is still told apart.
    """
    values = np.asarray(scores, dtype=np.float64)
    places = np.arange(len(known))
    share = (len(known) - places - 0.5) / len(known)
    low, high = np.quantile(known, [0.25, 0.75])
    spread = max(float(high - low), np.finfo(np.float64).eps * max(1.0, float(np.abs(known).max())))
    inside = np.interp(values, known, -np.log(share))
    beyond = np.maximum(values - known[-1], 0) / spread
    result: Floats = inside + np.log1p(beyond)
    return result


def _matrix(values: ArrayLike, name: str, width: int | None = None) -> Floats:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise ValueError(f"{name} must be of two dimensions, not of the shape {matrix.shape}")
    if width is not None and matrix.shape[1] != width:
        raise ValueError(f"{name} have {matrix.shape[1]} columns, not {width}")
    return matrix


def _labelled(values: ArrayLike, classes: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    matrix, labels = _matrix(values, "values"), np.asarray(classes)
    if labels.shape != (len(matrix),) or not len(labels):
        raise ValueError(f"{len(matrix)} maps and classes of the shape {labels.shape}: one of each is needed")
    return matrix, labels.astype(np.int64)


def _unit(points: Floats) -> Floats:
    unit: Floats = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return unit


def _squared_distances(points: Floats, others: Floats) -> Floats:
    """(N, M), never negative."""
    squared: Floats = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    return np.maximum(squared, 0, out=squared)
