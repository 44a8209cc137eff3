"""A Gaussian mixture of known maps' latents: where they lie, how far apart, and others like them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from pipelines.wafer.class_mixture import check_shapes, component_log_density

Covariance = Literal["full", "tied"]
MAPS_PER_COMPONENT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A Gaussian mixture on the principal components of the latent; all float64.

    mean (L,), axes (L, D): latent to components. log_weights (K,), centres (K, D).
    precisions (K, D, D): Cholesky factors P with inverse covariance P P^T, as scikit-learn gives them.
    """

    mean: Tensor
    axes: Tensor
    log_weights: Tensor
    centres: Tensor
    precisions: Tensor

    def score(self, latent: Tensor) -> Tensor:
        """Negative log-likelihood (B,) of latents (B, L): the higher, the more novel."""
        points = (latent.double() - self.mean) @ self.axes
        density = component_log_density(points, self.centres, self.precisions)
        return -torch.logsumexp(density + self.log_weights, dim=1)

    def sample(self, count: int, seed: int) -> Tensor:
        """Latents (count, L) drawn from the mixture, from every component as likely, whatever its weight."""
        generator = torch.Generator(device=self.centres.device).manual_seed(seed)
        device, dimension = self.centres.device, self.centres.shape[1]
        chosen = torch.randint(len(self.centres), (count,), generator=generator, device=device)
        normal = torch.randn(count, dimension, generator=generator, dtype=torch.float64, device=device)
        # With P P^T the inverse covariance, x P^-1 of standard normal rows x has the covariance.
        points = self.centres[chosen] + torch.linalg.solve_triangular(
            self.precisions[chosen], normal[:, None], upper=True, left=False
        ).squeeze(1)
        latent: Tensor = self.mean + points @ self.axes.T
        return latent

    def mean_covariance(self) -> Tensor:
        """The covariance (D, D) within a component, as the mean over the components by their weights."""
        factors = torch.linalg.inv(self.precisions)
        covariances = factors.transpose(1, 2) @ factors
        return torch.einsum("k,kij->ij", self.log_weights.exp(), covariances)

    def tensors(self) -> dict[str, Tensor]:
        return {f"mixture.{name}": getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Mixture:
        """What `tensors` gave. Raises KeyError for a missing one, ValueError for shapes that do not fit."""
        mixture = cls(**{name: tensors[f"mixture.{name}"].double() for name in cls.__slots__})
        check_shapes("mixture", {name: getattr(mixture, name) for name in cls.__slots__})
        return mixture

    def to(self, device: torch.device) -> Mixture:
        return Mixture(*(getattr(self, name).to(device) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Fit:
    """One mixture that was tried, and its Bayesian information criterion (lower is better)."""

    components: int
    covariance: Covariance
    dimension: int
    bic: float


def fit_mixture(
    latent: NDArray[np.float32],
    *,
    components: tuple[int, ...],
    covariances: tuple[Covariance, ...],
    dimension: int,
    seed: int,
) -> tuple[Mixture, list[Fit]]:
    """Fit mixtures to latents (N, L) of training maps and keep the one of the lowest BIC.

    Returns the mixture and all that were tried, the best first. No more components are tried than leave each
    a few maps, MAPS_PER_COMPONENT.
    """
    dimension = min(dimension, *latent.shape)
    # A network that has learnt little may give one latent for all maps: no variance, and few clusters.
    with np.errstate(invalid="ignore"):
        pca = PCA(dimension, random_state=seed).fit(latent)
    points = pca.transform(latent).astype(np.float64)
    tried: list[tuple[Fit, GaussianMixture]] = []
    most = max(1, len(points) // MAPS_PER_COMPONENT)
    for covariance in covariances:
        for count in sorted({min(count, most) for count in components}):
            model = GaussianMixture(
                count, covariance_type=covariance, reg_covar=1e-4, random_state=seed, max_iter=200
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(points)
            tried.append((Fit(count, covariance, dimension, float(model.bic(points))), model))
    tried.sort(key=lambda each: each[0].bic)
    best = tried[0][1]
    factors = best.precisions_cholesky_
    if best.covariance_type == "tied":
        factors = np.broadcast_to(factors, (best.n_components, *factors.shape))
    mixture = Mixture(
        mean=torch.from_numpy(pca.mean_).double(),
        axes=torch.from_numpy(pca.components_.T.copy()).double(),
        log_weights=torch.from_numpy(np.log(best.weights_)),
        centres=torch.from_numpy(best.means_),
        precisions=torch.from_numpy(np.ascontiguousarray(factors)),
    )
    return mixture, [fit for fit, _ in tried]


def with_components(mixture: Mixture, groups: Sequence[NDArray[np.float32]], total: int) -> Mixture:
    """The mixture with one component more for each group of latents (N, L), however few they are.

    A group's covariance is its own shrunk towards the mixture's mean covariance, as if that had been seen in
    as many maps as there are dimensions; its weight is its share among the `total` maps of the old mixture
    and all groups.
    """
    if not groups:
        return mixture
    prior = mixture.mean_covariance()
    dimension = len(prior)
    centres, factors, counts = [], [], []
    for group in groups:
        points = (torch.from_numpy(group).double() - mixture.mean) @ mixture.axes
        centre = points.mean(0)
        scatter = (points - centre).T @ (points - centre)
        covariance = (scatter + dimension * prior) / (len(points) + dimension)
        centres.append(centre)
        # scikit-learn's factor P, upper triangular, with P P^T the inverse covariance.
        factors.append(torch.linalg.inv(torch.linalg.cholesky(covariance)).T)
        counts.append(len(points))
    whole = total + sum(counts)
    weights = torch.tensor(counts, dtype=torch.float64) / whole
    return Mixture(
        mean=mixture.mean,
        axes=mixture.axes,
        log_weights=torch.cat([mixture.log_weights + math.log(total / whole), weights.log()]),
        centres=torch.cat([mixture.centres, torch.stack(centres)]),
        precisions=torch.cat([mixture.precisions, torch.stack(factors)]),
    )
