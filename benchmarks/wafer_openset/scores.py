"""Every score that is compared, fitted on the training maps of known classes, on every set of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.wafer_openset.outputs import Outputs
from pipelines.wafer.novelty import Mixture, fit_mixture
from pipelines.wafer.open_set import Mahalanobis, Neighbours, OpenMax, Vim, energy_score, softmax_score
from pipelines.wafer.train import MIXTURE_MAPS
from pipelines.wafer.train_config import TrainConfig

Floats = NDArray[np.float64]
# Of a set's name its score (N,).
Score = Callable[[str], Floats]
OURS = "mixture"
SCORES = (OURS, "softmax", "energy", "openmax", "odin", "mahalanobis", "knn", "vim")


def of_outputs(
    outputs: Outputs, classes: NDArray[np.int64], seed: int, names: Sequence[str] = SCORES
) -> dict[str, Score]:
    """The scores of a network by name. classes (N,): of its training maps, in the order of its logits.

    `odin` is left out if the outputs do not have it.
    """
    latent = outputs.latent("train")
    found: dict[str, Callable[[], Score]] = {
        OURS: lambda: of_latent(outputs, own_mixture(outputs, seed)),
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


def own_mixture(outputs: Outputs, seed: int) -> Mixture:
    """The mixture that `suite wafer train` fits: BIC chooses, on at most so many training maps."""
    config = TrainConfig()
    latent = outputs.layers["train"]["latent"]
    chosen = np.random.default_rng(seed).permutation(len(latent))[:MIXTURE_MAPS]
    mixture, _ = fit_mixture(
        latent[chosen],
        outputs.layers["held"]["latent"],
        components=config.components,
        covariances=config.covariances,
        dimension=config.novelty_dimension,
        seed=seed,
    )
    return mixture


def of_latent(outputs: Outputs, mixture: Mixture) -> Score:
    """The negative log-likelihood of a set's latents under a mixture."""
    return lambda name: mixture.score(torch.from_numpy(outputs.layers[name]["latent"])).numpy()


def _of_logits(outputs: Outputs, score: Callable[[Floats], Floats], name: str) -> Floats:
    return score(outputs.logits(name))


def _of_latents(outputs: Outputs, score: Callable[[Floats], Floats], name: str) -> Floats:
    return score(outputs.latent(name))
