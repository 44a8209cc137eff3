"""From frames with maps of depth to a model folder that estimates depths."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import environment, resolve_device, suite_version
from pipelines.common.models import check_model_target, halved, single
from pipelines.polyp.config import ReadLimits
from pipelines.polyp.data import Polyp
from pipelines.polyp.data.splits import hold_out
from pipelines.polyp.depth.card import card
from pipelines.polyp.depth.config import DepthConfig
from pipelines.polyp.depth.fit import depth_errors, fit
from pipelines.polyp.depth.frames import DepthFrame, depth_frames
from pipelines.polyp.depth.network import DepthNetwork
from pipelines.polyp.depth.trained import save_trained
from pipelines.polyp.train.store import store_polyps

Say = Callable[[str], None]
# Settings that leave the weights as they are: with others, a training that was stopped still goes on.
WITHOUT_EFFECT = {"device", "threads", "notes", "data_terms", *ReadLimits.model_fields}


def train_depth(
    polyps: Sequence[Polyp],
    out: Path,
    config: DepthConfig,
    *,
    name: str,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: Say = lambda text: None,
) -> dict[str, Any]:
    """Train on frames with maps of depth and a camera, and write the model folder `out`; returns its metrics.

    name: what the data is called. Frames without either, and polyps without a size, are left out. Frames made
    ready and checkpoints lie beside `out` in `.<name>.training` until the model is written. Raises UserError.
    """
    check_model_target(out, overwrite=overwrite)
    device = resolve_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    scratch = out.with_name(f".{out.name}.training")
    if not resume:
        shutil.rmtree(scratch, ignore_errors=True)
    fold = hold_out([one for one in polyps if one.size_mm is not None], config.held_out, seed=config.seed)
    outside = {one.id for one in fold.held_out}
    stored, left_out = store_polyps(
        [*fold.train, *fold.held_out],
        config.max_side,
        config.frames_per_polyp,
        scratch / "frames",
        progress,
        depth=True,
        max_pixels=config.max_pixels,
    )
    side = config.network.side
    training = depth_frames([one for one in stored if one.id not in outside], side)
    held_out = depth_frames([one for one in stored if one.id in outside], side)
    if not training or not held_out:
        raise UserError("there are no frames with a map of depth and a calibrated camera on both sides")
    torch.manual_seed(config.seed)
    network = DepthNetwork(load_engine(config.engine), config.network)
    state = fit(
        network,
        training,
        config,
        device=device,
        scratch=scratch,
        fingerprint=_fingerprint(stored, config),
        progress=progress,
    )
    # As the folder keeps them, so that what is measured is what is used.
    weights = {key: halved(one).clone() for key, one in network.cpu().shared_weights().items()}
    network.load_shared({key: single(one) for key, one in weights.items()})
    metrics = {
        "polyps": len({one.polyp for one in training}),
        "frames": len(training),
        "parameters": sum(one.numel() for one in network.parameters()),
        "steps": config.epochs * config.steps_per_epoch,
        "seconds": round(state.seconds, 1),
        "scores": _scores(network.to(device).eval(), training, held_out, config, device),
        "left_out": [{"name": one.name, "reason": one.reason} for one in left_out],
        "suite": suite_version(),
        "environment": environment(),
        "command": command,
    }
    save_trained(
        out,
        plan=config.network,
        weights=weights,
        training={**config.model_dump(mode="json", exclude={"network"}), "data": name},
        metrics=metrics,
        card=card(out.name, config, name, metrics),
        files={"log.csv": (scratch / "depth" / "log.csv").read_bytes()},
        overwrite=overwrite,
    )
    shutil.rmtree(scratch, ignore_errors=True)
    return metrics


def _scores(
    network: DepthNetwork,
    training: Sequence[DepthFrame],
    held_out: Sequence[DepthFrame],
    config: DepthConfig,
    device: torch.device,
) -> dict[str, float | int | None]:
    """Mean absolute errors on the held-out frames, of the network and of the training's median depth."""
    errors = depth_errors(network, held_out, device=device, precision=config.precision)
    lesions = [one.lesion for one in errors if one.lesion is not None]
    learnt, own = _lesion_logs(training), _lesion_logs(held_out)
    common = np.median([np.median(_logs(one)) for one in training if one.depth.any()])
    return {
        "frames": len(errors),
        "polyps": len({one.polyp for one in errors}),
        "lesion": float(np.mean(np.abs(lesions))) if lesions else None,
        "lesion_unknowing": float(np.mean(np.abs(np.array(own) - np.median(learnt))))
        if own and learnt
        else None,
        "frame": float(np.mean([one.frame for one in errors])),
        "frame_unknowing": float(
            np.mean([np.abs(_logs(one) - common).mean() for one in held_out if one.depth.any()])
        ),
    }


def _logs(frame: DepthFrame) -> Any:
    return np.log(frame.depth[frame.depth > 0])


def _lesion_logs(frames: Sequence[DepthFrame]) -> list[float]:
    """The logarithm of the median depth of each lesion that has one."""
    parts = [one.depth[one.lesion & (one.depth > 0)] for one in frames]
    return [float(np.log(np.median(part))) for part in parts if len(part)]


def _fingerprint(stored: Sequence[Any], config: DepthConfig) -> str:
    """Data and settings, but for those that change nothing in the result."""
    settings = config.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    content = [[one.id, one.content] for one in stored]
    return hashlib.sha256(json.dumps([content, settings], sort_keys=True).encode()).hexdigest()
