"""Batch normalisation over the values of all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Total = Callable[[Tensor], None]  # puts the sum over all processes into a tensor


class GlobalBatchNorm(nn.Module):
    """What a BatchNorm of torch does, with mean and variance over the values that all processes hold.

    It shares the parameters and running statistics of `norm`, under the same names. It takes features (N, C)
    and maps (N, C, *spatial) on any backend. In training every process must call it as often as the others,
    with or without rows: one without any gives nothing to the mean and takes part in the sums. Where all
    processes together have one value in a channel, its variance is 0; where they have none, the running
    statistics stay. In evaluation it needs no other process.

    rank, size: which process this is, of how many.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, norm: _BatchNorm, rank: int, size: int, total: Total) -> None:
        super().__init__()
        self.rank, self.size, self.total = rank, size, total
        self.num_features, self.eps, self.momentum = norm.num_features, norm.eps, norm.momentum
        for name in ("weight", "bias"):
            self.register_parameter(name, getattr(norm, name))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.training = norm.training

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        found, mean, variance, count = _Normalise.apply(x, self)  # type: ignore[no-untyped-call]
        if self.training:
            self._remember(mean, variance, count)
        if self.weight is not None and self.bias is not None:
            shape = (1, -1, *(1,) * (x.ndim - 2))
            found = found * self.weight.reshape(shape) + self.bias.reshape(shape)
        result: Tensor = found.to(x.dtype)
        return result

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics; the variance that is kept is the unbiased one, as torch has it."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        any_value = count > 0
        self.num_batches_tracked.add_(any_value)
        share = 1 / self.num_batches_tracked.clamp(min=1) if self.momentum is None else self.momentum
        unbiased = variance * count / (count - 1).clamp(min=1)
        for running, new in ((self.running_mean, mean), (self.running_var, unbiased)):
            running.add_((new.to(running.dtype) - running) * share * any_value)


class _Normalise(torch.autograd.Function):
    """x with mean 0 and variance 1 per channel; also the mean and the biased variance, (C,), and the count of
    values per channel, ()."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: GlobalBatchNorm) -> tuple[Tensor, ...]:
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        over = [0, *range(2, x.ndim)]
        channels, values = x.shape[1], x.numel() // max(x.shape[1], 1)
        # Mean and squared deviations of each process, joined as in Chan, Golub and LeVeque (1979): a sum of
        # squares alone would lose the digits of a small variance beside a large mean.
        table = wide.new_zeros(norm.size, 2 * channels + 1)
        own = table[norm.rank]
        if values:
            variance, mean = torch.var_mean(wide, over, correction=0)
            own[:channels], own[channels:-1], own[-1] = mean, variance * values, values
        norm.total(table)
        means, squares, counts = table[:, :channels], table[:, channels:-1], table[:, -1:]
        count = counts.sum()
        some = count.clamp(min=1)
        mean = (means * counts).sum(0) / some
        variance = (squares + counts * (means - mean).square()).sum(0) / some
        scale = torch.rsqrt(variance + norm.eps)
        shape = (1, -1, *(1,) * (x.ndim - 2))
        normalised = (wide - mean.reshape(shape)) * scale.reshape(shape)
        ctx.norm, ctx.over, ctx.shape, ctx.dtype = norm, over, shape, x.dtype
        ctx.save_for_backward(normalised, scale, some)
        ctx.mark_non_differentiable(mean, variance, count)
        return normalised, mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Ioffe and Szegedy, Batch normalization, 2015, section 3, with sums over all processes."""
        normalised, scale, count = ctx.saved_tensors
        given = gradients[0]
        sums = torch.stack([given.sum(ctx.over), (given * normalised).sum(ctx.over)])
        ctx.norm.total(sums)
        of_mean, of_scale = (one.reshape(ctx.shape) for one in sums / count)
        found = (given - of_mean - normalised * of_scale) * scale.reshape(ctx.shape)
        return found.to(ctx.dtype), None


@contextmanager
def synchronised(network: nn.Module, rank: int, size: int, total: Total) -> Iterator[None]:
    """Within it, every batch norm of the network is over all processes; names in its state stay the same.

    Afterwards the norms that were there are there again, with what was learnt.
    """
    places = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, _BatchNorm)
    ]
    put = [(p, name, norm, GlobalBatchNorm(norm, rank, size, total)) for p, name, norm in places]
    for parent, name, _, new in put:
        setattr(parent, name, new)
    try:
        yield
    finally:
        for parent, name, norm, new in put:
            setattr(parent, name, norm.train(new.training))
