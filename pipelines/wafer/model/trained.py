"""A trained model: network, calibration and novelty, from and to a model folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.common.building import sized_as
from pipelines.common.engines import load_engine
from pipelines.common.models import ModelError, load_model
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.mixture import Mixture
from pipelines.wafer.model.kinds import KINDS, Kind
from pipelines.wafer.model.look import look
from pipelines.wafer.novelty import Novelty, Seen
from pipelines.wafer.shape import SHAPE_FEATURES

TASK = "wafer"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What a model says of B maps.

    probabilities: float64 (B, K). novelty: float64 (B,). latent: float32 (B, D), where the maps lie
        among the known ones; see `ClassMixture.standardise`.
    """

    probabilities: NDArray[np.float64]
    novelty: NDArray[np.float64]
    latent: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """What classifies maps of one kind.

    labels: class names in the order of the logits. normal: the label that means nothing is wrong.
    prior_shift: float32 (K,), added to the logits: log of the classes' share in the data over their share in
        what training drew. temperature: divides the shifted logits.
    mixture: of the latents of training maps. novelty: what tells new patterns from known ones.
    false_alarm_rate: the one from which the threshold is taken unless another is asked for.
    sha256: of the model folder; see `pipelines.common.models`.
    """

    name: str
    kind: Kind
    network: nn.Module
    labels: tuple[str, ...]
    normal: str | None
    prior_shift: Tensor
    temperature: float
    mixture: Mixture
    novelty: Novelty
    false_alarm_rate: float
    device: torch.device
    sha256: str

    def run(self, maps: Sequence[WaferMap]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities (B, K) and novelty scores (B,) of maps of this model's kind."""
        seen = self.measure(maps)
        return seen.probabilities, seen.novelty

    @torch.inference_mode()
    def measure(self, maps: Sequence[WaferMap]) -> Measured:
        """Probabilities, novelty scores and latents of maps of this model's kind."""
        seen = self.look(maps)
        return Measured(
            seen.probabilities(),
            self.novelty.score(seen),
            self.novelty.place(seen),
        )

    def look(self, maps: Sequence[WaferMap]) -> Seen:
        """What the network says of maps, calibrated, and how they look."""
        seen = look(self.network, self.kind, maps, shift=self.prior_shift, device=self.device)
        return seen.calibrated(self.temperature)


def load_trained(folder: Path, *, engine: str = "auto", device: torch.device | None = None) -> TrainedModel:
    """Load a model folder for inference. Raises ModelError, in words for the user, if it is no such model."""
    device = device or torch.device("cpu")
    namespace = load_engine(engine)
    stored = load_model(folder, task=TASK)
    config = stored.config
    if "novelty.mean" in stored.tensors:
        raise ModelError(
            f"{folder} was made by an earlier version of the suite, whose novelty this one does not know:"
            f" train anew, or run python -m pipelines.wafer.renew {folder} DATA with the data of its training"
        )
    try:
        kind = KINDS[config["kind"]](**config["preprocessing"])
        labels, normal = _labels(config)
        with sized_as(stored):
            network = kind.build(namespace, len(labels), config["architecture"])
        network.load_state_dict(network_tensors(stored.tensors))
        _check_finite(stored.tensors)
        mixture = Mixture.from_tensors(stored.tensors)
        novelty = Novelty.from_tensors(stored.tensors, len(labels))
        latent = stored.tensors["network.body.classifier.weight"].shape[1]
        if len(mixture.mean) != latent:
            raise ValueError(f"the mixture is for a latent of {len(mixture.mean)} numbers, not {latent}")
        if len(novelty.mixture.mean) != latent + SHAPE_FEATURES:
            raise ValueError(
                f"the novelty is for {len(novelty.mixture.mean)} numbers, not {latent + SHAPE_FEATURES}"
            )
        prior_shift = stored.tensors["prior_shift"]
        if prior_shift.shape != (len(labels),):
            raise ValueError(f"prior_shift has the shape {tuple(prior_shift.shape)}, not ({len(labels)},)")
        return TrainedModel(
            name=stored.name,
            kind=kind,
            network=network.to(device).eval(),
            labels=labels,
            normal=normal,
            prior_shift=prior_shift.double().to(device),
            temperature=_number(config, "temperature", math.inf),
            mixture=mixture.to(device),
            novelty=novelty.to(device),
            false_alarm_rate=_number(config, "false_alarm_rate", 1),
            device=device,
            sha256=stored.sha256,
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder} is not a usable wafer model: {error}") from error


def network_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The state of the network among the tensors of a model folder."""
    prefix = "network."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _labels(config: Mapping[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """The classes, and the one among them that means nothing is wrong."""
    labels, normal = config["labels"], config["normal_label"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels must be a list of names")
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError("labels must be two names or more, each once")
    if normal is not None and normal not in labels:
        raise ValueError(f"normal_label {normal!r} is none of the labels")
    return tuple(labels), normal


def _number(config: Mapping[str, Any], name: str, below: float) -> float:
    value = float(config[name])
    if not 0 < value < below:
        raise ValueError(f"{name} must lie between 0 and {below}, not {value}")
    return value


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise ValueError(f"{name} holds a value that is not a finite number")
