"""How well a network counts on images that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.common.precision import autocast
from pipelines.crowd.density import block_counts
from pipelines.crowd.model import zero_inflated
from pipelines.crowd.model.gate import gate_recall, threshold_for
from pipelines.crowd.model.network import CrowdNetwork, as_input, filled_up
from pipelines.crowd.model.sparse_counter import COARSE, SparseCounter
from pipelines.crowd.train.images import TrainingImage

MAX_THRESHOLD = 0.5  # where people are as likely as not, the decoder looks


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What a network says of one image.

    counts: float32 (h, w), people per block of `stride` px. variance: of the sum if blocks were independent;
    deviations: the sum of the blocks' standard deviations; None where the network gives no variance.
    recall: the share of the heads in blocks that a sparse decoder refined; None without a gate or a head.
    refined: the share of blocks that it refined, or None.
    """

    image: TrainingImage
    counts: NDArray[np.float32]
    stride: int
    variance: float | None
    deviations: float | None
    recall: float | None
    refined: float | None

    @property
    def count(self) -> float:
        return float(self.counts.sum(dtype=np.float64))


def mean_absolute_error(
    network: CrowdNetwork, images: Sequence[TrainingImage], *, device: torch.device, precision: str
) -> float:
    """The mean over images of how far the count is off; the network's mode is left as it was."""
    was_training = network.training
    network.eval()
    found = count_images(network, images, device=device, precision=precision)
    errors = [abs(one.count - len(one.image.points)) for one in found]
    network.train(was_training)
    return float(np.mean(errors))


@torch.inference_mode()
def count_images(
    network: CrowdNetwork, images: Sequence[TrainingImage], *, device: torch.device, precision: str
) -> Iterator[Counted]:
    """Count in one image after the other, with a network in evaluation mode."""
    for image in images:
        pixels = as_input(np.array(image.pixels)[None]).to(device)
        with autocast(precision, device):
            found = network.count(pixels)
        counts = found.counts[0].float().cpu()
        variance = None if found.variance is None else found.variance[0].double().clamp(min=0)
        recall = refined = None
        if found.gate is not None:
            gate = found.gate[0].cpu()
            refined = float(gate.float().mean())
            truth = block_counts(image.points, image.height, image.width, found.stride)
            recall = gate_recall(gate, torch.from_numpy(truth)) if len(image.points) else None
        yield Counted(
            image,
            counts.numpy(),
            found.stride,
            None if variance is None else float(variance.sum()),
            None if variance is None else float(variance.sqrt().sum()),
            recall,
            refined,
        )


@torch.inference_mode()
def gate_threshold(
    network: SparseCounter,
    images: Sequence[TrainingImage],
    recall: float,
    *,
    device: torch.device,
    precision: str,
) -> float:
    """The highest threshold of the gate at which this share of all heads lies in blocks that are refined.

    Never above MAX_THRESHOLD; the network's own one where there is no head. recall: above 0, to 1.
    """
    occupied, counts = [], []
    for image in images:
        pixels = filled_up(as_input(np.array(image.pixels)[None]).to(device), network.multiple)
        with autocast(precision, device):
            _, coarse = network.look(pixels)
        occupied.append(zero_inflated.occupied(coarse[0, 0]).flatten().cpu())
        height, width = pixels.shape[2:]
        truth = block_counts(image.points, height, width, COARSE)
        counts.append(torch.from_numpy(truth).flatten())
    if not sum(float(one.sum()) for one in counts):
        return network.threshold
    return min(threshold_for(torch.cat(occupied), torch.cat(counts), recall), MAX_THRESHOLD)
