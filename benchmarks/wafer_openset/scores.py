"""Every score that is compared, fitted on the training maps of known classes, on every set of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.wafer_openset.networks import LATENT
from benchmarks.wafer_openset.outputs import Outputs
from pipelines.wafer.class_mixture import ClassMixture
from pipelines.wafer.mixture import Mixture, fit_mixture
from pipelines.wafer.novelty import LATENT_WEIGHT, Novelty, Seen
from pipelines.wafer.open_set import (
    Combined,
    Mahalanobis,
    Neighbours,
    OpenMax,
    Vim,
    energy_score,
    softmax_score,
)
from pipelines.wafer.train_config import TrainConfig

Floats = NDArray[np.float64]
# Of a set's name its score (N,).
Score = Callable[[str], Floats]
OURS = "suite"
# What the suite's score is made of, and without which part it is worth what.
PARTS = ("mixture by class", "energy and latent", "energy and shape")
SCORES = (OURS, *PARTS, "mixture", "softmax", "energy", "openmax", "odin", "mahalanobis", "knn", "vim")


def of_outputs(
    outputs: Outputs, classes: NDArray[np.int64], seed: int, names: Sequence[str] = SCORES
) -> dict[str, Score]:
    """The scores of a network by name. classes (N,): of its training maps, in the order of its logits.

    `odin` is left out if the outputs do not have it.
    """
    latent = outputs.latent("train")
    found: dict[str, Callable[[], Score]] = {
        OURS: lambda: of_novelty(outputs, classes, seed),
        PARTS[0]: lambda: of_parts(outputs, classes, seed, energy=False),
        PARTS[1]: lambda: of_parts(outputs, classes, seed, shape=False),
        PARTS[2]: lambda: of_parts(outputs, classes, seed, latent=False),
        "mixture": lambda: of_latent(outputs, latent_mixture(outputs, seed)),
        "softmax": lambda: lambda name: softmax_score(outputs.logits(name)),
        "energy": lambda: lambda name: energy_score(outputs.logits(name)),
        "openmax": lambda: partial(_of_logits, outputs, OpenMax.fit(outputs.logits("train"), classes).score),
        "mahalanobis": lambda: partial(_of_latents, outputs, Mahalanobis.fit(latent, classes).score),
        "knn": lambda: partial(_of_latents, outputs, Neighbours.fit(latent).score),
        "vim": lambda: partial(_of_latents, outputs, Vim.fit(latent, outputs.weight, outputs.bias).score),
    }
    if outputs.odin:
        found["odin"] = lambda: lambda name: outputs.odin[name]
    return {name: found[name]() for name in names if name in found}


def of_novelty(outputs: Outputs, classes: NDArray[np.int64], seed: int) -> Score:
    """What `suite wafer train` fits, on logits without temperature and without a second look."""
    sets = {name: seen(outputs, name) for name in outputs.layers}
    novelty = Novelty.fit(sets["train"], classes, sets["held"], seed=seed)
    return lambda name: novelty.score(sets[name])


def of_parts(
    outputs: Outputs,
    classes: NDArray[np.int64],
    seed: int,
    *,
    energy: bool = True,
    latent: bool = True,
    shape: bool = True,
) -> Score:
    """The suite's score without its energy, or with a mixture of latents alone or of shapes alone."""
    sets = {name: seen(outputs, name) for name in outputs.layers}
    widths = outputs.layers["train"][LATENT].shape[1] * latent, outputs.shape["train"].shape[1] * shape
    weight = np.repeat([LATENT_WEIGHT, 1.0], widths)
    numbers = {
        name: torch.cat([of.latent[:, : widths[0]], of.shape[:, : widths[1]]], dim=1)
        for name, of in sets.items()
    }
    mixture = ClassMixture.fit(numbers["train"].numpy(), classes, weight=weight, seed=seed)

    def parts(name: str) -> list[Floats]:
        logits = sets[name].logits
        found = [mixture.score(numbers[name], logits.log_softmax(1)).numpy()]
        return [*found, energy_score(logits.numpy())] if energy else found

    known = Combined.fit(parts("held"))
    return lambda name: known.score(parts(name))


def seen(outputs: Outputs, name: str) -> Seen:
    """A set's logits, latents and shapes."""
    parts = outputs.logits(name), outputs.layers[name][LATENT], outputs.shape[name]
    return Seen(*(torch.from_numpy(part) for part in parts))


def latent_mixture(outputs: Outputs, seed: int) -> Mixture:
    """One mixture of all latents, chosen by BIC (after Frittoli et al., Pattern Recognition 2022)."""
    config = TrainConfig()
    mixture, _ = fit_mixture(
        outputs.layers["train"][LATENT],
        components=config.components,
        covariances=config.covariances,
        dimension=config.novelty_dimension,
        seed=seed,
    )
    return mixture


def of_latent(outputs: Outputs, mixture: Mixture) -> Score:
    """The negative log-likelihood of a set's latents under a mixture."""
    return lambda name: mixture.score(torch.from_numpy(outputs.layers[name][LATENT])).numpy()


def _of_logits(outputs: Outputs, score: Callable[[Floats], Floats], name: str) -> Floats:
    return score(outputs.logits(name))


def _of_latents(outputs: Outputs, score: Callable[[Floats], Floats], name: str) -> Floats:
    return score(outputs.latent(name))
