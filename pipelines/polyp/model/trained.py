"""A trained model, from and to a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from pipelines.common.building import sized_as
from pipelines.common.engines import load_engine
from pipelines.common.models import ModelError, check_weights, halved, load_model, save_model, single
from pipelines.polyp.config import TASK, NetworkPlan
from pipelines.polyp.model.network import Sizer, build_network

PREFIX = "network."
SIZER = "sizer"


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """network: in evaluation mode on `device`. calibration: tensors of `aggregate.calibrate`, on the CPU.
    config: of the folder. sha256: of the folder."""

    name: str
    plan: NetworkPlan
    network: Sizer
    calibration: Mapping[str, Tensor]
    config: Mapping[str, Any]
    device: torch.device
    sha256: str


def save_trained(
    folder: Path,
    *,
    plan: NetworkPlan,
    weights: Mapping[str, Tensor],
    calibration: Mapping[str, Tensor],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    files: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model folder. weights: a state dict, kept in half precision. Raises ModelError as `save_model`
    does."""
    tensors = {PREFIX + name: halved(tensor) for name, tensor in weights.items()} | dict(calibration)
    config = {
        "task": TASK,
        "kind": SIZER,
        "network": plan.model_dump(mode="json"),
        "training": dict(training),
    }
    save_model(
        folder, tensors=tensors, config=config, metrics=metrics, card=card, files=files, overwrite=overwrite
    )


def load_trained(folder: Path, *, engine: str = "auto", device: torch.device | None = None) -> TrainedModel:
    """Load a model. Raises ModelError, in words for the user, if the folder holds none."""
    device = device or torch.device("cpu")
    stored = load_model(folder, task=TASK)
    if stored.config.get("kind") != SIZER:
        raise ModelError(f"the model {folder} does not tell sizes")
    try:
        plan = NetworkPlan.model_validate(stored.config["network"])
    except (KeyError, ValidationError) as error:
        raise ModelError(f"{stored.path / 'config.json'} names no valid network: {error}") from error
    own = {name: tensor for name, tensor in stored.tensors.items() if name.startswith(PREFIX)}
    try:
        with sized_as(stored):
            network = build_network(plan, load_engine(engine))
        network.load_state_dict({name.removeprefix(PREFIX): single(one) for name, one in own.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"the model {folder} is damaged: {error}") from error
    check_weights(folder, own)
    return TrainedModel(
        name=stored.name,
        plan=plan,
        network=network.to(device).eval(),
        calibration={name: one for name, one in stored.tensors.items() if name not in own},
        config=stored.config,
        device=device,
        sha256=stored.sha256,
    )
