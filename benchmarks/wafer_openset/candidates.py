"""Scores that the study tries beside those of the benchmark: more layers, other mixtures, combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from benchmarks.wafer_openset.networks import LATENT, Floats
from benchmarks.wafer_openset.outputs import Outputs
from benchmarks.wafer_openset.scores import Score, of_outputs
from pipelines.wafer.mixture import Mixture, fit_mixture
from pipelines.wafer.open_set import Combined, Mahalanobis, Neighbours

DIMENSION = 32
# What combinations are made of: one score of the logits, one of the latent, one of all layers.
PARTS = ("softmax", "mixture", "knn", "mahalanobis, all layers")


def candidates(outputs: Outputs, classes: NDArray[np.int64], seed: int) -> dict[str, Score]:
    """All scores of a network by name, those of the benchmark first.

    classes (N,): of its training maps. A network with one more output than classes was taught outliers as a
    class of their own; it has the score `outlier class`, and its other scores leave that output out.
    """
    known = int(classes.max()) + 1
    found: dict[str, Score] = {}
    if len(outputs.weight) > known:
        whole = outputs
        found["outlier class"] = lambda name: outlier_class_score(whole.logits(name))
        outputs = replace(outputs, weight=outputs.weight[:known], bias=outputs.bias[:known])
    found = {name: cache(score) for name, score in of_outputs(outputs, classes, seed).items()} | found
    train = outputs.layers["train"]
    found["class Gaussians"] = _mixture(outputs, class_gaussians(train[LATENT], classes))
    for dimension in (8, 64):
        mixture, _ = fit_mixture(
            train[LATENT],
            components=(8, 16, 24, 32),
            covariances=("full", "tied"),
            dimension=dimension,
            seed=seed,
        )
        found[f"mixture, {dimension} dimensions"] = _mixture(outputs, mixture)
    by_layer: dict[str, Score] = {}
    for layer in train:
        if layer != LATENT:
            by_layer[layer] = cache(_mahalanobis(outputs, layer, classes))
            found[f"mahalanobis, {layer}"] = by_layer[layer]
    if by_layer:
        by_layer[LATENT] = found["mahalanobis"]
        found["mahalanobis, all layers"] = cache(combined(by_layer))
        found["mixture, all layers joined"] = _joined_mixture(outputs, list(by_layer), seed)
        found["knn, all layers joined"] = _joined_neighbours(outputs, list(by_layer))
    parts = {name: found[name] for name in PARTS if name in found}
    for size in range(2, len(parts) + 1):
        for names in combinations(parts, size):
            found[" + ".join(names)] = combined({name: parts[name] for name in names})
    if "outliers" in outputs.layers:
        found["weighed on synthetic outliers"] = combined(parts, best_weights(parts))
    return found


def outlier_class_score(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds (N,) of the last output against all others."""
    odds: NDArray[np.float64] = logits[:, -1] - logsumexp(logits[:, :-1], axis=1)
    return odds


def combined(parts: Mapping[str, Score], weights: Sequence[float] | None = None) -> Score:
    """The mean surprise of several scores against their values on held-out maps; see `Combined`."""
    fitted = Combined.fit([score("held") for score in parts.values()], weights)
    return lambda name: fitted.score([score(name) for score in parts.values()])


def best_weights(parts: Mapping[str, Score], steps: int = 4) -> tuple[float, ...]:
    """Weights that add up to `steps`, of the best AUROC of synthetic outliers against held-out maps."""
    grid = [each for each in np.ndindex(*(steps + 1,) * len(parts)) if sum(each) == steps]
    truth = np.repeat([0, 1], [len(next(iter(parts.values()))(name)) for name in ("held", "outliers")])

    def worth(weights: Sequence[float]) -> float:
        score = combined(parts, weights)
        return float(roc_auc_score(truth, np.concatenate([score("held"), score("outliers")])))

    return max(grid, key=worth)


def class_gaussians(latent: Floats, classes: NDArray[np.int64]) -> Mixture:
    """One Gaussian a class on the principal components, weighed by the class's share.

    Covariances are shrunk (Ledoit and Wolf, 2004), as rare classes have fewer maps than dimensions.
    """
    pca = PCA(min(DIMENSION, *latent.shape), random_state=0).fit(latent)
    points = pca.transform(latent).astype(np.float64)
    centres, factors = [], []
    names, counts = np.unique(classes, return_counts=True)
    for name in names:
        own = points[classes == name]
        covariance = ledoit_wolf(own)[0] + 1e-4 * np.eye(points.shape[1])
        centres.append(own.mean(axis=0))
        factors.append(np.linalg.inv(np.linalg.cholesky(covariance)).T)
    return Mixture(
        mean=torch.from_numpy(pca.mean_).double(),
        axes=torch.from_numpy(pca.components_.T.copy()).double(),
        log_weights=torch.from_numpy(np.log(counts / counts.sum())),
        centres=torch.from_numpy(np.stack(centres)),
        precisions=torch.from_numpy(np.stack(factors)),
    )


def joined(outputs: Outputs, name: str, layers: Sequence[str]) -> Floats:
    """The layers (N, all widths) side by side, each scaled to the same mean square over the training maps."""
    parts = []
    for layer in layers:
        train = outputs.layers["train"][layer]
        mean = train.mean(axis=0)
        size = np.sqrt(((train - mean) ** 2).sum(axis=1).mean()) + 1e-9
        parts.append((outputs.layers[name][layer] - mean) / size)
    return np.concatenate(parts, axis=1).astype(np.float32)


def _mixture(outputs: Outputs, mixture: Mixture) -> Score:
    return lambda name: mixture.score(torch.from_numpy(outputs.layers[name][LATENT])).numpy()


def _mahalanobis(outputs: Outputs, layer: str, classes: NDArray[np.int64]) -> Score:
    fitted = Mahalanobis.fit(outputs.layers["train"][layer], classes)
    return lambda name: fitted.score(outputs.layers[name][layer])


def _joined_mixture(outputs: Outputs, layers: Sequence[str], seed: int) -> Score:
    mixture, _ = fit_mixture(
        joined(outputs, "train", layers),
        components=(8, 16, 24, 32),
        covariances=("full", "tied"),
        dimension=DIMENSION,
        seed=seed,
    )
    return lambda name: mixture.score(torch.from_numpy(joined(outputs, name, layers))).numpy()


def _joined_neighbours(outputs: Outputs, layers: Sequence[str]) -> Score:
    fitted = Neighbours.fit(joined(outputs, "train", layers))
    return lambda name: fitted.score(joined(outputs, name, layers))
