"""What the camera may see: wall, polyp, stalk, instrument and a pool of liquid, as one signed distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.polyp.render.lesion import MARGIN, Lesion
from pipelines.polyp.render.tool import Tool
from pipelines.polyp.render.vectors import column, dot, length, unit
from pipelines.polyp.render.wall import Wall

WALL, LESION, STALK, TOOL, POOL = range(5)
FAR = 1e3
BODY_SAFE = 0.7  # a body's distance leaves out how its radius changes with the direction


@dataclass(frozen=True)
class Pool:
    """A level surface of liquid: all points with up . p < level are in it. up: (3,), a unit vector."""

    up: NDArray[np.float64]
    level: float

    def distance(self, points: Tensor) -> Tensor:
        """mm of points (3, N) above the surface."""
        return dot(points, column(self.up, points)) - self.level


@dataclass(frozen=True)
class Touch:
    """label: (N,) int64, WALL, LESION, ...; angle: (N,) about the tube's axis; gap, body: (N,) mm to the wall
    and to the polyp's body, FAR where that was not looked at."""

    label: Tensor
    angle: Tensor
    gap: Tensor
    body: Tensor


@dataclass(frozen=True)
class Scene:
    """wall, and what is in it; `tool` is in the world's coordinates."""

    wall: Wall
    lesion: Lesion | None = None
    tool: Tool | None = None
    pool: Pool | None = None

    def distance(self, points: Tensor) -> Tensor:
        """Rough distance (N,) in mm from points (3, N) to the nearest surface, negative inside."""
        return self._distances(points)[0]

    def free(self, points: Tensor) -> Tensor:
        """How far (N,) in mm a ray may go from points (3, N) without passing through anything."""
        return self._distances(points)[1]

    def _distances(self, points: Tensor) -> tuple[Tensor, Tensor]:
        angle, found, free = self.wall.look(points)
        if (lesion := self.lesion) is not None:
            away = self._away(points)
            near = (away < MARGIN).nonzero()[:, 0]
            beside = away.clamp_min(MARGIN)
            close, gap = points[:, near], found[near]
            found, ahead = torch.minimum(found, beside), torch.minimum(free, beside)
            if len(near):
                value = gap
                if lesion.stalk is not None:
                    value = blend(value, lesion.stalk.distance(close), 2 * lesion.fillet)
                value = blend(value, lesion.body(close, angle[near], gap), lesion.fillet)
                # Where the wall is nearest what its slope allows, elsewhere what the body's distance can be
                # trusted.
                steep = (free[near] / torch.where(gap == 0, 1.0, gap)).clamp(0.2, BODY_SAFE)
                part = torch.where(value < 0.8 * gap, BODY_SAFE, steep)
                found[near], ahead[near] = value, value * part
            free = ahead
        for thing in (self.tool, self.pool):
            if thing is not None:
                value = thing.distance(points)
                found, free = torch.minimum(found, value), torch.minimum(free, value)
        return found, free

    def touch(self, points: Tensor) -> Touch:
        """What points (3, N) on a surface belong to."""
        angle, gap = self.wall.gap(points)
        best, label = gap, torch.full(gap.shape, WALL)
        body = torch.full_like(gap, FAR)
        parts: list[tuple[int, Tensor]] = []
        if self.lesion is not None:
            near = (self._away(points) < MARGIN).nonzero()[:, 0]
            close, around, wall = points[:, near], angle[near], gap[near]
            body[near] = self.lesion.body(close, around, wall)
            parts.append((LESION, body))
            if self.lesion.stalk is not None:
                stalk = torch.full_like(gap, FAR)
                stalk[near] = self.lesion.stalk.distance(close)
                parts.append((STALK, stalk))
        if self.tool is not None:
            parts.append((TOOL, self.tool.distance(points)))
        if self.pool is not None:
            parts.append((POOL, self.pool.distance(points)))
        for name, value in parts:
            label = torch.where(value < best, name, label)
            best = torch.minimum(value, best)
        return Touch(label, angle, gap, body)

    def normals(self, points: Tensor, width: Tensor) -> Tensor:
        """Unit normals (3, N) towards the lumen, from differences over `width` (N,) mm."""
        corners = torch.tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], dtype=points.dtype)
        total = torch.zeros_like(points)
        for corner in corners:
            total += corner[:, None] * self.distance(points + corner[:, None] * width)
        return unit(total)

    def _away(self, points: Tensor) -> Tensor:
        """Distance to the ball around the polyp and its stalk."""
        assert self.lesion is not None
        return length(points - column(self.lesion.centre, points)) - self.lesion.bound


def blend(one: Tensor, other: Tensor, width: float) -> Tensor:
    """The smaller of two distances, rounded over `width` mm (the quadratic smooth minimum)."""
    near = (width - (one - other).abs()).clamp_min(0)
    return torch.minimum(one, other) - near * near * (0.25 / width)
