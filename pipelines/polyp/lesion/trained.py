"""A trained finder, from and to a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from pipelines.common.building import sized_as
from pipelines.common.config import Strict
from pipelines.common.engines import load_engine
from pipelines.common.models import ModelError, check_weights, halved, load_model, save_model, single
from pipelines.polyp.lesion.config import TASK, FinderPlan
from pipelines.polyp.lesion.network import LesionNetwork


class Tuning(Strict):
    """How probabilities become lesions.

    threshold: a px from this probability on is of a lesion. smallest: smaller parts are left out, as a share
    of the optical field; so are parts of a score below `sure`. views: flipped versions of a frame whose
    probabilities are averaged.
    """

    threshold: float = Field(0.5, gt=0, lt=1)
    smallest: float = Field(0.002, ge=0, lt=1)
    sure: float = Field(0.0, ge=0, lt=1)
    views: int = Field(4, ge=1, le=4)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedFinder:
    """network: in evaluation mode on the device it was loaded for. config, sha256: of the folder."""

    name: str
    plan: FinderPlan
    network: LesionNetwork
    tuning: Tuning
    config: Mapping[str, Any]
    sha256: str


def save_trained(
    folder: Path,
    *,
    plan: FinderPlan,
    weights: Mapping[str, Tensor],
    tuning: Tuning,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    files: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model folder. weights: of `LesionNetwork.shared_weights`, kept in half precision. Raises
    ModelError as `save_model` does."""
    config = {
        "task": TASK,
        "network": plan.model_dump(mode="json"),
        "tuning": tuning.model_dump(mode="json"),
        "training": dict(training),
    }
    save_model(
        folder,
        tensors={name: halved(tensor) for name, tensor in weights.items()},
        config=config,
        metrics=metrics,
        card=card,
        files=files,
        overwrite=overwrite,
    )


def load_trained(folder: Path, *, engine: str = "auto", device: torch.device | None = None) -> TrainedFinder:
    """Load a finder. Raises ModelError, in words for the user, if the folder holds none."""
    stored = load_model(folder, task=TASK)
    try:
        plan = FinderPlan.model_validate(stored.config["network"])
        tuning = Tuning.model_validate(stored.config["tuning"])
    except (KeyError, ValidationError) as error:
        raise ModelError(f"{stored.path / 'config.json'} names no valid finder: {error}") from error
    with sized_as(stored):
        network = LesionNetwork(load_engine(engine), plan)
    load_weights(network, folder, stored.tensors, device)
    return TrainedFinder(stored.name, plan, network, tuning, stored.config, stored.sha256)


def load_weights(
    network: LesionNetwork, folder: Path, tensors: Mapping[str, Tensor], device: torch.device | None
) -> None:
    """Give a network the weights of a model folder, on a device (the CPU for None), for evaluation.

    Raises ModelError if they are not for this network, or damaged.
    """
    check_weights(folder, tensors)
    try:
        network.load_shared({name: single(tensor) for name, tensor in tensors.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"the model {folder} is damaged: {error}") from error
    network.to(device or torch.device("cpu")).eval()
