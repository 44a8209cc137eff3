"""The optimisation of one network, resumable from a checkpoint after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.common.errors import UserError
from pipelines.common.precision import autocast
from pipelines.common.training.checkpoint import Checkpoint, Progress
from pipelines.common.training.log import tensorboard, write_log
from pipelines.common.training.optimise import check_finite, move_average, one_cycle, weight_groups
from pipelines.common.training.spread.world import ALONE, World
from pipelines.medical.config import Plan
from pipelines.medical.model.networks import DenseUNet, Network, Peer, VoxelUNet
from pipelines.medical.train.cases import TrainingCase
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.loss import DeepSupervision
from pipelines.medical.train.patches import Patches
from pipelines.medical.train.validate import mean_dice
from sparse_backbones.masked.masks import holding

MAX_GRADIENT = 5.0
SGD_MOMENTUM = 0.99
MIN_SITES = 2  # what a norm over the coarsest sites needs


def fit(
    network: Network,
    training: Sequence[TrainingCase],
    held_out: Sequence[TrainingCase],
    plan: Plan,
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
    optimizer = make_optimizer(network, config)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    best: dict[str, Tensor] = {}
    state = checkpoint.restore(network, optimizer, average, best)
    world.check_same(f"{fingerprint} {state.epoch}", "data set or checkpoint")
    if state.epoch:
        progress(f"going on after epoch {state.epoch}")
    loss_of, patches = DeepSupervision(world), Patches(training, plan, config)
    looked_at = held_out[: config.validation_cases]
    logged = scratch if config.tensorboard and world.is_first else None
    with tensorboard(logged) as write, world.synchronised(network):
        while state.epoch < config.epochs and not (config.patience and state.since >= config.patience):
            began = time.monotonic()
            rate, loss = _epoch(
                network, patches, loss_of, optimizer, average, state.epoch, config, device, world
            )
            state.epoch += 1
            row: dict[str, Any] = {"epoch": state.epoch, "loss": loss, "learning_rate": rate}
            if looked_at and (state.epoch % config.validate_every == 0 or state.epoch == config.epochs):
                row |= world.first(lambda: _validate(network, average, looked_at, plan, config, device))
                if row["dice"] > state.best:
                    state.best, state.since = row["dice"], 0
                    if config.patience:
                        best.update({name: value.clone() for name, value in average.items()})
                else:
                    state.since += 1
            state.seconds += time.monotonic() - began
            row["seconds"] = round(state.seconds, 1)
            state.log.append(row)
            if world.is_first:
                write(row)
                write_log(scratch / "log.csv", state.log)
                checkpoint.save(network, optimizer, average, best, state)
            left = state.seconds / state.epoch * (config.epochs - state.epoch)
            dice = f", Dice {row['dice']:.3f}" if "dice" in row else ""
            progress(f"epoch {state.epoch}/{config.epochs}: loss {loss:.4f}{dice}, {left:.0f} s left")
    network.load_state_dict(best or average)
    network.eval()
    return state


def _epoch(
    network: Network,
    patches: Patches,
    loss_of: DeepSupervision,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    epoch: int,
    config: TrainConfig,
    device: torch.device,
    world: World,
) -> tuple[float, float]:
    """One epoch; returns the last learning rate and the mean loss."""
    rng = np.random.default_rng([config.seed, epoch])
    torch.manual_seed(world.seed(config.seed * 100_003 + epoch))
    network.train()
    set_frozen(network, epoch < config.freeze_encoder)
    total, rate, counted = 0.0, 0.0, 0
    for step in range(config.steps_per_epoch):
        number = epoch * config.steps_per_epoch + step
        done = number / (config.epochs * config.steps_per_epoch)
        rate = config.learning_rate * one_cycle(done, config.warm_up)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images, labels, active = patches.batch(rng, world)
        if not enough_sites(network, active, world):
            continue
        with precision_of(network, config, device):
            heads = network(images.to(device), None if active is None else active.to(device))
        loss = loss_of(heads, labels.to(device), len(images) / patches.plan.batch_size)
        optimizer.zero_grad()
        loss.backward()
        world.reduce_gradients(network.parameters())
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT)
        optimizer.step()
        move_average(average, network, config.ema_decay, number)
        total += loss.item()
        counted += 1
    if not counted:
        raise UserError(
            f"no patch of epoch {epoch + 1} holds enough foreground for a sparse network: train a dense-unet,"
            " or change the plan's foreground"
        )
    total = world.sum(total)
    check_finite(total, epoch, config.learning_rate)
    return rate, total / counted


def enough_sites(network: Network, active: Tensor | None, world: World = ALONE) -> bool:
    """Whether a sparse network can learn from a batch: patches may lie where there is no foreground.

    One of several processes whose own patches have none gets a site, since the norms wait for each of them.
    """
    if active is None or not isinstance(network, VoxelUNet):
        return True
    sites = int(holding(active, network.core.encoder.total_stride).sum())
    if world.size > 1 and not sites:
        active[0, 0, 0, 0] = True
    return world.sum(sites) >= MIN_SITES


def _validate(
    network: Network,
    average: Mapping[str, Tensor],
    cases: Sequence[TrainingCase],
    plan: Plan,
    config: TrainConfig,
    device: torch.device,
) -> dict[str, float]:
    """Dice of the averaged weights: per label and, as `dice`, the mean over labels."""
    own = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(dict(average))
    precision = config.precision if half_suits(network) else "float32"
    per_label = mean_dice(network, cases, plan, device=device, precision=precision)
    network.load_state_dict(own)
    scores = list(per_label.values())
    return {
        "dice": float(np.mean(scores)) if scores else 0.0,
        **{f"dice_{name}": value for name, value in per_label.items()},
    }


def half_suits(network: Network) -> bool:
    """Sparse convolutions compute in single precision."""
    return isinstance(network, DenseUNet | Peer)


def precision_of(
    network: Network, config: TrainConfig, device: torch.device
) -> AbstractContextManager[object]:
    """The number format of a forward pass."""
    return autocast(config.precision, device) if half_suits(network) else nullcontext()


def set_frozen(network: Network, frozen: bool) -> None:
    """Let the encoder learn, or hold it."""
    for name, parameter in network.named_parameters():
        if ".encoder." in name:
            parameter.requires_grad_(not frozen)


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    groups = weight_groups(network, config.weight_decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=SGD_MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate)
