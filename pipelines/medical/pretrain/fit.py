"""The optimisation of a masked autoencoder, resumable from a checkpoint after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.common.errors import UserError
from pipelines.common.training.checkpoint import Checkpoint, Progress
from pipelines.common.training.log import write_log
from pipelines.common.training.optimise import check_finite, one_cycle, weight_groups
from pipelines.common.training.spread.world import ALONE, World
from pipelines.medical.config import Plan
from pipelines.medical.pretrain.config import PretrainConfig
from pipelines.medical.pretrain.lamb import Lamb
from pipelines.medical.pretrain.volumes import Prepared, batch
from sparse_backbones.masked import MaskedAutoencoder, Teacher, draw_mask, hard_mask, hard_share
from sparse_backbones.masked.masks import holding

MAX_GRADIENT = 5.0
SGD_MOMENTUM = 0.99
MIN_SITES = 2  # what a norm over the coarsest sites needs


def fit(
    model: MaskedAutoencoder,
    teacher: Teacher | None,
    volumes: Sequence[Prepared],
    plan: Plan,
    config: PretrainConfig,
    *,
    device: torch.device,
    scratch: Path,
    fingerprint: str,
    progress: Callable[[str], None],
    world: World = ALONE,
) -> Progress:
    """Train `model` in place; returns how it went. teacher: picks hard cells, None picks all at random.

    Each epoch's randomness comes from the seed and the epoch's number alone, so a run that goes on from its
    checkpoint ends with the same weights as one that was never stopped. scratch: the folder of checkpoint and
    log. fingerprint: names data and settings; a checkpoint of other ones is refused. world: the processes
    that divide each batch. Raises UserError.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(scratch / "checkpoint.safetensors", fingerprint)
    model.to(device)
    average: dict[str, Tensor] = {}
    if teacher is not None:
        average = teacher.to(device).average.state_dict()
    optimizer = make_optimizer(model, config)
    state = checkpoint.restore(model, optimizer, average, {})
    world.check_same(f"{fingerprint} {state.epoch}", "data set or checkpoint")
    if state.epoch:
        progress(f"going on after epoch {state.epoch}")
    with world.synchronised(model):
        while state.epoch < config.epochs:
            began = time.monotonic()
            row = _epoch(model, teacher, volumes, plan, config, optimizer, state.epoch, device, world)
            state.epoch += 1
            state.seconds += time.monotonic() - began
            state.log.append({"epoch": state.epoch, **row, "seconds": round(state.seconds, 1)})
            if world.is_first:
                write_log(scratch / "log.csv", state.log)
                checkpoint.save(model, optimizer, average, {}, state)
            left = state.seconds / state.epoch * (config.epochs - state.epoch)
            progress(f"epoch {state.epoch}/{config.epochs}: loss {row['loss']:.4f}, {left:.0f} s left")
    model.eval()
    return state


def _epoch(
    model: MaskedAutoencoder,
    teacher: Teacher | None,
    volumes: Sequence[Prepared],
    plan: Plan,
    config: PretrainConfig,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    device: torch.device,
    world: World,
) -> dict[str, Any]:
    """One epoch; returns what the log says of it."""
    rng = np.random.default_rng([config.seed, epoch])
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    model.train()
    size = config.batch_size or plan.batch_size
    total, norm, steps, share, rate = 0.0, 0.0, 0, 0.0, 0.0
    for step in range(config.steps_per_epoch):
        number = epoch * config.steps_per_epoch + step
        done = number / (config.epochs * config.steps_per_epoch)
        rate = config.learning_rate * one_cycle(done, config.warm_up)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images, valid = (one.to(device) for one in batch(volumes, plan.patch, size, config.mirror, rng))
        cells = model.valid_cells(images, valid)
        mask = draw_mask(cells, config.mask, generator)
        rows = world.share(valid.flatten(1).sum(1).tolist())
        if teacher is not None:
            share = hard_share(done, config.hard_share)
            mask = hard_mask(
                mask, _hardness(teacher, images, mask, valid, rows, world), cells, share, generator
            )
        if not trainable(model, mask, cells, valid):
            continue
        counted = mask & cells
        loss = model.loss(*_own(images, mask, valid, rows)) * (counted[rows].sum() / counted.sum())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        world.reduce_gradients(model.parameters())
        norm += float(nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT))
        optimizer.step()
        if teacher is not None:
            teacher.update(model, number)
        total += loss.item()
        steps += 1
    total = world.sum(total)
    check_finite(total, epoch, config.learning_rate, "pretrain")
    if not steps:
        raise UserError(
            "no crop holds enough of a volume to hide one part and see another: a smaller cell, or a larger"
            " patch or batch, is needed"
        )
    mean = {"loss": total / steps, "gradient": norm / steps}
    return {**mean, "learning_rate": rate, "hard_share": share, "steps": steps}


def _own(images: Tensor, mask: Tensor, valid: Tensor, rows: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The crops that this process takes of a batch; with something visible, or its norms would be missed."""
    if len(rows) == len(images):
        return images, mask, valid
    images, mask, valid = images[rows], mask[rows], valid[rows]
    if not valid.any():
        valid[0, 0, 0, 0] = True
    return images, mask, valid


def _hardness(
    teacher: Teacher, images: Tensor, mask: Tensor, valid: Tensor, rows: Sequence[int], world: World
) -> Tensor:
    """The teacher's losses of all crops, (B, *cells): of each from the process that takes it."""
    own = teacher.losses(*_own(images, mask, valid, rows))
    if len(rows) == len(images):
        return own
    losses = own.new_zeros(mask.shape)
    losses[rows] = own
    world.total_(losses)
    return losses


def trainable(model: MaskedAutoencoder, mask: Tensor, cells: Tensor, valid: Tensor) -> bool:
    """Whether something is hidden, and enough is visible for the norms of the coarsest level."""
    if not bool((mask & cells).any()):
        return False
    coarse = holding(valid, model.strides[-1])
    factor = [a // b for a, b in zip(model.cell, model.strides[-1], strict=True)]
    hidden = mask
    for axis, times in enumerate(factor, start=1):
        hidden = hidden.repeat_interleave(times, axis)
    return int((coarse & ~hidden).sum()) >= MIN_SITES


def make_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    groups = weight_groups(model, config.weight_decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=SGD_MOMENTUM, nesterov=True)
    if config.optimizer == "lamb":
        return Lamb(groups, lr=config.learning_rate)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95))
