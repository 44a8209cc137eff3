"""A submanifold 3x3 or 3x3x3 convolution, forward and backward, on both engines and densely."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import Row, Section, Sections, Summary, interleaved, print_report
from pipelines.common.hardware import package_version
from sparse_backbones import engines

DENSE = "dense"
LEAST_SECONDS = 0.02
# Beyond this a dense grid is left out: 2^24 floats of one channel are 64 MiB.
MAX_DENSE_CELLS = 2**19


@dataclass(frozen=True, slots=True)
class Shape:
    """Active sites drawn at random from a square or cubic grid, or all of it."""

    name: str
    dimension: int
    side: int
    sites: int
    channels: int

    @property
    def cells(self) -> int:
        return int(self.side**self.dimension)

    def coordinates(self) -> Tensor:
        """int32 (sites, 1 + dimension), batch index 0 first, all different."""
        generator = torch.Generator().manual_seed(0)
        if self.sites == self.cells:
            flat = torch.arange(self.cells)
        else:
            # Twice as many as are needed; what is drawn twice is dropped.
            drawn = torch.randint(self.cells, (2 * self.sites + 64,), generator=generator)
            drawn = torch.from_numpy(np.unique(drawn.numpy()))
            flat = drawn[torch.randperm(len(drawn), generator=generator)[: self.sites]]
        if len(flat) < self.sites:
            raise ValueError(f"{self.name}: {self.sites} sites are too many to draw from {self.cells} cells")
        columns = [torch.zeros_like(flat)]
        for axis in range(self.dimension):
            columns.append(flat // self.side ** (self.dimension - 1 - axis) % self.side)
        return torch.stack(columns, dim=1).int()


FULL = (
    Shape("2d_scattered", 2, 20_000, 32_000, 16),
    Shape("2d_occupied_5", 2, 512, 13_107, 32),
    Shape("3d_occupied_5", 3, 64, 13_107, 32),
    Shape("3d_occupied_30", 3, 48, 33_178, 32),
    Shape("3d_full", 3, 48, 110_592, 32),
)
QUICK = (
    Shape("2d_scattered", 2, 20_000, 4_000, 16),
    Shape("3d_occupied_5", 3, 32, 1_638, 32),
    Shape("3d_full", 3, 16, 4_096, 32),
)


def measure(shape: Shape, names: Sequence[str], *, repeats: int) -> Section:
    """Seconds with a new coordinate map each time and with a cached one, forward, and forward with backward.

    The dense convolution, on the whole grid, stands beside both where the grid is small enough.
    """
    coordinates = shape.coordinates()
    features = torch.randn(shape.sites, shape.channels, generator=torch.Generator().manual_seed(1))
    sparse = {name: _Sparse(engines.load(name), shape, coordinates, features) for name in names}
    stages: dict[str, dict[str, Callable[[], object]]] = {
        "new_map_forward": {name: one.new_map for name, one in sparse.items()},
        "forward": {name: one.forward for name, one in sparse.items()},
        "forward_backward": {name: one.backward for name, one in sparse.items()},
    }
    if shape.cells <= MAX_DENSE_CELLS:
        dense = _Dense(shape, coordinates, features)
        stages["forward"][DENSE] = stages["new_map_forward"][DENSE] = dense.forward
        stages["forward_backward"][DENSE] = dense.backward
    rows: list[Row] = []
    summary: Summary = {}
    for stage, calls in stages.items():
        timings = interleaved(calls, repeats=repeats, warm_up=2, least_seconds=LEAST_SECONDS)
        for name, timing in timings.items():
            rows.append(
                {
                    "stage": stage,
                    "engine": name,
                    "sites": shape.sites,
                    "side": shape.side,
                    "dimension": shape.dimension,
                    "channels": shape.channels,
                    **timing.columns(),
                }
            )
            if name != "native":
                ratio = timing.median / timings["native"].median
                summary[f"{shape.name}_{stage}_native_over_{name}"] = ratio
    return Section(rows, summary)


class _Sparse:
    def __init__(self, engine: ModuleType, shape: Shape, coordinates: Tensor, features: Tensor) -> None:
        self.tensor = engine.SparseTensor
        self.coordinates, self.features = coordinates, features
        self.conv = engine.MinkowskiConvolution(
            shape.channels, shape.channels, kernel_size=3, dimension=shape.dimension
        )
        self.x: Any = self.tensor(features, coordinates)

    @torch.no_grad()
    def new_map(self) -> None:
        self.conv(self.tensor(self.features, self.coordinates))

    @torch.no_grad()
    def forward(self) -> None:
        self.conv(self.x)

    def backward(self) -> None:
        self.conv.zero_grad(set_to_none=True)
        # New features on the coordinates and maps of x: a graph is good for one backward pass.
        x = self.tensor(
            self.x.F.detach().requires_grad_(),
            coordinate_map_key=self.x.coordinate_map_key,
            coordinate_manager=self.x.coordinate_manager,
        )
        self.conv(x).F.sum().backward()


class _Dense:
    def __init__(self, shape: Shape, coordinates: Tensor, features: Tensor) -> None:
        kind = nn.Conv2d if shape.dimension == 2 else nn.Conv3d
        # Channels last: the faster order on a CPU.
        order = torch.channels_last if shape.dimension == 2 else torch.channels_last_3d
        conv = kind(shape.channels, shape.channels, 3, padding=1, bias=False)
        self.conv = conv.to(memory_format=order)  # type: ignore[call-overload]
        grid = torch.zeros(1, shape.channels, *[shape.side] * shape.dimension)
        grid[0][(slice(None), *coordinates[:, 1:].long().T)] = features.T
        self.x = grid.contiguous(memory_format=order).requires_grad_()

    @torch.no_grad()
    def forward(self) -> None:
        self.conv(self.x)

    def backward(self) -> None:
        self.conv.zero_grad(set_to_none=True)
        self.conv(self.x).sum().backward()


def run(shapes: Sequence[Shape], target: Path, *, threads: int, repeats: int, quick: bool) -> dict[str, Any]:
    """Measure every shape, print the tables, write the JSON; goes on where an earlier run broke off."""
    torch.set_num_threads(threads)
    names = ["native", "minkowski"] if package_version("MinkowskiEngine") else ["native"]
    facts = {"quick": quick, "threads": threads, "repeats": repeats, "engines": names}
    sections = Sections(target, facts, say=partial(print, file=sys.stderr, flush=True))
    for shape in shapes:
        sections.run(shape.name, partial(measure, shape, names, repeats=repeats))
    report = sections.finish()
    print_report(report)
    return report
