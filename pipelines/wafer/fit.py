"""The optimisation of a network, resumable from a checkpoint after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.common.errors import UserError
from pipelines.common.training.optimise import check_finite, move_average, one_cycle, weight_groups
from pipelines.common.training.spread.world import ALONE, World
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.model.kinds import Batch, Kind
from pipelines.wafer.train_config import TrainConfig

MAX_GRADIENT = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """maps with `classes` int64 (N,), and `chance` float64 (N,), how likely each is to be drawn."""

    maps: Sequence[WaferMap]
    classes: NDArray[np.int64]
    chance: NDArray[np.float64]


def drawing_chances(
    classes: NDArray[np.int64],
    num_classes: int,
    power: float,
    weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chance (N,) of each map, so that classes are drawn by their count to `power`, and the log shift (K,).

    The shift is what to add to logits learnt under those chances for the data's own proportions: the log of
    each class's share in the data over its share in what is drawn (Saerens et al., 2002).

    weights: float64 (N,), how many maps each stands for; one without it. Every class needs a map.
    """
    counts = np.bincount(classes, weights, minlength=num_classes).astype(np.float64)
    drawn = counts**power / (counts**power).sum()
    chance = drawn[classes] / counts[classes]
    if weights is not None:
        chance = chance * weights
    return chance / chance.sum(), np.log(counts / counts.sum()) - np.log(drawn)


def fit(
    network: nn.Module,
    kind: Kind,
    data: TrainingSet,
    config: TrainConfig,
    *,
    device: torch.device,
    checkpoint: Path,
    fingerprint: str,
    progress: Callable[[str], None],
    world: World = ALONE,
) -> float:
    """Train `network` in place to the moving average of its weights; returns the seconds it took.

    Each epoch's randomness comes from the seed and the epoch's number alone, so a run that goes on from its
    checkpoint ends with the same weights as one that was never stopped. fingerprint: names data and settings;
    a checkpoint of other ones is refused. world: the processes that divide each batch.
    """
    network.to(device)
    optimizer = _optimizer(network, config)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    steps_per_epoch = max(1, (config.maps_per_epoch or len(data.maps)) // config.batch_size)
    loss_of = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    start, spent = _restore(checkpoint, fingerprint, network, optimizer, average)
    world.check_same(f"{fingerprint} {start}", "data set or checkpoint")
    if start:
        progress(f"going on after epoch {start}")
    with world.synchronised(network):
        for epoch in range(start, config.epochs):
            began = time.monotonic()
            rng = np.random.default_rng([config.seed, epoch])
            torch.manual_seed(world.seed(config.seed * 100_003 + epoch))
            network.train()
            total = 0.0
            for step in range(steps_per_epoch):
                number = epoch * steps_per_epoch + step
                done = number / (config.epochs * steps_per_epoch)
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * one_cycle(done, config.warm_up)
                chosen = rng.choice(len(data.maps), config.batch_size, p=data.chance)
                batch, rows = _own(kind.encode([data.maps[i] for i in chosen], rng), world)
                logits, _ = network(batch.to(device))
                loss = loss_of(logits, torch.from_numpy(data.classes[chosen[rows]]).to(device))
                loss = loss * (len(rows) / config.batch_size)
                optimizer.zero_grad()
                loss.backward()
                world.reduce_gradients(network.parameters())
                nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT)
                optimizer.step()
                move_average(average, network, config.ema_decay, number)
                total += loss.item()
            total = world.sum(total)
            check_finite(total, epoch, config.learning_rate)
            spent += time.monotonic() - began
            left = spent / (epoch + 1) * (config.epochs - epoch - 1)
            mean = total / steps_per_epoch
            progress(f"epoch {epoch + 1}/{config.epochs}: loss {mean:.4f}, {spent:.0f} s, {left:.0f} s left")
            if world.is_first:
                _save(checkpoint, fingerprint, epoch + 1, spent, network, optimizer, average)
    network.load_state_dict(average)
    network.eval()
    return spent


def _own(batch: Batch, world: World) -> tuple[Batch, list[int]]:
    """The part of a batch that this process computes, and which maps these are."""
    rows = world.share(batch.counts())
    return (batch if len(rows) == len(batch) else batch.part(rows)), rows


def _optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(weight_groups(network, config.weight_decay), lr=config.learning_rate)


def _save(
    path: Path,
    fingerprint: str,
    epoch: int,
    spent: float,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    metadata = {"fingerprint": fingerprint, "epoch": str(epoch), "seconds": str(spent)}
    save_file({name: value.detach().cpu().clone() for name, value in tensors.items()}, new, metadata)
    new.replace(path)


def _restore(
    path: Path,
    fingerprint: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> tuple[int, float]:
    """Load a checkpoint if there is one; returns the epochs done and the seconds they took."""
    if not path.is_file():
        return 0, 0.0
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"the checkpoint {path} cannot be read ({error}); train without --resume") from error
    if metadata.get("fingerprint") != fingerprint:
        raise UserError(
            f"{path} is a checkpoint of another training (other data or settings); "
            "remove it, or train without --resume"
        )
    network.load_state_dict(
        {n.removeprefix("network."): t for n, t in tensors.items() if n[:8] == "network."}
    )
    for name, value in average.items():
        value.copy_(tensors[f"average.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, field = name.split(".")
            state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(metadata["epoch"]), float(metadata["seconds"])
