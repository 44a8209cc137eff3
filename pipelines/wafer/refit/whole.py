"""The whole network tuned on the replayed training data and the reviewed maps together."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from pipelines.wafer.calibrate import expected_calibration_error
from pipelines.wafer.fit import TrainingSet, drawing_chances, fit
from pipelines.wafer.mixture import Fit, with_components
from pipelines.wafer.model.look import run_network
from pipelines.wafer.model.trained import TrainedModel
from pipelines.wafer.reference import Reference, refer
from pipelines.wafer.refit.head import HEAD, VIEWS, tune, views
from pipelines.wafer.refit.lesson import Lesson, Part
from pipelines.wafer.train_config import TrainConfig

REVIEW_WEIGHT: Final = 4.0  # maps of the training set that a reviewed one stands for
MIXTURE_MAPS: Final = 8_000
FIRST_MAPS: Final = 1_000  # of new and of old classes, from which the last layer learns first


@dataclass(frozen=True, slots=True)
class Tuned:
    """The new model; mixtures: those that were tried, the best first; ece: before the temperature."""

    model: TrainedModel
    mixtures: list[Fit]
    ece: float


def refit_whole(
    old: TrainedModel,
    network: nn.Module,
    lesson: Lesson,
    config: TrainConfig,
    scratch: Path,
    progress: Callable[[str], None],
) -> Tuned:
    """Tune the network, and fit temperature, mixture and thresholds anew.

    New classes are taught to the last layer first: unknown there, they would disturb the layers below (Kumar
    et al., Fine-tuning can distort pretrained features and underperform out-of-distribution, ICLR 2022).
    scratch: a folder for the checkpoint, removed at the end.
    """
    part, held = lesson.train, lesson.held
    chance, shift = drawing_chances(part.classes, len(lesson.labels), config.sampling_power, weights(part))
    progress("tuning the last layer")
    _teach_new(old, network, part, chance, config)
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        fit(
            network,
            old.kind,
            TrainingSet(part.maps, part.classes, chance),
            config,
            device=old.device,
            checkpoint=scratch / "checkpoint.safetensors",
            fingerprint=old.sha256,
            progress=progress,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    known = refer(
        network,
        old.kind,
        (part.maps, part.classes),
        (held.maps, held.classes),
        config,
        shift=torch.from_numpy(shift),
        device=old.device,
        progress=progress,
        most=MIXTURE_MAPS,
    )
    probability = known.held.probabilities()
    model = replace(
        old,
        network=network.eval(),
        labels=lesson.labels,
        prior_shift=torch.from_numpy(shift).to(old.device),
        temperature=known.temperature,
        mixture=with_components(known.mixture, _reviewed(part, known), len(known.rows)).to(old.device),
        novelty=known.novelty.to(old.device),
    )
    ece = expected_calibration_error(probability.max(1), probability.argmax(1) == held.classes)
    return Tuned(model, known.tried, ece)


def weights(part: Part) -> NDArray[np.float64]:
    """For how many maps of the training set each map stands, float64 (N,).

    A reviewed map stands for REVIEW_WEIGHT, as it was chosen by a person; yet the reviewed maps of a class
    together for no more than a class of the training set has on average: probabilities follow the weights, so
    a new class of more weight would take the doubtful maps of the old ones.
    """
    weight = np.ones(len(part.maps))
    replayed = part.classes[~part.reviewed]
    average = len(replayed) / max(1, len(np.unique(replayed)))
    for number in np.unique(part.classes[part.reviewed]):
        of = part.reviewed & (part.classes == number)
        weight[of] = np.clip(average / of.sum(), 1.0, REVIEW_WEIGHT)
    return weight


def _teach_new(
    old: TrainedModel, network: nn.Module, part: Part, chance: NDArray[np.float64], config: TrainConfig
) -> None:
    """Tune the rows of the last layer that are of new classes; all others keep what they know."""
    known, classes = len(old.labels), len(network.get_submodule(HEAD).bias)  # type: ignore[arg-type]
    if classes == known:
        return
    taught, others = np.flatnonzero(part.classes >= known), np.flatnonzero(part.classes < known)
    rng = np.random.default_rng(config.seed)
    drawn = rng.choice(others, min(FIRST_MAPS, len(others)), p=chance[others] / chance[others].sum())
    some = rng.permutation(taught)[:FIRST_MAPS]
    latent = views(network, old.kind, [part.maps[row] for row in some], old.device, config.seed)
    truth = torch.from_numpy(np.tile(part.classes[some], VIEWS + 1)).to(old.device)
    _, kept = run_network(network, old.kind, [part.maps[row] for row in drawn], device=old.device)
    tune(
        network.get_submodule(HEAD),
        latent,
        truth,
        kept,
        functional.one_hot(torch.from_numpy(part.classes[drawn]), classes).float().to(old.device),
        torch.zeros(classes, device=old.device),
        fixed=known,
    )


def _reviewed(part: Part, known: Reference) -> list[NDArray[np.float32]]:
    """The latents of the reviewed maps by class, which get components of their own however few they are."""
    reviewed, classes = part.reviewed[known.rows], part.classes[known.rows]
    return [known.latent[reviewed & (classes == number)] for number in np.unique(classes[reviewed])]
