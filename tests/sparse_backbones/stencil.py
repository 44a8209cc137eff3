"""What sparse layers must compute for any kernel: a dense grid is read at every place plus every offset.

Sites and places are int (N, 1 + D) and (M, 1 + D), batch index first; offsets are int64 (K, D), in units of
the original grid. All functions work in any number of dimensions and are differentiable in the features.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tests.sparse_backbones.oracle import distinct

Ints = Sequence[int]


def cube(size: Ints, dilation: Ints) -> Tensor:
    """Offsets of a full kernel, first axis fastest; odd sizes centred, even ones from 0 on."""
    axes = [
        [d * (step - (s // 2 if s % 2 else 0)) for step in range(s)]
        for s, d in zip(size, dilation, strict=True)
    ]
    return torch.tensor([tuple(reversed(offset)) for offset in itertools.product(*reversed(axes))])


def cross(size: Ints, dilation: Ints) -> Tensor:
    """The centre, then along each axis the places before and behind it, for odd sizes."""
    rows = [[0] * len(size)]
    for axis, (s, d) in enumerate(zip(size, dilation, strict=True)):
        for step in [*range(-(s // 2), 0), *range(1, s // 2 + 1)]:
            rows.append([d * step if other == axis else 0 for other in range(len(size))])
    return torch.tensor(rows)


def under_kernel(sites: Tensor, features: Tensor, places: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Features (K, M, C) at places + offsets, 0 where there is no site; whether there is one, bool (K, M)."""
    low = sites.long().amin(0)
    cells = sites.long() - low
    extent = cells.amax(0) + 1
    numbers = features.new_zeros(*extent.tolist(), features.shape[1])
    numbers = numbers.index_put(tuple(cells.unbind(1)), features)
    active = torch.zeros(extent.tolist(), dtype=torch.bool).index_put(
        tuple(cells.unbind(1)), torch.tensor(True)
    )
    shifts = torch.cat([torch.zeros(len(offsets), 1, dtype=torch.int64), offsets], dim=1)
    looked = places.long() - low + shifts[:, None]
    inside = ((looked >= 0) & (looked < extent)).all(2)
    at = tuple(torch.where(inside[..., None], looked, 0).unbind(2))
    hit = active[at] & inside
    return torch.where(hit[..., None], numbers[at], 0.0), hit


def reached(sites: Tensor, offsets: Tensor, stride: Ints) -> Tensor:
    """The distinct sites + offsets that are multiples of `stride`, sorted, int64."""
    shifts = torch.cat([torch.zeros(len(offsets), 1, dtype=torch.int64), offsets], dim=1)
    places = (sites.long()[:, None] + shifts).flatten(0, 1)
    return distinct(places[(places % torch.tensor([1, *stride]) == 0).all(1)])


def _maximum(values: Tensor, hit: Tensor) -> Tensor:
    highest = values.masked_fill(~hit[..., None], -torch.inf).amax(0)
    return highest.masked_fill(~hit.any(0)[:, None], 0.0)


POOLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda values, hit: values.sum(0),
    "avg": lambda values, hit: values.sum(0) / hit.sum(0).clamp(min=1)[:, None],
    "max": _maximum,
}
"""Of what `under_kernel` gives to (M, C), by name of the mode; 0 where no site lies under the kernel."""


def interpolated(sites: Tensor, features: Tensor, samples: Tensor, stride: Ints) -> Tensor:
    """Multilinear interpolation at float samples (M, 1 + D): a site weighs by its distance per axis."""
    scale = torch.tensor(stride, dtype=torch.float64)
    distance = (samples[:, None, 1:].double() - sites[None, :, 1:]).abs() / scale
    weights = (1 - distance).clamp(min=0).prod(2) * (samples[:, None, 0] == sites[None, :, 0])
    return weights.to(features.dtype) @ features
