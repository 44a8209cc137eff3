"""Reading maps between their points: a chart of the wall, or the directions of a sphere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

PAD = 1  # columns beyond the seam


@dataclass(frozen=True)
class Chart:
    """A map whose columns go once round (angle -pi to pi) and whose rows run from `low` to `high`.

    values: float32 (1, C, rows, columns + 2 PAD), the columns repeated beyond the seam.
    """

    values: Tensor
    low: float
    high: float

    @classmethod
    def of(cls, layers: NDArray[np.float32], low: float, high: float) -> Chart:
        """From layers (C, rows, columns): the first column is at -pi, the first row at `low`."""
        padded = np.concatenate([layers[..., -PAD:], layers, layers[..., :PAD]], axis=-1)
        return cls(torch.from_numpy(np.ascontiguousarray(padded, np.float32))[None], low, high)

    def at(self, angle: Tensor, along: Tensor) -> Tensor:
        """Values (C, N) at angles (N,) and rows' coordinates (N,); the first and last row reach on for
        ever."""
        columns = self.values.shape[3]
        across = columns - 2 * PAD
        x = (angle + torch.pi) * (across / torch.pi / (columns - 1)) + (2 * PAD / (columns - 1) - 1)
        y = (along - self.low) * (2 / (self.high - self.low)) - 1
        grid = torch.stack([x, y], dim=1)[None, None]
        return F.grid_sample(self.values, grid, "bilinear", "border", align_corners=True)[0, :, 0]


@dataclass(frozen=True)
class Tile:
    """A square map that repeats every `period` mm. values: float32 (1, C, n + 1, n + 1), its edges
    repeated."""

    values: Tensor
    period: float

    @classmethod
    def of(cls, layers: NDArray[np.float32], period: float) -> Tile:
        """From layers (C, n, n) without the repeated edge."""
        return cls(torch.from_numpy(np.pad(layers, ((0, 0), (0, 1), (0, 1)), mode="wrap"))[None], period)

    def at(self, x: Tensor, y: Tensor) -> Tensor:
        """Values (C, N) at x, along the rows, and y, both (N,) in mm."""
        places = torch.stack([x, y], dim=1) / self.period
        grid = ((places - places.floor()) * 2 - 1)[None, None]
        return F.grid_sample(self.values, grid, "bilinear", "border", align_corners=True)[0, :, 0]


def sphere_grid(rows: int, columns: int) -> NDArray[np.float32]:
    """Directions (3, rows, columns) that a chart of a sphere holds: rows by the angle from +z, low 0, high
    pi."""
    polar = np.linspace(0, np.pi, rows)[:, None]
    angle = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]
    grid = np.stack([np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar + 0 * angle)])
    return grid.astype(np.float32)


def on_sphere(
    volume: NDArray[np.float32], directions: NDArray[np.float32], turns: float
) -> NDArray[np.float32]:
    """A periodic volume (n, n, n) read at points (3, rows, columns) times `turns` periods per unit."""
    closed = np.pad(volume, (0, 1), mode="wrap")
    places = torch.from_numpy(np.ascontiguousarray(directions)) * turns
    places = (places - places.floor()) * 2 - 1
    grid = places.movedim(0, -1)[None, None]
    read = F.grid_sample(torch.from_numpy(closed)[None, None], grid, "bilinear", "border", align_corners=True)
    return read[0, 0, 0].numpy()
