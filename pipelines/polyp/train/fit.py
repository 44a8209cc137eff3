"""The optimisation of one network, resumable from its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.common.precision import autocast
from pipelines.common.training.checkpoint import Checkpoint, Progress
from pipelines.common.training.log import tensorboard, write_log
from pipelines.common.training.optimise import check_finite, move_average, one_cycle
from pipelines.common.training.spread.world import ALONE, World
from pipelines.polyp.model.distribution import loss_of
from pipelines.polyp.model.network import Sizer
from pipelines.polyp.model.routing import Optimisers, make_optimisers, step
from pipelines.polyp.train.batches import Batch, Batches
from pipelines.polyp.train.config import TrainConfig
from pipelines.polyp.train.measure import mean_error
from pipelines.polyp.train.store import StoredPolyp

SAVE_EVERY = 120.0  # seconds


def fit(
    network: Sizer,
    training: Sequence[StoredPolyp],
    held_out: Sequence[StoredPolyp],
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
    optimisers = make_optimisers(
        network, config.learning_rate, config.weight_decay, gate_rate=config.gate_rate, routed=config.routed
    )
    average = {name: value.clone() for name, value in network.state_dict().items()}
    state = checkpoint.restore(network, optimisers, average, {})
    world.check_same(f"{fingerprint} {state.epoch}", "data set or checkpoint")
    if state.epoch:
        progress(f"going on after epoch {state.epoch}")
    batches, saved = Batches(training, network, config), time.monotonic()
    logged = scratch if config.tensorboard and world.is_first else None
    with tensorboard(logged) as write, world.synchronised(network):
        while state.epoch < config.epochs:
            began = time.monotonic()
            row = _epoch(network, batches, optimisers, average, state.epoch, config, device, world)
            state.epoch += 1
            last = state.epoch == config.epochs
            if held_out and config.validate_every and (last or state.epoch % config.validate_every == 0):
                row["mae"] = world.first(lambda: _validate(network, average, held_out, config, device))
            state.seconds += time.monotonic() - began
            row["seconds"] = round(state.seconds, 1)
            state.log.append(row)
            if world.is_first:
                write(row)
                write_log(scratch / "log.csv", state.log)
            if world.is_first and (last or time.monotonic() - saved > SAVE_EVERY):
                checkpoint.save(network, optimisers, average, {}, state)
                saved = time.monotonic()
            left = state.seconds / state.epoch * (config.epochs - state.epoch)
            error = f", mean absolute error {row['mae']:.2f} mm" if "mae" in row else ""
            progress(f"epoch {state.epoch}/{config.epochs}: loss {row['loss']:.4f}{error}, {left:.0f} s left")
    network.load_state_dict(average)
    network.eval()
    return state


def _epoch(
    network: Sizer,
    batches: Batches,
    optimisers: Optimisers,
    average: dict[str, Tensor],
    epoch: int,
    config: TrainConfig,
    device: torch.device,
    world: World,
) -> dict[str, Any]:
    """One epoch; returns its line of the log."""
    rng = np.random.default_rng([config.seed, epoch])
    torch.manual_seed(world.seed(config.seed * 100_003 + epoch))
    network.train()
    total, share = 0.0, 0.0
    for number in range(epoch * config.steps_per_epoch, (epoch + 1) * config.steps_per_epoch):
        share = one_cycle(number / (config.epochs * config.steps_per_epoch), config.warm_up)
        optimisers.set_rates(share)
        batch = batches.batch(rng, world)
        mm, censored = batch.mm.to(device), batch.censored.to(device)

        def loss(batch: Batch = batch, mm: Tensor = mm, censored: Tensor = censored) -> Tensor:
            with autocast(config.precision, device):
                logits = network(batch.views)
            return loss_of(logits.float(), mm, censored) * batch.share

        total += float(step(loss, optimisers, world=world))
        move_average(average, network, config.ema_decay, number)
    total = world.sum(total)
    check_finite(total, epoch, config.learning_rate)
    return {
        "epoch": epoch + 1,
        "learning_rate": share * config.learning_rate,
        "loss": total / config.steps_per_epoch,
    }


def _validate(
    network: Sizer,
    average: Mapping[str, Tensor],
    polyps: Sequence[StoredPolyp],
    config: TrainConfig,
    device: torch.device,
) -> float:
    """The mean absolute error of the averaged weights, over polyps."""
    own = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(dict(average))
    error = mean_error(network, polyps, device=device, precision=config.precision)
    network.load_state_dict(own)
    return error
