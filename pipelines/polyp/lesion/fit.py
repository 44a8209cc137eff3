"""The optimisation of a finder and of its encoder before, both resumable from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipelines.common.precision import autocast
from pipelines.common.training.checkpoint import Progress
from pipelines.common.training.loop import Schedule, optimise
from pipelines.polyp.lesion.augment import draw_batch
from pipelines.polyp.lesion.config import LesionConfig, PretrainPlan
from pipelines.polyp.lesion.frames import LesionFrame
from pipelines.polyp.lesion.loss import loss_of
from pipelines.polyp.lesion.network import LesionNetwork, as_images, as_sites
from sparse_backbones.masked import MaskedAutoencoder, draw_mask


def fit(
    network: LesionNetwork,
    frames: Sequence[LesionFrame],
    config: LesionConfig,
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
        batch = draw_batch(frames, config.batch_size, config, rng)
        images, masks = as_images(batch.pixels.to(device)), batch.masks.to(device)
        with autocast(config.precision, device):
            heads = network(images)
        return loss_of(heads, masks)

    schedule = Schedule(
        config.epochs,
        config.steps_per_epoch,
        config.learning_rate,
        config.weight_decay,
        config.warm_up,
        config.ema_decay,
    )
    return optimise(network, loss, schedule, config.seed, device, scratch / "finder", fingerprint, progress)


def pretrain(
    model: MaskedAutoencoder,
    frames: Sequence[LesionFrame],
    config: LesionConfig,
    plan: PretrainPlan,
    *,
    device: torch.device,
    scratch: Path,
    fingerprint: str,
    progress: Callable[[str], None],
) -> Progress:
    """Train the masked autoencoder `model` in place on pixels alone; as `fit` otherwise."""

    def loss(rng: np.random.Generator) -> Tensor:
        batch = draw_batch(frames, plan.batch_size, config, rng)
        images, inside = as_images(batch.pixels.to(device)), as_sites(batch.inside.to(device))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        mask = draw_mask(model.valid_cells(images, inside), plan.mask, generator)
        found: Tensor = model.loss(images, mask, inside)
        return found

    schedule = Schedule(
        plan.epochs, plan.steps_per_epoch, plan.learning_rate, plan.weight_decay, plan.warm_up
    )
    return optimise(model, loss, schedule, config.seed, device, scratch / "encoder", fingerprint, progress)
