"""The arithmetic over kernel maps: convolution, sums and maxima, with their gradients.

Each output row's terms are added in one fixed order, so results do not change from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from sparse_backbones.engines.native import compiled
from sparse_backbones.engines.native.maps import KernelMap
from sparse_backbones.engines.native.precision import without_autocast

# Above this many gathered numbers a convolution goes offset by offset: it bounds the memory, and what is
# gathered stays in the processor's cache.
FUSED_LIMIT = 2**20
# From this occupancy on, gathering zeros for the sites that are not there costs less than adding up products.
TABLE_OCCUPANCY = 0.45
# Gathered numbers a block: as many as stay in the processor's cache until they are multiplied.
BLOCK = 2**20


def segment_sum(values: Tensor, order: Tensor, starts: Tensor) -> Tensor:
    """Sums rows of `values` (M, C): output row i is the sum of values[order[starts[i]:starts[i + 1]]]."""
    if order.numel() == 0:
        return values.new_zeros(len(starts) - 1, values.shape[1])
    return embedding_bag(order, values, starts, mode="sum", include_last_offset=True)


def convolve(features: Tensor, kernel: Tensor, pairs: KernelMap) -> Tensor:
    """Sparse convolution. features (n_in, Cin), kernel (K, Cin, Cout) -> (n_out, Cout).

    Raises ValueError where the shapes do not fit each other or the pairs, TypeError for two dtypes, and
    RuntimeError for two devices.
    """
    _check(features, kernel, pairs)
    return _Convolution.apply(features, kernel, pairs, False)  # type: ignore[no-any-return, no-untyped-call]


def sum_rows(features: Tensor, pairs: KernelMap) -> Tensor:
    """Sum over the pairs of each output row. features (n_in, C) -> (n_out, C)."""
    return _SumRows.apply(features, pairs)  # type: ignore[no-any-return, no-untyped-call]


def max_rows(features: Tensor, pairs: KernelMap) -> Tensor:
    """Maximum over the pairs of each output row, per channel; 0 for a row without pairs.

    A tie goes to the lowest kernel offset.
    """
    return _MaxRows.apply(features, pairs)  # type: ignore[no-any-return, no-untyped-call]


def _check(features: Tensor, kernel: Tensor, pairs: KernelMap) -> None:
    """The compiled kernels would read past the end of what does not fit."""
    if features.ndim != 2 or features.shape[0] != pairs.n_in:
        raise ValueError(f"features must be ({pairs.n_in}, channels), not {tuple(features.shape)}")
    if kernel.ndim != 3 or kernel.shape[:2] != (pairs.volume, features.shape[1]):
        raise ValueError(
            f"the kernel must be ({pairs.volume}, {features.shape[1]}, channels), not {tuple(kernel.shape)}"
        )
    if features.dtype is not kernel.dtype:
        raise TypeError(f"the features are {features.dtype} and the kernel {kernel.dtype}")
    if features.device != kernel.device:
        raise RuntimeError(f"the features are on {features.device} and the kernel on {kernel.device}")


def _products(source: Tensor, rows: Tensor, weights: Tensor, pairs: KernelMap) -> Tensor:
    """For every pair: source[row] @ weights[offset], (P, weights.shape[2])."""
    gathered = source.index_select(0, rows)
    result = source.new_empty(len(rows), weights.shape[2])
    start = 0
    for offset, count in enumerate(pairs.counts):
        if count:
            torch.mm(gathered[start : start + count], weights[offset], out=result[start : start + count])
            start += count
    return result


def _spread(source: Tensor, kernel: Tensor, pairs: KernelMap, transposed: bool) -> Tensor:
    """Sum over pairs of source[in] @ kernel[offset], or its transpose, at each output row."""
    if compiled.takes(source):
        return compiled.convolve(source, kernel, pairs.blocks, transposed=transposed)
    weights = kernel.transpose(1, 2).contiguous() if transposed else kernel
    if pairs.occupancy >= TABLE_OCCUPANCY:
        result = source.new_empty(pairs.n_out, weights.shape[2])
        flat = weights.reshape(-1, weights.shape[2])
        for rows, gathered in _blocks(source, pairs):
            torch.mm(gathered, flat, out=result[rows])
        return result
    if pairs.in_rows.numel() * max(weights.shape[1:]) <= FUSED_LIMIT:
        result = segment_sum(_products(source, pairs.in_rows, weights, pairs), *pairs.by_output)
    else:
        result = source.new_zeros(pairs.n_out, weights.shape[2])
        start = 0
        for offset, count in enumerate(pairs.counts):
            if count:
                part = slice(start, start + count)
                terms = source.index_select(0, pairs.in_rows[part]) @ weights[offset]
                result.index_add_(0, pairs.out_rows[part], terms)
                start += count
    if pairs.identity is not None:
        result.addmm_(source, weights[pairs.identity])
    return result


def _blocks(source: Tensor, pairs: KernelMap) -> Iterator[tuple[slice, Tensor]]:
    """Runs of output rows with what lies under the kernel there, (rows, K * C); absent sites are zeros.

    The tensor is one buffer, used again for the next run.
    """
    channels, volume = source.shape[1], len(pairs.counts)
    padded = torch.cat([source, source.new_zeros(1, channels)])
    step = max(64, BLOCK // (volume * channels))
    buffer = source.new_empty(min(step, pairs.n_out) * volume, channels)
    for start in range(0, pairs.n_out, step):
        places = pairs.table[start : start + step]
        gathered = buffer[: places.numel()]
        torch.index_select(padded, 0, places.reshape(-1), out=gathered)
        yield slice(start, start + len(places)), gathered.view(len(places), volume * channels)


def _outer_products(features: Tensor, grad: Tensor, pairs: KernelMap) -> Tensor:
    """Sum over the pairs of each offset of the outer products of features and gradient, (K, Cin, Cout)."""
    if compiled.takes(features):
        return compiled.outer_products(features, grad, pairs.blocks)
    result = features.new_zeros(len(pairs.counts), features.shape[1], grad.shape[1])
    if pairs.occupancy >= TABLE_OCCUPANCY:
        flat = result.view(-1, grad.shape[1])
        for rows, gathered in _blocks(features, pairs):
            flat.addmm_(gathered.t(), grad[rows])
        return result
    start = 0
    for offset, count in enumerate(pairs.counts):
        if count:
            part = slice(start, start + count)
            seen = features.index_select(0, pairs.in_rows[part])
            reached = grad.index_select(0, pairs.out_rows[part])
            torch.mm(seen.t(), reached, out=result[offset])
            start += count
    if pairs.identity is not None:
        torch.mm(features.t(), grad, out=result[pairs.identity])
    return result


class _Convolution(Function):
    """With `transposed`, the kernel's matrices (Cout, Cin) are applied the other way round."""

    @staticmethod
    @without_autocast
    def forward(ctx: Any, features: Tensor, kernel: Tensor, pairs: KernelMap, transposed: bool) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.pairs, ctx.transposed = pairs, transposed
        return _spread(features, kernel, pairs, transposed)

    @staticmethod
    @without_autocast
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        features, kernel = ctx.saved_tensors
        pairs: KernelMap = ctx.pairs
        grad = grad.contiguous()
        grad_features = grad_kernel = None
        if ctx.needs_input_grad[0]:
            grad_features = _Convolution.apply(grad, kernel, pairs.transposed, not ctx.transposed)  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            if ctx.transposed:
                grad_kernel = _KernelGradient.apply(grad, features, pairs.transposed)  # type: ignore[no-untyped-call]
            else:
                grad_kernel = _KernelGradient.apply(features, grad, pairs)  # type: ignore[no-untyped-call]
        return grad_features, grad_kernel, None, None


