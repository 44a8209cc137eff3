"""The optimisation of an estimator of depths, and how far off it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipelines.common.precision import autocast
from pipelines.common.training.checkpoint import Progress
from pipelines.common.training.loop import Schedule, optimise
from pipelines.polyp.depth.config import DepthConfig
from pipelines.polyp.depth.frames import Batch, DepthFrame, batch_of, draw_batch
from pipelines.polyp.depth.network import TURNS, DepthNetwork, averaged_log_depths

AT_ONCE = 16  # frames


@dataclass(frozen=True, slots=True)
class DepthError:
    """How far off the depths of a frame are, as natural logarithms of estimated over true depth.

    frame: mean of the absolute ones of all px. lesion: of the medians on the lesion, with its sign; None
    where the lesion has no known depth. polyp: its number.
    """

    polyp: int
    frame: float
    lesion: float | None


def fit(
    network: DepthNetwork,
    frames: Sequence[DepthFrame],
    config: DepthConfig,
    *,
    device: torch.device,
    scratch: Path,
    fingerprint: str,
    progress: Callable[[str], None],
) -> Progress:
    """Train `network` in place, to the moving average of its weights; returns how it went.

    scratch: the folder of checkpoint and log. fingerprint: names data and settings; a checkpoint of other
    ones is refused. Raises UserError.
    """

    def loss(rng: np.random.Generator) -> Tensor:
        batch = draw_batch(frames, config, rng)
        return loss_of(_log_depths(network, batch, device, config.precision), batch, config.lesion)

    schedule = Schedule(
        config.epochs,
        config.steps_per_epoch,
        config.learning_rate,
        config.weight_decay,
        config.warm_up,
        config.ema_decay,
    )
    return optimise(network, loss, schedule, config.seed, device, scratch / "depth", fingerprint, progress)


def loss_of(log_depths: Tensor, batch: Batch, lesion: float) -> Tensor:
    """Mean absolute error of the logarithms where depths are known, and `lesion` times that on the lesions.

    log_depths: float32 (B, S / 2, S / 2). A wrong scale costs the same near and far. Each lesion counts the
    same, whatever its size.
    """
    known = (batch.depth > 0).to(log_depths)
    truth = batch.depth.to(log_depths).clamp_min(1e-3).log()
    off = (log_depths - truth).abs() * known
    whole = off.sum() / known.sum().clamp_min(1)
    part = known * batch.lesion.to(log_depths)
    area = part.sum((1, 2))
    lesions = (off * part).sum((1, 2)) / area.clamp_min(1)
    return whole + lesion * lesions.sum() / (area > 0).sum().clamp_min(1)


def depth_errors(
    network: DepthNetwork,
    frames: Sequence[DepthFrame],
    *,
    device: torch.device,
    precision: str,
    views: int = TURNS,
) -> list[DepthError]:
    """The error of each frame that has a known depth. views: of `averaged_log_depths`."""
    found = []
    for start in range(0, len(frames), AT_ONCE):
        part = frames[start : start + AT_ONCE]
        with torch.inference_mode():
            logs = _log_depths(network, batch_of(part), device, precision, views).cpu().numpy()
        for frame, log in zip(part, logs, strict=True):
            known = frame.depth > 0
            if not known.any():
                continue
            on = known & frame.lesion
            off = log - np.log(np.where(known, frame.depth, 1))
            lesion = float(np.median(log[on]) - np.median(np.log(frame.depth[on]))) if on.any() else None
            found.append(DepthError(frame.polyp, float(np.abs(off[known]).mean()), lesion))
    return found


def _log_depths(
    network: DepthNetwork, batch: Batch, device: torch.device, precision: str, views: int = 1
) -> Tensor:
    with autocast(precision, device):
        return averaged_log_depths(network, batch.pixels.to(device), batch.rays.to(device), views=views)
