"""The optimisation of one network by one loss, resumable from a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.common.training.checkpoint import Checkpoint, Progress
from pipelines.common.training.log import write_log
from pipelines.common.training.optimise import check_finite, move_average, one_cycle, weight_groups

SAVE_EVERY = 60.0  # seconds
MAX_GRADIENT = 5.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """epochs of `steps` steps, with the largest learning rate, the share of steps that it rises in, and the
    weights that are kept: their moving average, unless `decay` is None."""

    epochs: int
    steps: int
    learning_rate: float
    weight_decay: float
    warm_up: float
    decay: float | None = None


def optimise(
    network: nn.Module,
    loss_of_step: Callable[[np.random.Generator], Tensor],
    schedule: Schedule,
    seed: int,
    device: torch.device,
    scratch: Path,
    fingerprint: str,
    progress: Callable[[str], None],
) -> Progress:
    """Train, or go on from the checkpoint in `scratch`; to the moving average of the weights, if one is kept.

    loss_of_step: of a batch that the generator draws. Each epoch's randomness comes from the seed and the
    epoch's number alone, so a run that goes on from its checkpoint ends with the same weights as one that was
    never stopped.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(scratch / "checkpoint.safetensors", fingerprint)
    network.to(device)
    optimizer = torch.optim.AdamW(
        weight_groups(network, schedule.weight_decay),
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
    )
    kept = network.state_dict() if schedule.decay is not None else {}
    average = {name: value.clone() for name, value in kept.items()}
    state = checkpoint.restore(network, optimizer, average, {})
    if state.epoch:
        progress(f"going on after epoch {state.epoch}")
    saved = time.monotonic()
    network.train()
    while state.epoch < schedule.epochs:
        began = time.monotonic()
        rng = np.random.default_rng([seed, state.epoch])
        torch.manual_seed(seed * 100_003 + state.epoch)
        total = 0.0
        for number in range(state.epoch * schedule.steps, (state.epoch + 1) * schedule.steps):
            share = one_cycle(number / (schedule.epochs * schedule.steps), schedule.warm_up)
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * share
            loss = loss_of_step(rng)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = float(nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT))
            if math.isfinite(norm):
                optimizer.step()
            if schedule.decay is not None:
                move_average(average, network, schedule.decay, number)
            total += loss.item()
        check_finite(total, state.epoch, schedule.learning_rate)
        state.epoch += 1
        state.seconds += time.monotonic() - began
        state.log.append(
            {"epoch": state.epoch, "loss": total / schedule.steps, "seconds": round(state.seconds, 1)}
        )
        write_log(scratch / "log.csv", state.log)
        if state.epoch == schedule.epochs or time.monotonic() - saved > SAVE_EVERY:
            checkpoint.save(network, optimizer, average, {}, state)
            saved = time.monotonic()
        left = state.seconds / state.epoch * (schedule.epochs - state.epoch)
        progress(
            f"{scratch.name}: epoch {state.epoch}/{schedule.epochs}: loss {total / schedule.steps:.4f},"
            f" {left:.0f} s left"
        )
    if average:
        network.load_state_dict(average)
    network.eval()
    return state
