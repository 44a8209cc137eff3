"""A trained model, from and to a model folder: the plan, and one network per fold that was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from pipelines.common.building import sized_as
from pipelines.common.engines import load_engine
from pipelines.common.models import ModelError, ModelFolder, halved, load_model, named, save_model, single
from pipelines.medical.config import TASK, Plan
from pipelines.medical.flips import EVERY, Mirror
from pipelines.medical.model.networks import Network, build_network

SEGMENTER, ENCODER_MODEL = "segmenter", "encoder"


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """members: networks in evaluation mode on `device`; several are averaged. mirror: the axes along which
    training patches were flipped. sha256: of the folder."""

    name: str
    plan: Plan
    members: Sequence[Network]
    device: torch.device
    sha256: str
    mirror: Mirror = EVERY

    @property
    def label_values(self) -> list[int]:
        """The value that a label map gets for each channel of the logits, the background's 0 first."""
        return [0, *self.plan.labels.values()]


def network_of(plan: Plan, engine: ModuleType) -> Network:
    """An untrained network for the plan."""
    return build_network(
        plan.network,
        in_channels=len(plan.channels),
        classes=1 + len(plan.labels),
        patch=plan.patch,
        engine=engine,
    )


def save_trained(
    folder: Path,
    *,
    plan: Plan,
    members: Sequence[Mapping[str, Tensor]],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    files: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model folder.

    members: `Network.shared_weights` of each, kept in half precision to halve the folder, but for numbers too
        large for it. files: what else lies in it, by name.
    """
    tensors = {
        f"member{number}.{name}": halved(tensor)
        for number, weights in enumerate(members)
        for name, tensor in weights.items()
    }
    config = {
        "task": TASK,
        "kind": SEGMENTER,
        "plan": plan.model_dump(mode="json"),
        "members": len(members),
        "training": dict(training),
    }
    save_model(
        folder, tensors=tensors, config=config, metrics=metrics, card=card, files=files, overwrite=overwrite
    )


def load_trained(folder: Path, *, engine: str = "auto", device: torch.device | None = None) -> TrainedModel:
    """Load a segmenter. Raises ModelError, in words for the user, if the folder holds none."""
    device = device or torch.device("cpu")
    stored = load_model(folder, task=TASK)
    if stored.config.get("kind") != SEGMENTER:
        raise ModelError(
            f"the model {named(folder)} is a pretrained encoder: it segments nothing yet;"
            f" train from it with suite medical train DATA --from {named(folder)} --out MODEL"
        )
    plan = read_plan(stored)
    namespace = load_engine(engine)
    members = []
    try:
        for number in range(int(stored.config["members"])):
            with sized_as(stored):
                network = network_of(plan, namespace)
            network.load_shared(member_tensors(stored, number))
            members.append(network.to(device).eval())
        mirror = _mirror(stored)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise ModelError(f"the model {folder} is damaged: {error}") from error
    if not members:
        raise ModelError(f"the model {folder} is damaged: it has no networks")
    return TrainedModel(stored.name, plan, tuple(members), device, stored.sha256, mirror)


def _mirror(stored: ModelFolder) -> Mirror:
    told = stored.config.get("training", {}).get("mirror")
    return tuple(name for name in EVERY if told is None or name in told)


def read_plan(stored: ModelFolder) -> Plan:
    """The plan of a model folder. Raises ModelError."""
    try:
        return Plan.model_validate(stored.config["plan"])
    except (KeyError, ValidationError) as error:
        raise ModelError(f"{stored.path / 'config.json'} holds no valid plan: {error}") from error


def member_tensors(stored: ModelFolder, number: int) -> dict[str, Tensor]:
    """The weights of one member, in single precision, under the names of `Network.shared_weights`."""
    prefix = f"member{number}."
    return {
        name.removeprefix(prefix): single(tensor)
        for name, tensor in stored.tensors.items()
        if name.startswith(prefix)
    }
