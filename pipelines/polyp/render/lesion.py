"""The polyp as a signed distance: a star-shaped body that rides on the wall or sits on a stalk.

A body is a stretched ball whose radius depends on the direction. Sessile and flat ones are measured in the
wall's own coordinates (along the tube, around it, height), so that they follow its curve; the head of a
pedunculated one is rigid. The size is the largest distance in mm between two points of the body that show
above the wall; a stalk does not count, neither in the size nor in the mask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from torch import Tensor

from pipelines.polyp.render.sampling import Chart, sphere_grid
from pipelines.polyp.render.vectors import column, dot, length
from pipelines.polyp.render.wall import Wall

Floats = NDArray[np.float64]
Kind = Literal["sessile", "pedunculated", "flat"]
MARGIN = 1.5  # mm around the body within which its shape is looked at
FIT_STEPS = 3
MOST_POINTS = 6000


@dataclass(frozen=True)
class Stalk:
    """A bent rod from the wall to the head. nodes: (K, 3) mm; radii: (K,) mm."""

    nodes: Floats
    radii: Floats

    def distance(self, points: Tensor) -> Tensor:
        """mm from points (3, N) to the rod, along whose pieces the radius changes linearly."""
        found = None
        for start, stop, first, last in zip(
            self.nodes[:-1], self.nodes[1:], self.radii[:-1], self.radii[1:], strict=True
        ):
            piece = rod(points, start, stop, float(first), float(last))
            found = piece if found is None else torch.minimum(found, piece)
        assert found is not None
        return found


@dataclass(frozen=True)
class Lesion:
    """One polyp.

    angle, z: where it sits on the wall; half: (3,) half lengths in mm of the unstretched body, the third
    upwards; lift: height in mm of its centre; spin: radians in the wall's plane; flatness: 2 is round, more a
    plateau; radii: chart of the radius by direction, as a part of the half lengths, rows by the angle from
    upwards; stalk, centre (3,), axes (3, 3) in the world: of a pedunculated one; fillet: mm over which it
    passes into the wall.
    """

    kind: Kind
    size: float
    angle: float
    z: float
    half: Floats
    lift: float
    spin: float
    flatness: float
    radii: Chart
    fillet: float
    centre: Floats
    reach: float  # mm from `centre` to the furthest point of the body
    around: float  # mm per radian around the tube, at the wall
    axes: Floats | None = None
    stalk: Stalk | None = None

    @property
    def bound(self) -> float:
        """Radius in mm of a ball about `centre` that holds the body, its stalk and the passage into the
        wall."""
        reach = self.reach
        if self.stalk is not None:
            ends = np.linalg.norm(self.stalk.nodes - self.centre, axis=1) + self.stalk.radii
            reach = max(reach, float(ends.max()))
        return reach + 2 * self.fillet

    def body(self, points: Tensor, angle: Tensor, gap: Tensor) -> Tensor:
        """Distance (N,) in mm, roughly, to the body from points (3, N) whose place on the wall is known."""
        local = self.local(points, angle, gap)
        unit = local / column(self.half, local)
        round_length = length(unit).clamp_min(1e-6)
        size = round_length if self.flatness == 2 else _power_length(unit, self.flatness)
        polar, azimuth = directions(unit, round_length)
        radius = self.radii.at(azimuth, polar)[0]
        # The first-order estimate f / |grad f| for an ellipsoid; the radius' own slope is left out.
        steep = length(unit / column(self.half, unit)).clamp_min(1e-9)
        return (size - radius) * round_length / steep

    def local(self, points: Tensor, angle: Tensor, gap: Tensor) -> Tensor:
        """Points (3, N) from the body's centre in its own axes, mm."""
        if self.axes is not None:
            axes = torch.as_tensor(self.axes.T, dtype=points.dtype)
            return axes @ (points - column(self.centre, points))
        turn = torch.remainder(angle - self.angle + torch.pi, 2 * torch.pi) - torch.pi
        along, around = points[2] - self.z, turn * self.around
        cosine, sine = np.cos(self.spin), np.sin(self.spin)
        return torch.stack([cosine * along + sine * around, cosine * around - sine * along, gap - self.lift])

    def surface(self, wall: Wall) -> Floats:
        """Points (N, 3) of the body's surface that show above the wall, mm in the world."""
        rows, columns = self.radii.values.shape[2:]
        grid = sphere_grid(rows, columns).reshape(3, -1)
        unit = torch.from_numpy(grid)
        polar, azimuth = directions(unit, torch.ones(unit.shape[1]))
        radius = self.radii.at(azimuth, polar)[0]
        size = length(unit) if self.flatness == 2 else _power_length(unit, self.flatness)
        local = unit * (radius / size) * column(self.half, unit)
        if self.axes is not None:
            places = torch.as_tensor(self.axes, dtype=local.dtype) @ local + column(self.centre, local)
            shown = wall.gap(places)[1] > 0
            return places[:, shown].double().numpy().T
        cosine, sine = np.cos(self.spin), np.sin(self.spin)
        along = cosine * local[0] - sine * local[1] + self.z
        angle = (cosine * local[1] + sine * local[0]) / self.around + self.angle
        height = local[2] + self.lift
        shown = height >= 0
        return wall.place(angle[shown], along[shown], height[shown]).double().numpy().T

    def fitted(self, wall: Wall) -> Lesion:
        """Stretched evenly until the size is `size` on this wall."""
        lesion = self
        for _ in range(FIT_STEPS):
            scale = lesion.size / diameter(lesion.surface(wall))
            lesion = replace(lesion, half=lesion.half * scale, lift=lesion.lift * scale)
        points = lesion.surface(wall)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        reach = float(np.linalg.norm(points - middle, axis=1).max())
        if lesion.axes is None:
            lesion = replace(lesion, centre=middle)
        return replace(lesion, reach=reach)


def diameter(points: Floats) -> float:
    """The largest distance between two of the points (N, 3)."""
    if len(points) > MOST_POINTS:
        points = points[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).astype(int))]
    corners = points[ConvexHull(points).vertices]
    return float(pdist(corners).max())


def directions(unit: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Angle from upwards and angle around (N,) of vectors (3, N) of these sizes (N,)."""
    return torch.acos((unit[2] / size).clamp(-1, 1)), torch.atan2(unit[1], unit[0])


def rod(points: Tensor, start: Floats, stop: Floats, first: float, last: float) -> Tensor:
    """Distance (N,) to a round-ended rod whose radius goes from `first` to `last`."""
    line = stop - start
    offset = points - column(start, points)
    part = dot(column(line, points), offset) / float(line @ line)
    part = part.clamp(0, 1)
    return length(offset - part * column(line, points)) - (first + (last - first) * part)


def _power_length(vectors: Tensor, power: float) -> Tensor:
    """Round in the plane, a plateau upwards: (|xy|^p + |z|^p)^(1/p)."""
    x, y, z = vectors
    size: Tensor = ((x * x + y * y) ** (power / 2) + z.abs() ** power) ** (1 / power)
    return size
