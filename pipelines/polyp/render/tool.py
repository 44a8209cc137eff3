"""An instrument of known width that comes from the camera's own channel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.polyp.render.lesion import rod
from pipelines.polyp.render.vectors import column, length

Floats = NDArray[np.float64]
WIDTH_MM = 2.4
NEAR_MM = 1.0  # of what is beyond the tip, where its parts are looked at
ToolKind = Literal["forceps", "snare"]
COLOURS: dict[ToolKind, tuple[tuple[float, float, float], ...]] = {
    "forceps": ((0.2, 0.2, 0.21), (0.12, 0.12, 0.13), (0.25, 0.16, 0.05)),
    "snare": ((0.3, 0.33, 0.36), (0.06, 0.12, 0.3), (0.08, 0.22, 0.12), (0.4, 0.2, 0.05), (0.35, 0.33, 0.22)),
}


@dataclass(frozen=True)
class Tool:
    """A straight shaft from `start` to `tip`, (3,) mm in the world, of 2.4 mm; then what its kind carries.

    colour: linear red, green, blue; wires: thin rods (start, stop, radius) in the world beyond the tip: cups
    of a forceps, the loop of a snare.
    """

    kind: ToolKind
    colour: tuple[float, float, float]
    start: Floats
    tip: Floats
    wires: tuple[tuple[Floats, Floats, float], ...] = ()

    def distance(self, points: Tensor) -> Tensor:
        """mm (N,) from points (3, N)."""
        found = rod(points, self.start, self.tip, WIDTH_MM / 2, WIDTH_MM / 2)
        if not self.wires:
            return found
        away = length(points - column(self.tip, points)) - self.reach
        found = torch.minimum(found, away.clamp_min(NEAR_MM))
        near = (away < NEAR_MM).nonzero()[:, 0]
        close = points[:, near]
        for start, stop, radius in self.wires:
            found[near] = torch.minimum(found[near], rod(close, start, stop, radius, radius))
        return found

    @property
    def reach(self) -> float:
        """mm from the tip to the end of what is beyond it."""
        ends = [end for start, stop, radius in self.wires for end in (start, stop)]
        return max(float(np.linalg.norm(end - self.tip)) for end in ends) + 1.0


def make_tool(kind: ToolKind, shade: int, start: Floats, tip: Floats, roll: float) -> Tool:
    """The instrument with what it carries at its tip, turned by `roll` radians about its shaft.

    shade: which of its kind's colours it has, any number.
    """
    colour = COLOURS[kind][shade % len(COLOURS[kind])]
    ahead = (tip - start) / np.linalg.norm(tip - start)
    side = np.cross(ahead, [0.0, 0.0, 1.0] if abs(ahead[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    side = np.cos(roll) * side + np.sin(roll) * np.cross(ahead, side)
    if kind == "forceps":
        cups = [
            (tip + sign * 0.5 * side, tip + 2.2 * ahead + sign * 1.5 * side, 0.75) for sign in (1.0, -1.0)
        ]
        return Tool(kind, colour, start, tip, tuple(cups))
    turns = np.linspace(0, 2 * np.pi, 11)
    loop = [tip + 5.0 * (1 - np.cos(turn)) * ahead + 2.6 * np.sin(turn) * side for turn in turns]
    return Tool(kind, colour, start, tip, tuple((a, b, 0.2) for a, b in pairwise(loop)))
