"""`suite crowd train`: prepare, train, measure on held-out images, calibrate, write the model folder."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, resolve_device, suite_version
from pipelines.common.models import check_model_target
from pipelines.common.tables import Table
from pipelines.common.training.spread.world import ALONE, World
from pipelines.crowd.calibration import calibrate, cross_intervals
from pipelines.crowd.config import NetworkPlan, ReadLimits
from pipelines.crowd.data import Case
from pipelines.crowd.metrics import score_image, summarise
from pipelines.crowd.model.cost import parameters
from pipelines.crowd.model.network import CrowdNetwork
from pipelines.crowd.model.networks import build_network, start_from
from pipelines.crowd.model.sparse_counter import SparseCounter
from pipelines.crowd.model.trained import save_trained
from pipelines.crowd.train.card import card
from pipelines.crowd.train.config import TrainConfig
from pipelines.crowd.train.fit import fit
from pipelines.crowd.train.images import LeftOut, TrainingImage, prepare_images
from pipelines.crowd.train.measure import Counted, count_images, gate_threshold
from pipelines.crowd.train.split import split_cases

Say = Callable[[str], None]
HELD_OUT_COLUMNS = ("image", "true", "count", "low", "high", "variance", "deviations", "recall", "refined")
# Settings that do not change what is learnt.
AFTERWARDS = {
    *("device", "threads", "notes", "data_terms", "confidence", "gate_recall", "tensorboard"),
    *ReadLimits.model_fields,
}


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network: its plan with the gate's threshold, its shared weights, its calibration, what is
    said of it, and files of its folder."""

    plan: NetworkPlan
    weights: dict[str, Tensor]
    calibration: dict[str, Tensor]
    record: dict[str, Any]
    files: dict[str, bytes]


