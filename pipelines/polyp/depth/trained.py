"""A trained estimator of depths, from and to a model folder."""

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
from pipelines.common.models import ModelError, halved, load_model, save_model
from pipelines.polyp.depth.config import TASK
from pipelines.polyp.depth.network import DepthNetwork
from pipelines.polyp.lesion.config import FinderPlan
from pipelines.polyp.lesion.trained import load_weights


@dataclass(frozen=True, slots=True, eq=False)
class TrainedDepth:
    """network: in evaluation mode on the device it was loaded for. config, sha256: of the folder."""

    name: str
    plan: FinderPlan
    network: DepthNetwork
    config: Mapping[str, Any]
    sha256: str


def save_trained(
    folder: Path,
    *,
    plan: FinderPlan,
    weights: Mapping[str, Tensor],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    files: Mapping[str, bytes],
    overwrite: bool = False,
) -> None:
    """Write a model folder. weights: of `DepthNetwork.shared_weights`, kept in half precision. Raises
    ModelError as `save_model` does."""
    save_model(
        folder,
        tensors={name: halved(tensor) for name, tensor in weights.items()},
        config={"task": TASK, "network": plan.model_dump(mode="json"), "training": dict(training)},
        metrics=metrics,
        card=card,
        files=files,
        overwrite=overwrite,
    )


def load_trained(folder: Path, *, engine: str = "auto", device: torch.device | None = None) -> TrainedDepth:
    """Load an estimator. Raises ModelError, in words for the user, if the folder holds none."""
    stored = load_model(folder, task=TASK)
    try:
        plan = FinderPlan.model_validate(stored.config["network"])
    except (KeyError, ValidationError) as error:
        raise ModelError(f"{stored.path / 'config.json'} names no valid network: {error}") from error
    with sized_as(stored):
        network = DepthNetwork(load_engine(engine), plan)
    load_weights(network, folder, stored.tensors, device)
    return TrainedDepth(stored.name, plan, network, stored.config, stored.sha256)
