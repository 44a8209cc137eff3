"""The last layer of a network: grown for new classes, and tuned so that the old ones are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.common.engines import load_engine
from pipelines.wafer.data import WaferMap
from pipelines.wafer.examples import Examples
from pipelines.wafer.mixture import with_components
from pipelines.wafer.model.kinds import Kind
from pipelines.wafer.model.look import look, run_network
from pipelines.wafer.model.trained import TrainedModel
from pipelines.wafer.refit.lesson import Lesson
from pipelines.wafer.train_config import TrainConfig

HEAD: Final = "body.classifier"
VIEWS: Final = 8  # of each reviewed map, each turned and changed at random
STEPS, RATE = 200, 5e-3
FEW: Final = 8 * (VIEWS + 1)
REMEMBERED: Final = 4_096  # latents that are drawn in place of the old maps
BATCH: Final = 64


def grown(old: TrainedModel, labels: Sequence[str], architecture: Any, engine: str) -> nn.Module:
    """The network with a row of the last layer for each new class, the mean of the old rows; all else is
    kept.
    """
    network = old.kind.build(load_engine(engine), len(labels), architecture)
    state: dict[str, Tensor] = dict(old.network.state_dict())
    more = len(labels) - len(old.labels)
    for name in (f"{HEAD}.weight", f"{HEAD}.bias"):
        value = state[name]
        state[name] = torch.cat([value, value.mean(0, keepdim=True).expand(more, *value.shape[1:])])
    network.load_state_dict(state)
    return network.to(old.device).eval()


def refit_head(
    old: TrainedModel,
    network: nn.Module,
    lesson: Lesson,
    config: TrainConfig,
    progress: Callable[[str], None],
    *,
    examples: Examples | None,
    trained_on: int,
) -> TrainedModel:
    """Tune the last layer alone, on the reviewed maps; the latents, and so the old mixture, stay valid.

    What the old model says of `recalled` latents is kept: without them a new class would take all that looks
    a little like it. The mixture gets components for what was reviewed. examples: those of the old model, if
    it has any. trained_on: how many maps the old mixture stands for.
    """
    progress("tuning the last layer")
    part, more = lesson.train, len(lesson.new_classes)
    latent = views(network, old.kind, part.maps, old.device, config.seed)
    truth = torch.from_numpy(np.tile(part.classes, VIEWS + 1)).to(old.device)
    shift = functional.pad(old.prior_shift, (0, more))
    remembered = recalled(old, examples, config.seed)
    with torch.no_grad():
        said = old.network.get_submodule(HEAD)(remembered) + old.prior_shift.float()
    kept = functional.pad(said.softmax(1), (0, more))
    tune(network.get_submodule(HEAD), latent, truth, remembered, kept, shift.float())
    plain = latent[: len(part.maps)].cpu().numpy()
    groups = [plain[part.classes == number] for number in np.unique(part.classes)]
    cpu = torch.device("cpu")
    mixture = with_components(old.mixture.to(cpu), groups, max(len(part.maps), trained_on))
    seen = look(network, old.kind, part.maps, shift=shift, device=old.device).calibrated(old.temperature)
    novelty = old.novelty.to(cpu).with_classes(seen.to(cpu), part.classes, seed=config.seed)
    return replace(
        old,
        network=network,
        labels=lesson.labels,
        prior_shift=shift,
        mixture=mixture.to(old.device),
        novelty=novelty.to(old.device),
    )


def recalled(old: TrainedModel, examples: Examples | None, seed: int) -> Tensor:
    """Latents (M, L) in place of the maps that the old model learnt from: drawn from its mixture, and as many
    of its examples, over and over.
    """
    drawn = old.mixture.sample(REMEMBERED, seed).float()
    if examples is None or not len(examples.network):
        return drawn
    kept = torch.from_numpy(examples.network).to(old.device)
    return torch.cat([drawn, kept[torch.arange(REMEMBERED, device=old.device) % len(kept)]])


@torch.no_grad()
def views(
    network: nn.Module, kind: Kind, maps: Sequence[WaferMap], device: torch.device, seed: int
) -> Tensor:
    """Latents (N * (VIEWS + 1), L) of maps: first of all as they are, then of all changed at random, and so
    on.
    """
    rng = np.random.default_rng(seed)
    found = [run_network(network, kind, maps, device=device)[1]]
    for _ in range(VIEWS):
        for start in range(0, len(maps), BATCH):
            found.append(network(kind.encode(maps[start : start + BATCH], rng).to(device))[1])
    return torch.cat(found)


def tune(
    layer: nn.Module,
    latent: Tensor,
    truth: Tensor,
    remembered: Tensor,
    kept: Tensor,
    shift: Tensor,
    *,
    fixed: int = 0,
) -> None:
    """Tune a linear layer in place to latents (N, L) of classes int64 (N,), so that it keeps what it said of
    others: remembered (M, L) with probabilities (M, K).

    A class that is taught weighs as much as one of those that are remembered, but less the fewer latents it
    has: half at FEW. Two corrected maps must not outweigh a class.
    shift (K,) is added to the logits. fixed: how many of the first classes keep their weights.
    """
    counts = torch.bincount(truth, minlength=len(shift))
    strength = counts / (counts + FEW)
    share = float(strength.sum() / (strength.sum() + (kept.amax(0) > 0).sum()))
    balance = strength / counts.clamp(min=1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=RATE)
    for _ in range(STEPS):
        new = functional.cross_entropy(layer(latent) + shift, truth, weight=balance)
        old = functional.cross_entropy(layer(remembered) + shift, kept)
        loss = share * new + (1 - share) * old
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in layer.parameters():
            if parameter.grad is not None:
                parameter.grad[:fixed] = 0
        optimizer.step()