def train(
    data: Mapping[str, Sequence[Case]],
    out: Path,
    config: TrainConfig,
    *,
    encoder_weights: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Say = lambda text: None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train on the labelled cases of one or several data sets and write the model folder `out`; returns its
    metrics.

    data: cases by what their data set is called. encoder_weights: see `networks.start_from`. Decoded images
    and checkpoints lie beside `out` in `.<name>.training` until the model is written. world: the processes
    that train together, of which the first writes. Raises UserError.
    """
    world.first(lambda: check_model_target(out, overwrite=overwrite))
    device = world.device or resolve_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    new_network(config, encoder_weights)
    scratch = out.with_name(f".{out.name}.training")
    if not resume:
        world.first(lambda: shutil.rmtree(scratch, ignore_errors=True))
    training, held_out, left_out = world.after_first(
        lambda: read_images(data, config, scratch / "images", progress)
    )
    done = train_one(
        training,
        held_out,
        config,
        scratch,
        encoder_weights=encoder_weights,
        device=device,
        progress=progress,
        world=world,
    )
    metrics = metrics_of(done, left_out, command)

    def write() -> dict[str, Any]:
        write_model(out, done, metrics, config, training, name=", ".join(data), overwrite=overwrite)
        shutil.rmtree(scratch, ignore_errors=True)
        return metrics

    return world.first(write)


def read_images(
    data: Mapping[str, Sequence[Case]], config: TrainConfig, folder: Path, progress: Say
) -> tuple[list[TrainingImage], list[TrainingImage], list[LeftOut]]:
    """Images to train on, images held out of each data set, and what is in neither; decoded into `folder`.

    Where there are several data sets, the name of an image begins with that of its own.
    """
    training: list[Case] = []
    held_out: list[Case] = []
    source: dict[str, str] = {}
    for name, cases in data.items():
        prefix = f"{name}/" if len(data) > 1 else ""
        named = [replace(case, name=prefix + case.name) for case in cases]
        source |= {case.name: name for case in named}
        inside, outside = split_cases(named, config.held_out, config.seed)
        training += inside
        held_out += outside
    images, left_out = prepare_images(
        [*training, *held_out],
        config.max_side,
        folder,
        progress,
        enlarge=config.enlarge,
        max_pixels=config.max_pixels,
    )
    images = [replace(one, data=source[one.name]) for one in images]
    kept = {case.name for case in held_out}
    inner = [one for one in images if one.name not in kept]
    if not inner:
        raise UserError("no image that could be read is left to train on")
    return inner, [one for one in images if one.name in kept], left_out


def new_network(config: TrainConfig, encoder_weights: Path | None = None) -> CrowdNetwork:
    """What is trained, the same for the same seed."""
    torch.manual_seed(config.seed)
    network = build_network(config.network, load_engine(config.engine))
    if encoder_weights is not None:
        start_from(network, encoder_weights)
    return network


def train_one(
    training: Sequence[TrainingImage],
    held_out: Sequence[TrainingImage],
    config: TrainConfig,
    scratch: Path,
    *,
    encoder_weights: Path | None = None,
    device: torch.device,
    progress: Say,
    world: World = ALONE,
) -> Trained:
    """Train one network, resumable in the folder `scratch`, and measure it on all held-out images.

    world: the processes that train together, of which the first measures.
    """
    network = new_network(config, encoder_weights)
    state = fit(
        network,
        training,
        held_out,
        config,
        device=device,
        scratch=scratch,
        fingerprint=_fingerprint(training, held_out, config, encoder_weights),
        progress=progress,
        world=world,
    )
    training, held_out = (training, held_out) if world.is_first else ((), ())
    if config.gate_recall and isinstance(network, SparseCounter) and not network.dense:
        progress("setting the threshold of the gate")
        network.threshold = gate_threshold(
            network, training, config.gate_recall, device=device, precision=config.precision
        )
    progress("measuring the held-out images")
    counted = list(count_images(network, held_out, device=device, precision=config.precision))
    record = {
        "images": len(training),
        "people": sum(len(one.points) for one in training),
        "held_out": len(held_out),
        "parameters": parameters(network),
        "epochs": state.epoch,
        "seconds": round(state.seconds, 1),
        "scores": scores_of(counted, config.confidence),
        "data": scores_by_data(counted, config.confidence),
    }
    weights = {name: value.detach().cpu().clone() for name, value in network.shared_weights().items()}
    table = {"held_out.csv": held_out_table(counted, config.confidence), "log.csv": _log(scratch)}
    threshold = network.threshold if isinstance(network, SparseCounter) else config.network.threshold
    plan = config.network.model_copy(update={"threshold": threshold})
    return Trained(plan, weights, calibrate(*_columns(counted)), record, table)


def scores_of(counted: Sequence[Counted], confidence: float) -> dict[str, Any]:
    """Metrics over held-out images, as `metrics.summarise` gives them, and what the gate did.

    The interval of each image is calibrated on the others.
    """
    return _scores(counted, cross_intervals(*_columns(counted), confidence)) if counted else {}


def scores_by_data(counted: Sequence[Counted], confidence: float) -> dict[str, Any]:
    """The same for each data set, where there are several; intervals are calibrated on images of all."""
    names = list(dict.fromkeys(one.image.data for one in counted))
    if len(names) < 2:
        return {}
    ends = cross_intervals(*_columns(counted), confidence)
    found = {}
    for name in names:
        some = [number for number, one in enumerate(counted) if one.image.data == name]
        found[name] = _scores([counted[i] for i in some], [ends[i] for i in some])
    return found


def _scores(counted: Sequence[Counted], intervals: Sequence[tuple[float, float] | None]) -> dict[str, Any]:
    images = [
        score_image(
            one.image.name,
            one.image.points,
            one.image.height,
            one.image.width,
            one.count,
            interval=ends,
            density=one.counts,
            cell=one.stride,
        )
        for one, ends in zip(counted, intervals, strict=True)
    ]
    found = summarise(images)
    people = sum(len(one.image.points) for one in counted if one.recall is not None)
    if any(one.refined is not None for one in counted):
        reached = sum(one.recall * len(one.image.points) for one in counted if one.recall is not None)
        shares = [one.refined for one in counted if one.refined is not None]
        found["gate_recall"] = reached / people if people else None
        found["refined"] = sum(shares) / len(shares)
    return found


def held_out_table(counted: Sequence[Counted], confidence: float) -> bytes:
    """CSV: what was counted in each held-out image, with the interval that the other images lead to."""
    text = io.StringIO(newline="")
    table = Table(text, HELD_OUT_COLUMNS)
    for one, ends in zip(counted, cross_intervals(*_columns(counted), confidence), strict=True):
        numbers = [one.count, *(ends or (None, None)), one.variance, one.deviations, one.recall, one.refined]
        shown = ["" if value is None else f"{value:.6g}" for value in numbers]
        cells = (one.image.name, len(one.image.points), *shown)
        table.writerow(dict(zip(HELD_OUT_COLUMNS, cells, strict=True)))
    return text.getvalue().encode()


def write_model(
    out: Path,
    trained: Trained,
    metrics: Mapping[str, Any],
    config: TrainConfig,
    training: Sequence[TrainingImage],
    *,
    name: str,
    overwrite: bool = False,
) -> None:
    """Write the model folder `out` with its card. metrics: of `metrics_of`. name: of the data."""
    facts = {
        **config.model_dump(mode="json", exclude={"network"}),
        "data": name,
        "images": [one.name for one in training],
    }
    save_trained(
        out,
        plan=trained.plan,
        weights=trained.weights,
        training=facts,
        metrics=metrics,
        card=card(out.name, config, name, metrics),
        calibration=trained.calibration,
        files=trained.files,
        overwrite=overwrite,
    )


def metrics_of(trained: Trained, left_out: Sequence[LeftOut], command: str) -> dict[str, Any]:
    """The record of the training, what was left out, and where it ran."""
    return {
        **trained.record,
        "left_out": [{"image": one.name, "reason": one.reason} for one in left_out],
        "suite": suite_version(),
        "environment": environment(),
        "command": command,
    }


def _columns(
    counted: Sequence[Counted],
) -> tuple[list[float], list[float], list[float | None], list[float | None]]:
    return (
        [float(len(one.image.points)) for one in counted],
        [one.count for one in counted],
        [one.variance for one in counted],
        [one.deviations for one in counted],
    )


def _log(scratch: Path) -> bytes:
    path = scratch / "log.csv"
    return path.read_bytes() if path.exists() else b""


def _fingerprint(
    training: Sequence[TrainingImage],
    held_out: Sequence[TrainingImage],
    config: TrainConfig,
    encoder_weights: Path | None,
) -> str:
    """Data, labels and settings, but for those that change nothing in the result."""
    settings = config.model_dump(mode="json", exclude=AFTERWARDS)
    digest = hashlib.sha256()
    for part in (training, held_out):
        for one in part:
            digest.update(json.dumps([one.name, one.data, one.height, one.width]).encode())
            digest.update(one.points.tobytes())
    if encoder_weights is not None:
        digest.update(encoder_weights.read_bytes())
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()
