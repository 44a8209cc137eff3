"""The colon's wall: a bent tube whose radius depends on the place, so that folds and relief are one map.

World axes in mm: z along the tube, x and y across. A place on the wall is its angle about the tube's axis and
its z. The tube's axis bends by two sine waves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import maximum_filter1d
from torch import Tensor

from pipelines.polyp.render.sampling import Chart

FINER = 3  # times: steps of the map are read straight between its points, so these must lie close
NEAR_MM, NEAR_RAD = 8.0, 0.7  # over which the steepest slope counts
MOST_STEP = 7.0  # mm


@dataclass(frozen=True)
class Wall:
    """radii: chart of the radius in mm, and of the part of the gap that a ray may go there without passing
    through a fold; bends: (2, 2, 3) for x and y, two waves each: strength mm, wave number 1/mm, phase."""

    radii: Chart
    bends: NDArray[np.float64]

    @classmethod
    def of(cls, radii: NDArray[np.float32], low: float, high: float, bends: NDArray[np.float64]) -> Wall:
        """From radii (rows, columns) in mm, rows from z = `low` to `high`, columns once round from -pi."""
        steps = (high - low) / (radii.shape[0] - 1), 2 * np.pi / radii.shape[1]
        along, around = np.gradient(np.pad(radii, ((0, 0), (1, 1)), mode="wrap"), *steps)
        slope = np.hypot(along, around / radii.mean())[:, 1:-1]
        window = [2 * round(near / step) + 1 for near, step in zip((NEAR_MM, NEAR_RAD), steps, strict=True)]
        lean = float((np.abs(bends[..., 0] * bends[..., 1])).sum(axis=1).max())
        steepest = maximum_filter1d(slope, window[0], axis=0, mode="nearest")
        steepest = maximum_filter1d(steepest, window[1], axis=1, mode="wrap") + lean
        layers = np.stack([_finer(radii), _finer(1 / np.hypot(1, steepest), 1)])
        return cls(Chart.of(layers.astype(np.float32), low, high), bends)

    def axis(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x and y of the tube's axis."""
        x, y = (
            sum((strength * torch.sin(number * z + phase) for strength, number, phase in waves), 0 * z)
            for waves in self.bends.tolist()
        )
        return x, y

    def gap(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Angle (N,) of points (3, N), and the gap (N,) in mm to the wall, across the tube; negative beyond
        it. The tube is closed at its ends."""
        angle, gap, _ = self.look(points)
        return angle, gap

    def look(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `gap`, and how far (N,) in mm a ray may go from there."""
        x, y, z = points
        axis_x, axis_y = self.axis(z)
        x, y = x - axis_x, y - axis_y
        angle = torch.atan2(y, x)
        radius, safe = self.radii.at(angle, z)
        gap = radius - (x * x + y * y).sqrt()
        end = torch.minimum(z - self.radii.low, self.radii.high - z)
        gap = torch.minimum(gap, end)
        return angle, gap, (gap * safe).clamp_max(MOST_STEP)

    def place(self, angle: Tensor, z: Tensor, height: Tensor) -> Tensor:
        """Points (3, N) that lie `height` mm from the wall towards the axis."""
        radius = self.radii.at(torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi, z)[0] - height
        axis_x, axis_y = self.axis(z)
        return torch.stack([axis_x + radius * angle.cos(), axis_y + radius * angle.sin(), z])


def _finer(layer: NDArray[np.float32], degree: int = 3) -> NDArray[np.float32]:
    """A map (rows, columns) on a finer grid by splines, closed round the columns."""
    rows, columns = layer.shape
    at = np.linspace(0, rows - 1, FINER * (rows - 1) + 1)
    tall = make_interp_spline(np.arange(rows), layer, k=degree)(at)
    margin = 4  # what lies beyond the seam steers a spline before it
    wide = np.pad(tall, ((0, 0), (margin, margin)), mode="wrap")
    at = margin + np.arange(FINER * columns) / FINER
    found: NDArray[np.float32] = make_interp_spline(np.arange(wide.shape[1]), wide, k=degree, axis=1)(at)
    return found