class _KernelGradient(Function):
    @staticmethod
    @without_autocast
    def forward(ctx: Any, features: Tensor, grad: Tensor, pairs: KernelMap) -> Tensor:
        ctx.save_for_backward(features, grad)
        ctx.pairs = pairs
        return _outer_products(features, grad, pairs)

    @staticmethod
    @without_autocast
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor, Tensor, None]:
        features, grad = ctx.saved_tensors
        pairs: KernelMap = ctx.pairs
        second = second.contiguous()
        back = _Convolution.apply(grad, second, pairs.transposed, True)  # type: ignore[no-untyped-call]
        return back, convolve(features, second, pairs), None


class _SumRows(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, pairs: KernelMap) -> Tensor:
        ctx.pairs = pairs
        order, starts = pairs.by_output
        return segment_sum(features, pairs.in_rows[order].long(), starts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return sum_rows(grad.contiguous(), ctx.pairs.transposed), None


class _MaxRows(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, pairs: KernelMap) -> Tensor:
        channels = features.shape[1]
        gathered = features.index_select(0, pairs.in_rows)
        target = pairs.out_rows.long()[:, None].expand(-1, channels)
        result = features.new_full((pairs.n_out, channels), -torch.inf)
        result.scatter_reduce_(0, target, gathered, "amax")
        # Pairs are sorted by offset, so the lowest pair that reaches the maximum is the lowest offset.
        number = torch.arange(len(gathered), device=features.device)[:, None].expand(-1, channels)
        number = torch.where(gathered == result[pairs.out_rows], number, len(gathered))
        winner = number.new_full(result.shape, len(gathered)).scatter_reduce_(0, target, number, "amin")
        ctx.save_for_backward(winner)
        ctx.pairs = pairs
        reached = torch.zeros(pairs.n_out, dtype=torch.bool, device=features.device)
        reached[pairs.out_rows] = True
        return result.masked_fill_(~reached[:, None], 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (winner,) = ctx.saved_tensors
        pairs: KernelMap = ctx.pairs
        rows = torch.cat([pairs.in_rows.long(), winner.new_full((1,), pairs.n_in)])[winner]
        result = grad.new_zeros(pairs.n_in + 1, grad.shape[1]).scatter_add_(0, rows, grad)
        return result[:-1], None
