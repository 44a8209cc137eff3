"""`suite polyp train`: prepare, train, measure on held-out patients, calibrate, write the model folder."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.common.engines import load_engine
from pipelines.common.hardware import environment, resolve_device, suite_version
from pipelines.common.models import check_model_target
from pipelines.common.tables import Table
from pipelines.common.training.spread.world import ALONE, World
from pipelines.polyp.aggregate import (
    FrameSize,
    PolypSize,
    Scale,
    agreeing,
    calibrate,
    pooled,
    size_polyp,
)
from pipelines.polyp.config import ReadLimits
from pipelines.polyp.data import Polyp
from pipelines.polyp.data.splits import Fold, hold_out
from pipelines.polyp.depth.estimate import load_estimator
from pipelines.polyp.metrics import Sized, summarise
from pipelines.polyp.model.gates import begin_at, gates_of
from pipelines.polyp.model.network import Sizer, build_network
from pipelines.polyp.model.resnet import ResNet18, load_resnet18
from pipelines.polyp.model.trained import save_trained
from pipelines.polyp.model.vit import ViT, load_vit
from pipelines.polyp.train.card import SCORES_TOLD, card
from pipelines.polyp.train.config import TrainConfig
from pipelines.polyp.train.fit import fit
from pipelines.polyp.train.measure import frame_sizes
from pipelines.polyp.train.store import LeftOut, StoredPolyp, store_polyps

Say = Callable[[str], None]
HELD_OUT_COLUMNS = (
    *("polyp", "patient", "true_mm", "censored", "mm", "low", "high"),
    *("decision", "frames", "abstained"),
)
# Settings that leave the weights as they are: with others, a training that was stopped still goes on.
WITHOUT_EFFECT = {
    *("device", "threads", "notes", "data_terms", "confidence", "tensorboard"),
    *ReadLimits.model_fields,
}


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network: its weights, its calibration, what is said of it, and files of its folder."""

    weights: dict[str, Tensor]
    calibration: dict[str, Tensor]
    record: dict[str, Any]
    files: dict[str, bytes]


