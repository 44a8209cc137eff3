"""LAMB (You et al., Large batch optimization for deep learning, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class Lamb(Optimizer):
    """Adam with decoupled weight decay, each tensor's step scaled by its norm over that of the step."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of every parameter that has a gradient. `closure` is not used."""
        for group in self.param_groups:
            first, second = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_avg_sq"] = torch.zeros_like(parameter)
                state["step"] += 1
                number = float(state["step"])
                state["exp_avg"].lerp_(parameter.grad, 1 - first)
                state["exp_avg_sq"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
                mean = state["exp_avg"] / (1 - first**number)
                spread = (state["exp_avg_sq"] / (1 - second**number)).sqrt_()
                change = mean / spread.add_(group["eps"]) + group["weight_decay"] * parameter
                own, new = parameter.norm(), change.norm()
                # Biases and norms begin at 0 and have no decay: they move as with Adam.
                trust = float(own / new) if group["weight_decay"] and own > 0 and new > 0 else 1.0
                parameter.add_(change, alpha=-group["lr"] * trust)
