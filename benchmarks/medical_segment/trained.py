"""One network per contestant and fold, trained once and kept in the benchmark's cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.cache import fingerprint
from benchmarks.medical_segment.data import split
from benchmarks.medical_segment.recipe import Recipe, make_plan, training
from pipelines.common.engines import load_engine
from pipelines.medical.config import NetworkName
from pipelines.medical.model.networks import Network
from pipelines.medical.model.trained import network_of
from pipelines.medical.train.cases import TrainingCase
from pipelines.medical.train.run import train_one


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """tensors: as `Network.load_shared` takes them. record: seconds and losses of the training."""

    tensors: dict[str, Tensor]
    record: dict[str, Any]


def trained(
    name: NetworkName,
    fold: int,
    cases: Sequence[TrainingCase],
    recipe: Recipe,
    folder: Path,
    say: Callable[[str], None],
) -> Weights:
    """The weights of a network that has not seen case number `fold`; a training broken off goes on."""
    plan, config = make_plan(name, recipe), training(recipe)
    used, _ = split(cases, fold)
    files = [path for case in used for path in (*case.case.images, case.case.labels) if path]
    follows = [plan.model_dump(mode="json"), config.model_dump(mode="json"), list(map(fingerprint, files))]
    key = blake2b(json.dumps(follows, sort_keys=True).encode(), digest_size=6).hexdigest()
    target = folder / f"{name}-{fold}-{key}.safetensors"
    if not target.exists():
        say(f"training {name}, fold {fold}")
        scratch = target.with_suffix(".training")
        done = train_one(
            used,
            [],
            plan,
            config,
            scratch,
            start=None,
            device=torch.device("cpu"),
            progress=say,
        )
        losses = (scratch / "log.csv").read_text(encoding="utf-8").splitlines()
        part = target.with_suffix(".new")
        tensors = {key: value.contiguous() for key, value in done.weights.items()}
        save_file(tensors, part, {"record": json.dumps({**done.record, "log": losses})})
        part.replace(target)
    with safe_open(target, framework="pt") as file:
        record = json.loads((file.metadata() or {})["record"])
        return Weights({key: file.get_tensor(key) for key in file.keys()}, record)  # noqa: SIM118


def with_weights(name: NetworkName, weights: Weights, recipe: Recipe) -> Network:
    """The network in evaluation mode. Weights of our two networks fit either."""
    network = network_of(make_plan(name, recipe), load_engine("native"))
    with torch.no_grad():
        network.load_shared(weights.tensors)
    return network.eval()
