"""How unlikely some numbers of a map are for the classes that a network takes it for: a mixture a class."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

DIMENSION: Final = 32  # principal components of the numbers
MAPS_PER_COMPONENT, MOST_COMPONENTS = 300, 6
# Variance added to each component's, in units of the numbers' own; the fewer maps it stands for, the more.
LEAST_VARIANCE, VARIANCE_MAPS = 0.01, 20
FARTHEST: Final = 10.0  # numbers are cut off at so many standard deviations from their mean


@dataclass(frozen=True, slots=True, eq=False)
class ClassMixture:
    """Gaussian mixtures of some numbers of a map, one for each of C classes; all float64 but `owner`.

    mean, spread (S,): of the numbers over training maps, the spread less for those that count more.
    axes (S, D): their principal axes.
    owner int64 (K,): the class of each component. log_weights (K,): within its class. centres (K, D).
    precisions (K, D, D): Cholesky factors P with inverse covariance P P^T.
    """

    mean: Tensor
    spread: Tensor
    axes: Tensor
    owner: Tensor
    log_weights: Tensor
    centres: Tensor
    precisions: Tensor

    @classmethod
    def fit(
        cls,
        numbers: NDArray[np.float32],
        classes: NDArray[np.int64],
        *,
        weight: NDArray[np.float64] | None = None,
        dimension: int = DIMENSION,
        seed: int = 0,
    ) -> ClassMixture:
        """From the numbers (N, S) of training maps of the classes 0 to C - 1 (N,), each with some map.

        weight (S,): how much each number counts; all alike without it.
        """
        mean, spread = numbers.mean(axis=0, dtype=np.float64), numbers.std(axis=0, dtype=np.float64) + 1e-4
        if weight is not None:
            spread = spread / weight
        scaled = _scaled(torch.from_numpy(numbers), torch.from_numpy(mean), torch.from_numpy(spread)).numpy()
        # Numbers that do not vary at all have no axes worth a warning.
        with np.errstate(invalid="ignore"):
            pca = PCA(min(dimension, *scaled.shape), svd_solver="full").fit(scaled)
        axes = torch.from_numpy(pca.components_.T.copy())
        points = scaled @ pca.components_.T
        empty = torch.zeros(0, dtype=torch.float64)
        size = points.shape[1]
        mixture = cls(
            torch.from_numpy(mean),
            torch.from_numpy(spread),
            axes,
            torch.zeros(0, dtype=torch.int64),
            empty,
            empty.reshape(0, size),
            empty.reshape(0, size, size),
        )
        return mixture._with(
            {number: points[classes == number] for number in range(int(classes.max()) + 1)}, seed
        )

    def score(self, numbers: Tensor, log_probability: Tensor) -> Tensor:
        """-log of the sum over the classes of p(class) p(numbers | class), (B,): the higher, the more novel.

        numbers: (B, S). log_probability: (B, C), of the classes by the network.
        """
        points = self._points(numbers)
        density = component_log_density(points, self.centres, self.precisions) + self.log_weights
        return -torch.logsumexp(density + log_probability.double()[:, self.owner], dim=1)

    def standardise(self, numbers: Tensor) -> Tensor:
        """Numbers (B, S) as points (B, D) whose origin is the mean map, and in which the components have, on
        average, unit covariance.
        """
        points: Tensor = self._points(numbers) @ self.whitening()
        return points

    def whitening(self) -> Tensor:
        """What takes points along the axes to unit covariance within a component, (D, D).

        The covariance is the mean over the components by their weights, each class counting the same.
        """
        factors = torch.linalg.inv(self.precisions)
        weights = self.log_weights.exp() / self.log_weights.exp().sum()
        covariance = torch.einsum("k,kij->ij", weights, factors.transpose(1, 2) @ factors)
        whitening: Tensor = torch.linalg.inv(torch.linalg.cholesky(covariance)).T
        return whitening

    def with_classes(
        self, numbers: NDArray[np.float32], classes: NDArray[np.int64], *, seed: int = 0
    ) -> ClassMixture:
        """This mixture with components more for maps (N, S) of classes (N,), known ones or new.

        In a class that has components the new ones share its weight half and half with them.
        """
        points = self._points(torch.from_numpy(numbers)).numpy()
        return self._with({int(number): points[classes == number] for number in np.unique(classes)}, seed)

    def _points(self, numbers: Tensor) -> Tensor:
        points: Tensor = _scaled(numbers, self.mean, self.spread) @ self.axes
        return points

    def _with(self, groups: Mapping[int, NDArray[np.float64]], seed: int) -> ClassMixture:
        owner, log_weights = [self.owner], [self.log_weights.clone()]
        centres, precisions = [self.centres], [self.precisions]
        for number, points in groups.items():
            model = _gaussians(points, seed)
            there = self.owner == number
            half = math.log(0.5) if there.any() else 0.0
            log_weights[0][there] += half
            owner.append(torch.full((len(model.weights_),), number))
            log_weights.append(torch.from_numpy(np.log(model.weights_) + half))
            centres.append(torch.from_numpy(model.means_))
            precisions.append(torch.from_numpy(model.precisions_cholesky_))
        return ClassMixture(
            self.mean,
            self.spread,
            self.axes,
            *(torch.cat(each) for each in (owner, log_weights, centres, precisions)),
        )

    def to(self, device: torch.device) -> ClassMixture:
        return ClassMixture(*(getattr(self, each.name).to(device) for each in fields(self)))

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        return {f"{prefix}.{each.name}": getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], prefix: str, classes: int) -> ClassMixture:
        """What `tensors` gave. Raises KeyError for a missing one, ValueError for what does not fit."""
        found = {each.name: tensors[f"{prefix}.{each.name}"] for each in fields(cls)}
        mixture = cls(
            **{name: value.long() if name == "owner" else value.double() for name, value in found.items()}
        )
        check_shapes(prefix, {name: getattr(mixture, name) for name in found})
        if not (mixture.spread > 0).all():
            raise ValueError(f"{prefix}.spread must be above 0")
        if not set(range(classes)) == set(mixture.owner.tolist()):
            raise ValueError(f"{prefix}.owner must name each of the {classes} classes, and no other")
        return mixture


def check_shapes(prefix: str, tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless the tensors of a mixture fit each other; see `ClassMixture` and `Mixture`."""
    axes, log_weights = tensors["axes"], tensors["log_weights"]
    if axes.ndim != 2 or log_weights.ndim != 1:
        raise ValueError(f"{prefix}.axes must have two dimensions, and {prefix}.log_weights one")
    (width, size), (count,) = axes.shape, log_weights.shape
    wanted = {
        "mean": (width,),
        "spread": (width,),
        "owner": (count,),
        "centres": (count, size),
        "precisions": (count, size, size),
    }
    for name in wanted.keys() & tensors.keys():
        if tuple(tensors[name].shape) != wanted[name]:
            raise ValueError(
                f"{prefix}.{name} has the shape {tuple(tensors[name].shape)}, not {wanted[name]}"
            )


def component_log_density(points: Tensor, centres: Tensor, precisions: Tensor) -> Tensor:
    """Log density (B, K) of points (B, D) under Gaussians: centres (K, D), precisions P P^T, P (K, D, D)."""
    white = torch.einsum("bd,kde->bke", points, precisions) - torch.einsum("kd,kde->ke", centres, precisions)
    log_det = precisions.diagonal(dim1=1, dim2=2).log().sum(1)
    return log_det - 0.5 * (points.shape[1] * math.log(2 * math.pi) + white.square().sum(2))


def _scaled(numbers: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    return ((numbers.double() - mean) / spread).clamp(-FARTHEST, FARTHEST)


def _gaussians(points: NDArray[np.float64], seed: int) -> GaussianMixture:
    """A mixture of as many Gaussians as the points (N, D) allow; of one point twice the point itself."""
    count = int(np.clip(len(points) // MAPS_PER_COMPONENT, 1, MOST_COMPONENTS))
    variance = max(LEAST_VARIANCE, VARIANCE_MAPS / len(points))
    model = GaussianMixture(count, reg_covar=variance, random_state=seed, max_iter=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(points if len(points) > 1 else np.repeat(points, 2, axis=0))
