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
from pipelines.common.errors import UserError
from pipelines.common.models import ModelError, check_weights, halved, load_model, save_model, single
from pipelines.crowd.config import TASK, NetworkPlan
from pipelines.crowd.model.network import CrowdNetwork
from pipelines.crowd.model.networks import build_network

PREFIX = "network."


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """network: in evaluation mode on `device`. calibration: further tensors of the folder, such as quantiles
    of errors on held-out images, on the CPU. sha256: of the folder."""

    name: str
    plan: NetworkPlan
    network: CrowdNetwork
    calibration: Mapping[str, Tensor]
    config: Mapping[str, Any]
    device: torch.device
    sha256: str


def save_trained(
    folder: Path,
    *,
    plan: NetworkPlan,
    weights: Mapping[str, Tensor],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    calibration: Mapping[str, Tensor] | None = None,
    files: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model folder.

    weights: of `CrowdNetwork.shared_weights`, so that a model of our counter runs sparse or dense. They are
    kept in half precision to halve the folder, but for numbers too large for it. calibration: tensors kept as
    they are. files: what else lies in the folder, by name. Raises ModelError as `save_model` does.
    """
    extra = dict(calibration or {})
    if wrong := [name for name in extra if name.startswith(PREFIX)]:
        raise ValueError(f"calibration must not be named like weights: {', '.join(wrong)}")
    tensors = {PREFIX + name: halved(tensor) for name, tensor in weights.items()} | extra
    config = {"task": TASK, "network": plan.model_dump(mode="json"), "training": dict(training)}
    save_model(
        folder, tensors=tensors, config=config, metrics=metrics, card=card, files=files, overwrite=overwrite
    )


def load_trained(
    folder: Path,
    *,
    engine: str = "auto",
    device: torch.device | None = None,
    dense: bool | None = None,
) -> TrainedModel:
    """Load a model. Raises ModelError, in words for the user, if the folder holds none.

    dense: run the decoder of our counter on every block (True) or on active ones (False), whatever it was
        saved as; None leaves it. Of other networks it is a UserError.
    """
    device = device or torch.device("cpu")
    stored = load_model(folder, task=TASK)
    try:
        plan = NetworkPlan.model_validate(stored.config["network"])
    except (KeyError, ValidationError) as error:
        raise ModelError(f"{stored.path / 'config.json'} names no valid network: {error}") from error
    if dense is not None:
        if not plan.name.endswith("-counter"):
            raise UserError(f"{folder} is a {plan.name}, which has no sparse decoder")
        plan = plan.model_copy(update={"name": "dense-counter" if dense else "sparse-counter"})
    own = {name: tensor for name, tensor in stored.tensors.items() if name.startswith(PREFIX)}
    namespace = load_engine(engine)
    try:
        with sized_as(stored):
            network = build_network(plan, namespace)
        network.load_shared({name.removeprefix(PREFIX): single(tensor) for name, tensor in own.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"the model {folder} is damaged: {error}") from error
    check_weights(folder, own)
    return TrainedModel(
        name=stored.name,
        plan=plan,
        network=network.to(device).eval(),
        calibration={name: tensor for name, tensor in stored.tensors.items() if name not in own},
        config=stored.config,
        device=device,
        sha256=stored.sha256,
    )
