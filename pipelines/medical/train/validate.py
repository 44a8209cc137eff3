"""How well a network does on held-out cases while it is being trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference

from pipelines.common.precision import autocast
from pipelines.medical.config import Plan
from pipelines.medical.flips import flips
from pipelines.medical.model.networks import Network
from pipelines.medical.train.cases import TrainingCase


@torch.inference_mode()
def mean_dice(
    network: Network,
    cases: Sequence[TrainingCase],
    plan: Plan,
    *,
    device: torch.device,
    precision: str,
    mirror: Sequence[str] = (),
) -> dict[str, float]:
    """The mean Dice of each label on the prepared grid. mirror: the axes whose flips are averaged.

    A case without the label, predicted without it, does not count; a label that never counts is absent.
    """
    was_training = network.training
    network.eval()
    scores: dict[str, list[float]] = {}
    for case in cases:
        predicted = segment_prepared(network, case, plan, device=device, precision=precision, mirror=mirror)
        for number, name in enumerate(plan.labels, start=1):
            truth, found = case.labels == number, predicted == number
            size = int(truth.sum()) + int(found.sum())
            if size:
                scores.setdefault(name, []).append(2 * int((truth & found).sum()) / size)
    network.train(was_training)
    return {name: float(np.mean(values)) for name, values in scores.items()}


def segment_prepared(
    network: Network,
    case: TrainingCase,
    plan: Plan,
    *,
    device: torch.device,
    precision: str,
    mirror: Sequence[str] = (),
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Class indices uint8 (X, Y, Z) of a prepared case, by overlapping patches with Gaussian weights."""
    images = torch.from_numpy(np.array(case.images))[None]
    if case.active is not None:
        images = torch.cat([images, torch.from_numpy(np.array(case.active))[None, None].float()], dim=1)

    def shares(patches: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(())
        for flip in flips(mirror):
            axes = tuple(2 + axis for axis in flip)
            flipped = patches.flip(axes)
            active = flipped[:, -1] > 0.5 if case.active is not None else None
            with autocast(precision, device):
                found = network(flipped[:, : len(plan.channels)], active)[0]
            total = total.to(device) + found.float().softmax(1).flip(axes)
        return total

    found = sliding_window_inference(
        images, plan.patch, 2, shares, overlap=0.5, mode="gaussian", sw_device=device, device="cpu"
    )
    assert isinstance(found, torch.Tensor)
    return found[0].argmax(0).to(torch.uint8).numpy()
