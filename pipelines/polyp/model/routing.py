"""Gradient routing: gates and the rest of a network learn in turn, each from a forward pass of its own.

In one step the loss is computed twice. The first pass changes the gates alone; the second, in which the new
gates act already, changes everything else. Each part has an optimiser, a learning rate and a limit for its
gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.common.training.optimise import weight_groups
from pipelines.common.training.spread.world import ALONE, World
from pipelines.polyp.model.gates import split_parameters

MAX_GRADIENT = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Optimisers:
    """gates: None for a network without gates, or one that trains them with everything else."""

    rest: torch.optim.Optimizer
    gates: torch.optim.Optimizer | None = None

    def all(self) -> list[torch.optim.Optimizer]:
        """Those that there are, the gates' first."""
        return [one for one in (self.gates, self.rest) if one is not None]

    def set_rates(self, share: float) -> None:
        """Set all learning rates to a share of those that they began with."""
        for optimiser in self.all():
            for group in optimiser.param_groups:
                group.setdefault("initial_lr", group["lr"])
                group["lr"] = share * group["initial_lr"]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: `state`, with the parameters of all optimisers numbered on."""
        state, before = {}, 0
        for optimiser in self.all():
            for number, values in optimiser.state_dict()["state"].items():
                state[before + number] = values
            before += _number(optimiser)
        return {"state": state}

    def load_state_dict(self, found: dict[str, Any]) -> None:
        """Take what `state_dict` gave."""
        before = 0
        for optimiser in self.all():
            count = _number(optimiser)
            own = {n - before: v for n, v in found["state"].items() if before <= n < before + count}
            optimiser.load_state_dict({**optimiser.state_dict(), "state": own})
            before += count


def make_optimisers(
    network: nn.Module, learning_rate: float, weight_decay: float, *, gate_rate: float, routed: bool
) -> Optimisers:
    """Optimisers of a network's parameters. routed: give the gates, if there are any, one of their own.

    gate_rate: learning rate of the gates when routed.
    """
    gates, _ = split_parameters(network)
    groups = weight_groups(network, weight_decay)
    if not (routed and gates):
        return Optimisers(torch.optim.AdamW(groups, lr=learning_rate, fused=True))
    mine = {id(one) for one in gates}
    for group in groups:
        group["params"] = [one for one in group["params"] if id(one) not in mine]
    return Optimisers(
        torch.optim.AdamW(groups, lr=learning_rate, fused=True), torch.optim.Adam(gates, lr=gate_rate)
    )


def step(
    loss_of: Callable[[], Tensor],
    optimisers: Optimisers,
    limit: float = MAX_GRADIENT,
    world: World = ALONE,
) -> Tensor:
    """One step on one batch; returns the last loss, without a gradient.

    loss_of: computes the loss anew, with a forward pass; its part of it, in one of several processes. limit:
    of the norm of each part's gradients. world: the processes that divide the batch.
    """
    loss = torch.zeros(())
    for optimiser in optimisers.all():
        loss = loss_of()
        _learn(loss, optimiser, limit, world)
    return loss.detach()


def _learn(loss: Tensor, optimiser: torch.optim.Optimizer, limit: float, world: World) -> None:
    """Change the optimiser's parameters and touch no other one, not even its gradient."""
    own = [one for one in _parameters(optimiser) if one.requires_grad]
    if not own:
        return
    gradients = torch.autograd.grad(loss, own, allow_unused=True)
    for one, gradient in zip(own, gradients, strict=True):
        one.grad = gradient
    world.reduce_gradients(own)
    nn.utils.clip_grad_norm_(own, limit)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _number(optimiser: torch.optim.Optimizer) -> int:
    return sum(1 for _ in _parameters(optimiser))


def _parameters(optimiser: torch.optim.Optimizer) -> Iterable[nn.Parameter]:
    return (one for group in optimiser.param_groups for one in group["params"])
