"""What a network says of polyps that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pipelines.common.precision import autocast
from pipelines.polyp.aggregate import FrameSize, Scale, scale_of, size_polyp
from pipelines.polyp.model.network import Sizer
from pipelines.polyp.train.batches import seen
from pipelines.polyp.train.store import StoredFrame, StoredPolyp

AT_ONCE = 32  # frames
MOST_FRAMES = 16  # of a polyp, in a validation


@torch.inference_mode()
def frame_shares(
    network: Sizer, frames: Sequence[StoredFrame], *, device: torch.device, precision: str
) -> Tensor:
    """A distribution over sizes for each frame: float32 (N, BINS), on the CPU; network in evaluation mode."""
    found = []
    for start in range(0, len(frames), AT_ONCE):
        views = [network.encode(seen(one)) for one in frames[start : start + AT_ONCE]]
        with autocast(precision, device):
            logits = network(views)
        found.append(logits.float().softmax(1).cpu())
    return torch.cat(found)


def frame_sizes(
    network: Sizer,
    polyp: StoredPolyp,
    *,
    device: torch.device,
    precision: str,
    most: int | None = None,
    scale: Scale = "map",
) -> list[FrameSize]:
    """What the network says of each frame of a polyp. most: of so many frames at most, the best ones.
    scale: what it is told at most; `camera` keeps maps from it where depths are estimated, too."""
    frames = sorted(polyp.frames, key=lambda one: (not one.quality.usable, -one.quality.weight))[:most]
    if scale == "nothing":
        frames = [replace(one, camera=None) for one in frames]
    elif scale == "camera":
        frames = [one if one.estimated is None else replace(one, depth=None) for one in frames]
    shares = frame_shares(network, frames, device=device, precision=precision)
    return [
        FrameSize(
            one.name,
            row,
            one.quality.weight,
            "; ".join(one.quality.reasons),
            scale_of(camera=one.camera is not None, depth_map=one.depth is not None),
        )
        for one, row in zip(frames, shares, strict=True)
    ]


def mean_error(
    network: Sizer, polyps: Sequence[StoredPolyp], *, device: torch.device, precision: str
) -> float:
    """The mean absolute error in mm over polyps of known size; the network's mode is left as it was."""
    was_training = network.training
    network.eval()
    errors = []
    for polyp in polyps:
        if polyp.censored:
            continue
        sizes = frame_sizes(
            network, polyp, device=device, precision=precision, most=MOST_FRAMES, scale="camera"
        )
        mm = size_polyp(sizes).mm
        if mm is not None:
            errors.append(abs(mm - polyp.mm))
    network.train(was_training)
    return float(np.mean(errors)) if errors else float("nan")
