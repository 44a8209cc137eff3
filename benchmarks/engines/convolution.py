"""One convolution on each engine and as bare matrix products, with the same numbers in all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.engines.cases import Layer
from sparse_backbones import engines

# No longer than a clock can tell; see `map_seconds`.
LEAST_MAP_SECONDS = 1e-6


def row_order(coordinates: Tensor) -> Tensor:
    """int64 (N,): the rows in rising order of coordinates, in which engines are compared."""
    return torch.from_numpy(np.lexsort(coordinates.numpy().T[::-1]))


def numbers(rows: int, channels: int, seed: int) -> Tensor:
    """float32 (rows, channels) from the normal distribution."""
    return torch.randn(rows, channels, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True, slots=True)
class Result:
    """float32: output (M, C), gradients of features (N, C) and kernel; rows in order of coordinates."""

    output: Tensor
    features: Tensor
    kernel: Tensor

    def disagreement(self, other: Result) -> float:
        """The largest difference in output or gradients, as a share of the largest value of each."""
        pairs = zip(
            (self.output, self.features, self.kernel),
            (other.output, other.features, other.kernel),
            strict=True,
        )
        return max(difference(a, b) for a, b in pairs)


def difference(a: Tensor, b: Tensor) -> float:
    """The largest difference as a share of the largest value of `a`; infinite where the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    found = float((a - b).abs().max() / a.abs().max().clamp(min=1e-30))
    return found if found == found else float("inf")


class Convolution:
    """A layer on one engine, its maps built and cached.

    coordinates: int32 (N, 1 + D), all different. Features, kernel and the output's gradient are the same for
    every engine, each at its place in space.
    """

    def __init__(self, engine: ModuleType, layer: Layer, coordinates: Tensor) -> None:
        self.layer = layer
        dimension = coordinates.shape[1] - 1
        base = engine.SparseTensor(torch.ones(len(coordinates), 1), coordinates)
        if layer.transposed:
            down = engine.MinkowskiConvolution(
                1, 1, kernel_size=layer.kernel, stride=layer.stride, dimension=dimension
            )
            with torch.no_grad():
                base = down(base)
        kind = "MinkowskiConvolutionTranspose" if layer.transposed else "MinkowskiConvolution"
        self.conv = getattr(engine, kind)(
            layer.channels, layer.channels, kernel_size=layer.kernel, stride=layer.stride, dimension=dimension
        )
        with torch.no_grad():
            volume = layer.kernel**dimension
            drawn = numbers(volume * layer.channels, layer.channels, 1) / (volume * layer.channels) ** 0.5
            self.conv.kernel.copy_(drawn.reshape(self.conv.kernel.shape))
        self.order = row_order(base.C)
        features = torch.empty(len(self.order), layer.channels)
        features[self.order] = numbers(len(self.order), layer.channels, 2)
        self.features = features.requires_grad_()
        self.x: Any = engine.SparseTensor(
            self.features,
            coordinate_map_key=base.coordinate_map_key,
            coordinate_manager=base.coordinate_manager,
        )
        with torch.no_grad():
            y = self.conv(self.x)
        self.out_key = y.coordinate_map_key
        self.out_order = row_order(y.C)
        self.gradient = torch.empty(len(self.out_order), layer.channels)
        self.gradient[self.out_order] = numbers(len(self.out_order), layer.channels, 3)

    @torch.no_grad()
    def forward(self) -> None:
        self.conv(self.x)

    def forward_backward(self) -> None:
        self.features.grad = self.conv.kernel.grad = None
        self.conv(self.x).F.backward(self.gradient)

    def result(self) -> Result:
        self.forward_backward()
        with torch.no_grad():
            output = self.conv(self.x).F
        features, kernel = self.features.grad, self.conv.kernel.grad
        if features is None:
            raise RuntimeError("the features have no gradient")
        return Result(output[self.out_order], features[self.order], kernel)

    @cached_property
    def counts(self) -> list[int]:
        """The pairs of each kernel offset that has any."""
        found = self.x.coordinate_manager.kernel_map(
            self.x.coordinate_map_key,
            self.out_key,
            stride=self.layer.stride,
            kernel_size=self.layer.kernel,
            is_transpose=self.layer.transposed,
        )
        return [rows.shape[1] for rows in found.values()]


class Floor:
    """What no engine of the kind can be faster than: a matrix product per kernel offset, and nothing else.

    counts: pairs of each offset. The rows are the first ones of one contiguous input and the results go to
    one output, both there before: nothing is gathered, scattered, added up or allocated.
    """

    def __init__(self, counts: Sequence[int], channels: int) -> None:
        rows = max(counts, default=0)
        x, gradient = numbers(rows, channels, 1), numbers(rows, channels, 2)
        y, x_gradient = torch.empty(rows, channels), torch.empty(rows, channels)
        kernel = numbers(len(counts) * channels, channels, 3).reshape(-1, channels, channels)
        kernel_gradient = torch.empty_like(kernel)
        self._forward = [(x[:n], kernel[k], y[:n]) for k, n in enumerate(counts)]
        self._backward = [
            product
            for k, n in enumerate(counts)
            for product in (
                (gradient[:n], kernel[k].T, x_gradient[:n]),
                (x[:n].T, gradient[:n], kernel_gradient[k]),
            )
        ]

    @torch.no_grad()
    def forward(self) -> None:
        for a, b, out in self._forward:
            torch.mm(a, b, out=out)

    def forward_backward(self) -> None:
        self.forward()
        with torch.no_grad():
            for a, b, out in self._backward:
                torch.mm(a, b, out=out)


class NewMap:
    """Coordinates to the output of a first convolution, everything built anew."""

    def __init__(self, engine: ModuleType, kernel: int, channels: int, coordinates: Tensor) -> None:
        self.tensor = engine.SparseTensor
        self.coordinates = coordinates
        self.features = numbers(len(coordinates), channels, 1).requires_grad_()
        self.conv = engine.MinkowskiConvolution(
            channels, channels, kernel_size=kernel, dimension=coordinates.shape[1] - 1
        )

    @torch.no_grad()
    def forward(self) -> None:
        self.conv(self.tensor(self.features, self.coordinates))

    def forward_backward(self) -> None:
        self.features.grad = self.conv.kernel.grad = None
        self.conv(self.tensor(self.features, self.coordinates)).F.sum().backward()

    @torch.no_grad()
    def map_seconds(self) -> float:
        """The seconds of a first convolution from coordinates beyond those of a second one.

        Both engines build maps when a convolution first asks, and each in a form of its own: asking for the
        list of pairs would have MinkowskiEngine copy it, and native make one that it may not need. One
        channel keeps the arithmetic, which is taken off, small.
        """
        started = time.perf_counter()
        x = self.tensor(self.features, self.coordinates)
        self.conv(x)
        between = time.perf_counter()
        self.conv(x)
        ended = time.perf_counter()
        return max((between - started) - (ended - between), LEAST_MAP_SECONDS)


def load(name: str) -> ModuleType:
    """An engine with all that it does on its first call, whatever that is, behind it."""
    engine = engines.load(name)
    for dimension in (2, 3):
        coordinates = torch.zeros(64, dimension + 1, dtype=torch.int32)
        coordinates[:, 1] = torch.arange(64)
        Convolution(engine, Layer(3, 16), coordinates).forward_backward()
    return engine
