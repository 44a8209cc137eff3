"""Between sparse and plain tensors, and several tensors on the same sites into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.base import FeaturesOnCoordinates
from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.tensor import SparseTensor, cat

Inputs = FeaturesOnCoordinates | Sequence[FeaturesOnCoordinates]


def _combine(inputs: tuple[Inputs, ...], operation: Callable[[list[Tensor]], Tensor]) -> Any:
    items: list[FeaturesOnCoordinates] = []
    for entry in inputs:
        items.extend([entry] if isinstance(entry, FeaturesOnCoordinates) else entry)
    if len(items) < 2:
        raise ValueError(f"at least two sparse tensors are needed, not {len(items)}")
    head = items[0]
    for item in items[1:]:
        if type(item) is not type(head):
            raise ValueError(f"a {type(head).__name__} cannot be combined with a {type(item).__name__}")
        if item.coordinate_manager is not head.coordinate_manager:
            raise ValueError("the tensors must have the same coordinate manager")
        if item.coordinate_key != head.coordinate_key:
            raise ValueError("the tensors must lie on the same coordinate map; use MinkowskiUnion otherwise")
    return head.replace(operation([item.F for item in items]))


def _total(features: list[Tensor]) -> Tensor:
    return reduce(torch.add, features)


def _mean(features: list[Tensor]) -> Tensor:
    return _total(features) / len(features)


def _variance(features: list[Tensor]) -> Tensor:
    centre = _mean(features)
    return _mean([(item - centre) ** 2 for item in features])


def sum(*sparse_tensors: Inputs) -> Any:
    """Sum of the features of sparse tensors, or of tensor fields, on one coordinate map."""
    return _combine(sparse_tensors, _total)


def mean(*sparse_tensors: Inputs) -> Any:
    """Mean of the features of sparse tensors, or of tensor fields, on one coordinate map."""
    return _combine(sparse_tensors, _mean)


def var(*sparse_tensors: Inputs) -> Any:
    """Variance (biased) of the features of sparse tensors, or of tensor fields, on one coordinate map."""
    return _combine(sparse_tensors, _variance)


def dense_coordinates(shape: Sequence[int]) -> Tensor:
    """All coordinates of a dense tensor of the shape (B, C, *spatial): int32 (B * prod(spatial), 1 + D)."""
    if len(shape) < 3:
        raise ValueError(f"the shape must be (B, C, and at least one spatial size), not {tuple(shape)}")
    axes = [torch.arange(size, dtype=torch.int32) for size in (shape[0], *shape[2:])]
    return torch.stack([grid.reshape(-1) for grid in torch.meshgrid(*axes, indexing="ij")], dim=1)


def to_sparse(
    x: Tensor,
    format: str | None = None,
    coordinates: Tensor | None = None,
    device: torch.device | str | None = None,
) -> SparseTensor:
    """The sites of a dense tensor where any channel differs from zero.

    format: one letter per axis, B for the batch (first), C for the channels and X for each spatial axis;
        BCX...X unless given.
    coordinates: int (N, 1 + D), the sites to take instead of those that differ from zero.
    """
    if x.ndim < 3:
        raise ValueError(f"a dense tensor has a batch, a channel and spatial axes, not {tuple(x.shape)}")
    layout = format or "BC" + "X" * (x.ndim - 2)
    if len(layout) != x.ndim or layout[0] != "B" or sorted(layout) != sorted("BC" + "X" * (x.ndim - 2)):
        raise ValueError(f"format must be B, C and {x.ndim - 2} X in some order, B first, not {layout!r}")
    rows = x.movedim(layout.index("C"), -1)
    sites = (rows.detach() != 0).any(-1).nonzero() if coordinates is None else coordinates.to(x.device).long()
    return SparseTensor(rows[tuple(sites.unbind(1))], sites.int(), device=device)


def to_sparse_all(dense_tensor: Tensor, coordinates: Tensor | None = None) -> SparseTensor:
    """Every site of a dense tensor (B, C, *spatial), zeros included.

    coordinates: what `dense_coordinates` gives for the shape, where it is known beforehand.
    """
    if coordinates is None:
        coordinates = dense_coordinates(dense_tensor.shape)
    rows = dense_tensor.movedim(1, -1).reshape(-1, dense_tensor.shape[1])
    return SparseTensor(rows, coordinates.to(dense_tensor.device))


class MinkowskiToSparseTensor(MinkowskiModuleBase):
    """From a dense tensor (B, C, *spatial), or a tensor field, to a sparse tensor.

    remove_zeros: leave out the sites where all channels are zero.
    coordinates: with remove_zeros=False, what `dense_coordinates` gives for the shape.
    """

    def __init__(self, remove_zeros: bool = True, coordinates: Tensor | None = None) -> None:
        super().__init__()
        if remove_zeros and coordinates is not None:
            raise ValueError("coordinates go with remove_zeros=False")
        self.remove_zeros = remove_zeros
        self.coordinates = coordinates

    def forward(self, input: Tensor) -> SparseTensor:
        if not isinstance(input, Tensor):
            return input.sparse()
        if self.remove_zeros:
            return to_sparse(input)
        return to_sparse_all(input, self.coordinates)


class MinkowskiToDenseTensor(MinkowskiModuleBase):
    """To a dense tensor (B, C, *spatial) of the given shape, else of the smallest that fits."""

    def __init__(self, shape: Sequence[int] | None = None) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, input: SparseTensor) -> Tensor:
        return input.dense(shape=self.shape)[0]


class MinkowskiToFeature(MinkowskiModuleBase):
    """The features (N, C) alone."""

    def forward(self, x: FeaturesOnCoordinates) -> Tensor:
        return x.F


class _Stack(nn.Sequential):
    """Applies every layer to the same input and joins what they give."""

    join: Callable[..., Any]

    def forward(self, x: FeaturesOnCoordinates) -> Any:
        return type(self).join([module(x) for module in self])


class MinkowskiStackCat(_Stack):
    """All layers' outputs side by side."""

    join = staticmethod(cat)


class MinkowskiStackSum(_Stack):
    """The sum of all layers' outputs."""

    join = staticmethod(sum)


class MinkowskiStackMean(_Stack):
    """The mean of all layers' outputs."""

    join = staticmethod(mean)


class MinkowskiStackVar(_Stack):
    """The variance of all layers' outputs."""

    join = staticmethod(var)
