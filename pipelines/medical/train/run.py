"""`suite medical train`: prepare, train each fold, measure it, write the model folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, resolve_device, suite_version
from pipelines.common.models import check_model_target
from pipelines.common.training.spread.world import ALONE, World
from pipelines.medical.config import Plan, ReadLimits
from pipelines.medical.data.dataset import Dataset
from pipelines.medical.flips import mirror_for
from pipelines.medical.model.networks import Network
from pipelines.medical.model.trained import network_of, save_trained
from pipelines.medical.plan.rules import check_patch
from pipelines.medical.train.card import card
from pipelines.medical.train.cases import LeftOut, TrainingCase, prepare_cases
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.fit import fit, half_suits
from pipelines.medical.train.folds import split_folds
from pipelines.medical.train.start import Start, begin_from
from pipelines.medical.train.validate import mean_dice

# Settings that leave the weights as they are: with others, a training that was stopped still goes on.
WITHOUT_EFFECT = {"device", "threads", "fold", "notes", "data_terms", *ReadLimits.model_fields}


@dataclass(slots=True)
class Trained:
    """What a training came to. members: weights per network. folds: a record for each."""

    members: list[dict[str, Tensor]] = field(default_factory=list)
    folds: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, bytes] = field(default_factory=dict)


def train(
    data: Dataset,
    plan: Plan,
    out: Path,
    config: TrainConfig,
    *,
    name: str,
    start: Start | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Callable[[str], None] = lambda text: None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train on a data set by its plan and write the model folder `out`; returns its metrics.

    name: what the data set is called. start: the model to begin from. Prepared cases and checkpoints lie
    beside `out` in `.<name>.training` until the model is written. world: the processes that train together,
    of which the first writes. Raises UserError.
    """
    world.first(lambda: check_model_target(out, overwrite=overwrite))
    if config.mirror is None:
        mirror = mirror_for(plan.labels)
        config = config.model_copy(update={"mirror": mirror})
        progress(f"patches are flipped along {', '.join(mirror)}")
    device = world.device or resolve_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    _check(data, plan, config, start)
    scratch = out.with_name(f".{out.name}.training")
    if not resume:
        world.first(lambda: shutil.rmtree(scratch, ignore_errors=True))
    cases, left_out = world.after_first(
        lambda: prepare_cases(data.cases, plan, scratch / "cases", progress, max_voxels=config.max_voxels)
    )
    if not any(case.places for case in cases):
        named = ", ".join(f"{label}={value}" for label, value in plan.labels.items())
        raise UserError(f"no label map holds a label of the plan ({named}): there is nothing to learn")
    trained = train_folds(
        cases, plan, config, scratch, start=start, device=device, progress=progress, world=world
    )
    metrics = metrics_of(trained, plan, left_out, command)

    def write() -> dict[str, Any]:
        write_model(out, trained, metrics, plan, config, cases, name=name, start=start, overwrite=overwrite)
        shutil.rmtree(scratch, ignore_errors=True)
        return metrics

    return world.first(write)


def write_model(
    out: Path,
    trained: Trained,
    metrics: Mapping[str, Any],
    plan: Plan,
    config: TrainConfig,
    cases: Sequence[TrainingCase],
    *,
    name: str,
    start: Start | None = None,
    overwrite: bool = False,
) -> None:
    """Write the model folder `out` with its card. metrics: of `metrics_of`. name, start: see `train`."""
    training = {
        **config.model_dump(mode="json"),
        "data": name,
        "cases": [case.case.name for case in cases],
        "from": {"name": start.name, "kind": start.kind, "sha256": start.sha256} if start else None,
    }
    save_trained(
        out,
        plan=plan,
        members=trained.members,
        training=training,
        metrics=metrics,
        card=card(out.name, plan, training, metrics),
        files=trained.logs,
        overwrite=overwrite,
    )


def _check(data: Dataset, plan: Plan, config: TrainConfig, start: Start | None) -> None:
    """Raise UserError for what cannot be trained, before cases are prepared, which takes long."""
    _wanted(config)
    labelled = [case.name for case in data.cases if case.labels is not None]
    if config.fold != "none" and labelled:
        split_folds(labelled, config.folds, config.seed)
    check_patch(plan.patch, plan.network)
    _network(plan, config, start)


