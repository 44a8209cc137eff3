"""The optimisation of one network, resumable from its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.common.precision import autocast
from pipelines.common.training.checkpoint import Checkpoint, Progress
from pipelines.common.training.log import tensorboard, write_log
from pipelines.common.training.optimise import check_finite, move_average, one_cycle, weight_groups
from pipelines.common.training.spread.world import ALONE, World
from pipelines.crowd.model.network import CrowdNetwork
from pipelines.crowd.train.config import TrainConfig
from pipelines.crowd.train.crops import Crops
from pipelines.crowd.train.images import TrainingImage
from pipelines.crowd.train.measure import mean_absolute_error

MAX_GRADIENT = 5.0  # times the usual one of the last steps, as in AutoClip (Seetharaman et al., 2020)
SAVE_EVERY = 120.0  # seconds: a large network's checkpoint is a gigabyte


def fit(
    network: CrowdNetwork,
    training: Sequence[TrainingImage],
    held_out: Sequence[TrainingImage],
    config: TrainConfig,
    *,
    device: torch.device,
    scratch: Path,
    fingerprint: str,
    progress: Callable[[str], None],
    world: World = ALONE,
) -> Progress:
    """Train `network` in place, to the moving average of its weights; returns how it went.

    Each epoch's randomness comes from the seed and the epoch's number alone, so a run that goes on from its
    checkpoint ends with the same weights as one that was never stopped. scratch: the folder of checkpoint and
    log. fingerprint: names data and settings; a checkpoint of other ones is refused. world: the processes
    that divide each batch. Raises UserError.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(scratch / "checkpoint.safetensors", fingerprint)
    network.to(device)
    network.world = world
    optimizer = make_optimizer(network, config)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    best: dict[str, Tensor] = {}
    state = checkpoint.restore(network, optimizer, average, best)
    world.check_same(f"{fingerprint} {state.epoch}", "data set or checkpoint")
    if state.epoch:
        progress(f"going on after epoch {state.epoch}")
    crops, saved = Crops(training, network, config), time.monotonic()
    looked_at = held_out[: config.validation_images] if config.validate_every else []
    logged = scratch if config.tensorboard and world.is_first else None
    with tensorboard(logged) as write, world.synchronised(network):
        while state.epoch < config.epochs and not (config.patience and state.since >= config.patience):
            began = time.monotonic()
            row = _epoch(network, crops, optimizer, average, state.epoch, config, device, world)
            state.epoch += 1
            last = state.epoch == config.epochs
            if looked_at and (last or state.epoch % config.validate_every == 0):
                row["mae"] = world.first(lambda: _validate(network, average, looked_at, config, device))
                if -row["mae"] > state.best:
                    state.best, state.since = -row["mae"], 0
                    if config.patience:
                        best.update({name: value.clone() for name, value in average.items()})
                else:
                    state.since += 1
            state.seconds += time.monotonic() - began
            row |= {"seconds": round(state.seconds, 1)}
            state.log.append(row)
            if world.is_first:
                write(row)
                write_log(scratch / "log.csv", state.log)
            if world.is_first and (last or time.monotonic() - saved > SAVE_EVERY):
                checkpoint.save(network, optimizer, average, best, state)
                saved = time.monotonic()
            left = state.seconds / state.epoch * (config.epochs - state.epoch)
            error = f", mean absolute error {row['mae']:.2f}" if "mae" in row else ""
            progress(f"epoch {state.epoch}/{config.epochs}: loss {row['loss']:.4f}{error}, {left:.0f} s left")
    network.load_state_dict(best or average)
    network.eval()
    return state


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """`adam` is that of the published networks, without weight decay."""
    if config.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    return torch.optim.AdamW(weight_groups(network, config.weight_decay), lr=config.learning_rate)


def _epoch(
    network: CrowdNetwork,
    crops: Crops,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    epoch: int,
    config: TrainConfig,
    device: torch.device,
    world: World,
) -> dict[str, Any]:
    """One epoch; returns its line of the log: mean losses, and the last learning rate."""
    rng = np.random.default_rng([config.seed, epoch])
    torch.manual_seed(world.seed(config.seed * 100_003 + epoch))
    network.train()
    sums: dict[str, float] = {}
    norms: list[float] = []
    rate = 0.0
    for step in range(config.steps_per_epoch):
        number = epoch * config.steps_per_epoch + step
        done = number / (config.epochs * config.steps_per_epoch)
        rate = config.learning_rate * one_cycle(done, config.warm_up)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images, targets = crops.batch(rng, world)
        share = len(images) / config.batch_size
        with autocast(config.precision, device):
            losses = network.losses(images.to(device), targets.to(device))
        optimizer.zero_grad()
        (losses["loss"] * share).backward()  # type: ignore[no-untyped-call]
        world.reduce_gradients(network.parameters())
        limit = MAX_GRADIENT * float(np.median(norms[-20:])) if len(norms) >= 5 else math.inf
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), limit))
        norms.append(norm)
        if math.isfinite(norm):
            optimizer.step()
        move_average(average, network, config.ema_decay, number)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) * share
    sums = {name: world.sum(value) for name, value in sums.items()}
    check_finite(sums["loss"], epoch, config.learning_rate)
    means = {name: value / config.steps_per_epoch for name, value in sums.items()}
    return {"epoch": epoch + 1, "learning_rate": rate, **means}


def _validate(
    network: CrowdNetwork,
    average: Mapping[str, Tensor],
    images: Sequence[TrainingImage],
    config: TrainConfig,
    device: torch.device,
) -> float:
    """The mean absolute error of the averaged weights."""
    own = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(dict(average))
    error = mean_absolute_error(network, images, device=device, precision=config.precision)
    network.load_state_dict(own)
    return error