def train(
    polyps: Sequence[Polyp],
    out: Path,
    config: TrainConfig,
    *,
    name: str,
    backbone_weights: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Say = lambda text: None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train on polyps of known size and write the model folder `out`; returns its metrics.

    name: what the data is called. backbone_weights: of torchvision's resnet18 or timm's ViT-T/16. Frames made
    ready and checkpoints lie beside `out` in `.<name>.training` until the model is written. world: the
    processes that train together, of which the first writes. Raises UserError.
    """
    world.first(lambda: check_model_target(out, overwrite=overwrite))
    device = world.device or resolve_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    new_network(config, backbone_weights)
    scratch = out.with_name(f".{out.name}.training")
    if not resume:
        world.first(lambda: shutil.rmtree(scratch, ignore_errors=True))
    known = [one for one in polyps if one.size_mm is not None]
    unknown = [LeftOut(one.id, "its size is not known") for one in polyps if one.size_mm is None]
    fold = hold_out(known, config.held_out, seed=config.seed) if config.held_out else Fold(tuple(known), ())
    training, held_out, left_out = world.after_first(
        lambda: prepare(fold, config, scratch / "frames", progress)
    )
    done = train_one(
        training,
        held_out,
        config,
        scratch,
        backbone_weights=backbone_weights,
        device=device,
        progress=progress,
        world=world,
    )
    metrics = metrics_of(done, [*unknown, *left_out], command)

    def write() -> dict[str, Any]:
        write_model(out, done, metrics, config, training, name=name, overwrite=overwrite)
        shutil.rmtree(scratch, ignore_errors=True)
        return metrics

    return world.first(write)


def prepare(
    fold: Fold, config: TrainConfig, folder: Path, progress: Say
) -> tuple[list[StoredPolyp], list[StoredPolyp], list[LeftOut]]:
    """Polyps to train on, held-out ones, and what is in neither; their frames are made ready in `folder`."""
    outside = {one.id for one in fold.held_out}
    estimator = None
    if config.depth_model != "none":
        estimator = load_estimator(config.depth_model, device=config.device)
    stored, left_out = store_polyps(
        [*fold.train, *fold.held_out],
        config.max_side,
        config.frames_per_polyp,
        folder,
        progress,
        depth=config.network.depth,
        estimator=estimator,
        max_pixels=config.max_pixels,
    )
    return (
        [one for one in stored if one.id not in outside],
        [one for one in stored if one.id in outside],
        left_out,
    )


def new_network(config: TrainConfig, backbone_weights: Path | None = None) -> Sizer:
    """What is trained, the same for the same seed."""
    torch.manual_seed(config.seed)
    network = build_network(config.network, load_engine(config.engine))
    begin_at(network, config.gate_start)
    if backbone_weights is not None:
        for one in network.modules():
            if isinstance(one, ResNet18):
                load_resnet18(one, backbone_weights)
            elif isinstance(one, ViT):
                load_vit(one, backbone_weights)
    return network


def train_one(
    training: Sequence[StoredPolyp],
    held_out: Sequence[StoredPolyp],
    config: TrainConfig,
    scratch: Path,
    *,
    backbone_weights: Path | None = None,
    device: torch.device,
    progress: Say,
    world: World = ALONE,
) -> Trained:
    """Train one network, resumable in the folder `scratch`, and measure it on all held-out polyps.

    world: the processes that train together, of which the first measures.
    """
    network = new_network(config, backbone_weights)
    state = fit(
        network,
        training,
        held_out,
        config,
        device=device,
        scratch=scratch,
        fingerprint=_fingerprint(training, held_out, config, backbone_weights),
        progress=progress,
        world=world,
    )
    held_out = held_out if world.is_first else ()
    progress("measuring the held-out polyps")
    ask = partial(frame_sizes, network, device=device, precision=config.precision)
    frames = [ask(one, scale="camera") for one in held_out]
    median = float(np.median([one.mm for one in training]))
    sizes = cross_sized(held_out, frames, config.confidence)
    record = {
        "polyps": len(training),
        "frames": sum(len(one.frames) for one in training),
        "held_out": len(held_out),
        "parameters": sum(one.numel() for one in network.parameters()),
        "epochs": state.epoch,
        "seconds": round(state.seconds, 1),
        "median_mm": median,
        "gates": {name: _openness(gate.open()) for name, gate in gates_of(network).items()},
        "scores": scores_of(held_out, sizes, frames, median),
    }
    calibration = _calibration(held_out, frames)
    for scale in _other_scales(held_out, config):
        told = [ask(one, scale=scale) for one in held_out]
        sizes_told = cross_sized(held_out, told, config.confidence)
        record[SCORES_TOLD[scale]] = scores_of(held_out, sizes_told, told, median)
        calibration |= _calibration(held_out, told, scale)
    files = {"held_out.csv": held_out_table(held_out, sizes), "log.csv": _log(scratch)}
    weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
    return Trained(weights, calibration, record, files)


def _other_scales(held_out: Sequence[StoredPolyp], config: TrainConfig) -> list[Scale]:
    """What else the network is told of the held-out polyps: nothing where it learnt to do without a camera,
    their own maps where it learnt from estimates."""
    frames = [frame for one in held_out for frame in one.frames]
    found: list[Scale] = []
    if any(one.depth is not None and one.estimated is not None for one in frames):
        found.append("map")
    if config.forget_camera and any(one.camera for one in frames):
        found.append("nothing")
    return found


def cross_sized(
    polyps: Sequence[StoredPolyp], frames: Sequence[Sequence[FrameSize]], confidence: float
) -> list[PolypSize]:
    """The size of each held-out polyp, its interval calibrated on all the others."""
    found = []
    for number in range(len(polyps)):
        others = [i for i in range(len(polyps)) if i != number]
        calibration = _calibration([polyps[i] for i in others], [frames[i] for i in others])
        found.append(size_polyp(frames[number], calibration, confidence=confidence))
    return found


def scores_of(
    polyps: Sequence[StoredPolyp],
    sizes: Sequence[PolypSize],
    frames: Sequence[Sequence[FrameSize]],
    median_mm: float,
) -> dict[str, Any]:
    """Metrics at the level of polyps, then of frames; empty without held-out polyps."""
    if not polyps:
        return {}
    of_polyps = [
        Sized(one.id, one.mm, size.mm, one.id, one.patient, one.censored, size.low, size.high)
        for one, size in zip(polyps, sizes, strict=True)
    ]
    of_frames = [
        Sized(
            f"{one.id}/{frame.name}",
            one.mm,
            None if frame.reason else frame.mm,
            one.id,
            one.patient,
            one.censored,
        )
        for one, some in zip(polyps, frames, strict=True)
        for frame in some
    ]
    return {
        "polyp": summarise(of_polyps, "polyp", median_mm=median_mm),
        "frame": summarise(of_frames, "frame", median_mm=median_mm),
        "abstained": sum(one.mm is None for one in sizes),
        "indeterminate": sum(one.mm is not None and one.near is not None for one in sizes),
    }


def held_out_table(polyps: Sequence[StoredPolyp], sizes: Sequence[PolypSize]) -> bytes:
    """CSV: what was said of each held-out polyp, with the interval that the others lead to."""
    text = io.StringIO(newline="")
    table = Table(text, HELD_OUT_COLUMNS)
    for one, size in zip(polyps, sizes, strict=True):
        numbers = ["" if value is None else f"{value:.4g}" for value in (size.mm, size.low, size.high)]
        cells = (
            *(one.id, one.patient, f"{one.mm:g}", int(one.censored)),
            *numbers,
            *(size.decision, len(size.used), size.abstained),
        )
        table.writerow(dict(zip(HELD_OUT_COLUMNS, cells, strict=True)))
    return text.getvalue().encode()


def write_model(
    out: Path,
    trained: Trained,
    metrics: Mapping[str, Any],
    config: TrainConfig,
    training: Sequence[StoredPolyp],
    *,
    name: str,
    overwrite: bool = False,
) -> None:
    """Write the model folder `out` with its card. metrics: of `metrics_of`. name: of the data."""
    facts = {
        **config.model_dump(mode="json", exclude={"network"}),
        "data": name,
        "polyps": [one.id for one in training],
        "contents": [one.content for one in training],
        "cameras": sum(any(frame.camera for frame in one.frames) for one in training),
    }
    save_trained(
        out,
        plan=config.network,
        weights=trained.weights,
        calibration=trained.calibration,
        training=facts,
        metrics=metrics,
        card=card(out.name, config, name, metrics),
        files=trained.files,
        overwrite=overwrite,
    )


def metrics_of(trained: Trained, left_out: Sequence[LeftOut], command: str) -> dict[str, Any]:
    """The record of the training, what was left out, and where it ran."""
    return {
        **trained.record,
        "left_out": [{"name": one.name, "reason": one.reason} for one in left_out],
        "suite": suite_version(),
        "environment": environment(),
        "command": command,
    }


def _calibration(
    polyps: Sequence[StoredPolyp], frames: Sequence[Sequence[FrameSize]], scale: Scale = "camera"
) -> dict[str, Tensor]:
    """Of polyps with a known size of which at least one frame can be used."""
    true, shares = [], []
    for polyp, some in zip(polyps, frames, strict=True):
        usable = [one for one in some if not one.reason]
        if usable and not polyp.censored:
            true.append(polyp.mm)
            shares.append(pooled(agreeing(usable)[0]))
    return calibrate(true, shares, scale=scale)


def _openness(open_: Tensor) -> dict[str, float]:
    """How far the gates of one place are open: mean, least and most."""
    values = open_.detach().float().cpu()
    return {
        "mean": round(float(values.mean()), 4),
        "least": round(float(values.min()), 4),
        "most": round(float(values.max()), 4),
    }


def _log(scratch: Path) -> bytes:
    path = scratch / "log.csv"
    return path.read_bytes() if path.exists() else b""


def _fingerprint(
    training: Sequence[StoredPolyp],
    held_out: Sequence[StoredPolyp],
    config: TrainConfig,
    backbone_weights: Path | None,
) -> str:
    """Data, labels and settings, but for those that change nothing in the result."""
    settings = config.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    content = [
        [[one.id, one.mm, one.censored, [[f.name, f.box] for f in one.frames]] for one in part]
        for part in (training, held_out)
    ]
    digest = hashlib.sha256(json.dumps([content, settings], sort_keys=True).encode())
    if backbone_weights is not None:
        digest.update(backbone_weights.read_bytes())
    return digest.hexdigest()