def train_folds(
    cases: Sequence[TrainingCase],
    plan: Plan,
    config: TrainConfig,
    scratch: Path,
    *,
    start: Start | None = None,
    device: torch.device,
    progress: Callable[[str], None] = lambda text: None,
    world: World = ALONE,
) -> Trained:
    """Train the networks that `config.fold` asks for, each resumable in a folder of its own in `scratch`."""
    names = [case.case.name for case in cases]
    parts = [] if config.fold == "none" else split_folds(names, config.folds, config.seed)
    found = Trained()
    for number in _wanted(config):
        outside = set(parts[number]) if number is not None else set()
        held_out = [case for case in cases if case.case.name in outside]
        training = [case for case in cases if case.case.name not in outside]
        folder = scratch / ("whole" if number is None else f"fold{number}")
        done = train_one(
            training,
            held_out,
            plan,
            config,
            folder,
            start=start,
            device=device,
            progress=_named(progress, number, config),
            world=world,
        )
        found.members.append(done.weights)
        found.folds.append({"fold": number, "held_out": sorted(outside), **done.record})
        if world.is_first:
            found.logs[f"log-{folder.name}.csv"] = (folder / "log.csv").read_bytes()
    return found


@dataclass(frozen=True, slots=True, eq=False)
class One:
    """One trained network: its shared weights, and what is said of it."""

    weights: dict[str, Tensor]
    record: dict[str, Any]


def train_one(
    training: Sequence[TrainingCase],
    held_out: Sequence[TrainingCase],
    plan: Plan,
    config: TrainConfig,
    folder: Path,
    *,
    start: Start | None,
    device: torch.device,
    progress: Callable[[str], None],
    world: World = ALONE,
) -> One:
    """Train one network and measure it on all held-out cases."""
    network, fresh = _network(plan, config, start)
    fingerprint = _fingerprint(training, held_out, plan, config, start)
    state = fit(
        network,
        training,
        held_out,
        plan,
        config,
        device=device,
        scratch=folder,
        fingerprint=fingerprint,
        progress=progress,
        world=world,
    )
    progress("measuring the held-out cases")
    precision = config.precision if half_suits(network) else "float32"
    dice = (
        world.first(lambda: mean_dice(network, held_out, plan, device=device, precision=precision))
        if held_out
        else {}
    )
    weights = {name: value.detach().cpu().clone() for name, value in network.shared_weights().items()}
    record = {
        "cases": len(training),
        "epochs": state.epoch,
        "seconds": round(state.seconds, 1),
        "dice": {name: round(value, 4) for name, value in dice.items()},
        "began_at_random": len(fresh),
    }
    return One(weights, record)


def _network(plan: Plan, config: TrainConfig, start: Start | None) -> tuple[Network, list[str]]:
    """What is trained, the same for the same seed, and the names of the weights that begin at random."""
    torch.manual_seed(config.seed)
    network = network_of(plan, load_engine(config.engine))
    return network, begin_from(network, plan, start) if start else []


def _wanted(config: TrainConfig) -> list[int | None]:
    if config.fold == "none":
        return [None]
    if config.fold == "all":
        return list(range(config.folds))
    if not 0 <= config.fold < config.folds:
        raise UserError(f"fold must be 0 to {config.folds - 1}, all or none, not {config.fold}")
    return [config.fold]


def _named(progress: Callable[[str], None], number: int | None, config: TrainConfig) -> Callable[[str], None]:
    if number is None:
        return progress
    return lambda text: progress(f"fold {number} of {config.folds}: {text}")


def metrics_of(trained: Trained, plan: Plan, left_out: Sequence[LeftOut], command: str) -> dict[str, Any]:
    """Per fold, and over the folds that held cases out: mean Dice of each label on the prepared grid."""
    measured = [one["dice"] for one in trained.folds if one["dice"]]
    mean = {
        name: round(sum(one[name] for one in measured if name in one) / count, 4)
        for name in plan.labels
        if (count := sum(name in one for one in measured))
    }
    return {
        "folds": trained.folds,
        "dice": mean,
        "left_out": [{"case": one.name, "reason": one.reason} for one in left_out],
        "seconds": round(sum(one["seconds"] for one in trained.folds), 1),
        "suite": suite_version(),
        "environment": environment(),
        "command": command,
    }


def _fingerprint(
    training: Sequence[TrainingCase],
    held_out: Sequence[TrainingCase],
    plan: Plan,
    config: TrainConfig,
    start: Start | None,
) -> str:
    settings = config.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    content = [
        [[case.case.name for case in part] for part in (training, held_out)],
        plan.model_dump(mode="json"),
        settings,
        start.sha256 if start else None,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
