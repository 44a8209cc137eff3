"""New coordinate maps from others, and which rows of two maps belong together."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from sparse_backbones.engines.native.index import CoordinateIndex
from sparse_backbones.engines.native.maps import CoordinateMap, divided

_INT32 = torch.iinfo(torch.int32)


def as_int32(coordinates: Tensor) -> Tensor:
    """Coordinates rounded down. Raises ValueError where they do not fit."""
    if coordinates.is_floating_point() or coordinates.dtype in (torch.uint32, torch.uint64):
        coordinates = torch.floor(coordinates.double())
    elif coordinates.dtype is not torch.int64:
        return coordinates.int()
    check_range(coordinates)
    return coordinates.int()


def check_range(coordinates: Tensor) -> None:
    """Raises ValueError unless all coordinates, rounded down, are int32 numbers."""
    # Written so that NaN fails too.
    if not bool(((coordinates >= -(2**31)) & (coordinates < 2**31)).all()):
        raise ValueError("coordinates must be finite and fit in 32 bits")


def distinct(coordinates: Tensor, stride: tuple[int, ...]) -> CoordinateMap:
    """The map of the distinct rows of int coordinates (N, 1 + D), sorted by batch index, then by axis."""
    if len(coordinates) and (int(coordinates.min()) < _INT32.min or int(coordinates.max()) > _INT32.max):
        raise ValueError("the output's coordinates do not fit in 32 bits")
    index = CoordinateIndex(coordinates)
    return CoordinateMap(coordinates[index.first].int(), stride)


def expanded(
    sites: CoordinateMap, offsets: Tensor, unit: tuple[int, ...], stride: tuple[int, ...]
) -> CoordinateMap:
    """Every place that a kernel laid around the sites reaches; with another stride, its multiples alone.

    offsets: int64 (K, D) in multiples of `unit`.
    """
    device = sites.coordinates.device
    shifts = torch.zeros(len(offsets), sites.coordinates.shape[1], dtype=torch.int64, device=device)
    shifts[:, 1:] = offsets.to(device) * torch.tensor(unit, device=device)
    reached = (sites.coordinates.long()[:, None] + shifts).flatten(0, 1)
    if stride != unit:
        reached = reached[(reached % torch.tensor((1, *stride), device=device) == 0).all(1)]
    return distinct(reached, stride)


def union(maps: list[CoordinateMap]) -> CoordinateMap:
    """The sites of all maps, at the smallest of their strides."""
    stride = tuple(min(strides) for strides in zip(*(sites.stride for sites in maps), strict=True))
    return distinct(torch.cat([sites.coordinates.long() for sites in maps]), stride)


def rows_in(sites: CoordinateMap, coordinates: Tensor) -> tuple[Tensor, Tensor]:
    """For int coordinates (M, 1 + D): the row of the site there (M,), and whether there is one (M,)."""
    coordinates = coordinates.long()
    steps = divided(coordinates, sites.unit)
    place, hit = sites.index.find(steps)
    if steps is not coordinates:
        unit = torch.tensor((1, *sites.unit), device=steps.device)
        hit = hit & (steps * unit == coordinates).all(1)
    return (sites.index.first[place] if len(sites) else place), hit


def rounded_rows(coordinates: Tensor, sites: CoordinateMap) -> tuple[Tensor, Tensor]:
    """As `rows_in`, for coordinates of any kind rounded down to multiples of the map's stride."""
    stride = torch.tensor((1, *sites.stride), device=sites.coordinates.device).clamp_(min=1)
    return rows_in(sites, (torch.floor(coordinates.double() / stride) * stride).long())


def corners(samples: Tensor) -> Tensor:
    """The 2^D places around each sample: int64 (M * 2^D, 1 + D) for float samples (M, 1 + D)."""
    low = torch.floor(samples).long()
    shifts = torch.zeros(2 ** (samples.shape[1] - 1), samples.shape[1], dtype=torch.int64, device=low.device)
    shifts[:, 1:] = torch.tensor(list(itertools.product((0, 1), repeat=samples.shape[1] - 1)))
    return (low[:, None] + shifts).flatten(0, 1)


def interpolation(sites: CoordinateMap, samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of multilinear interpolation at samples, float (M, 1 + D), batch index first.

    Returns rows of the map (P,), rows of the samples (P,) in rising order, and weights (P,) in the samples'
    dtype. Of the 2^D corners around a sample those without a site, or of weight 0, are left out. Raises
    ValueError where a sample is not finite or does not fit in 32 bits.
    """
    columns = sites.coordinates.shape[1]
    if samples.ndim != 2 or samples.shape[1] != columns:
        raise ValueError(
            f"samples must have the shape (M, {columns}), batch index first, not {tuple(samples.shape)}"
        )
    check_range(samples)
    stride = torch.tensor(sites.stride, device=samples.device).clamp_(min=1)
    exact = samples if samples.dtype is torch.float64 else samples.double()
    low = torch.floor(exact[:, 1:] / stride)
    part = exact[:, 1:] / stride - low
    choice = torch.tensor(list(itertools.product((0, 1), repeat=len(sites.stride))), device=samples.device)
    weights = torch.where(choice.bool(), part[:, None], 1 - part[:, None]).prod(2)
    places = torch.empty(*weights.shape, samples.shape[1], dtype=torch.int64, device=samples.device)
    places[..., 0] = torch.floor(exact[:, :1]).long()
    places[..., 1:] = (low.long()[:, None] + choice) * stride
    rows, hit = rows_in(sites, places.flatten(0, 1))
    chosen = torch.nonzero(hit & (weights.flatten() != 0))[:, 0]
    return rows[chosen], chosen // len(choice), weights.flatten()[chosen].to(samples.dtype)
