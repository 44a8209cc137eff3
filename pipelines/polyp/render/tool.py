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

Floats = NDArray[np.float64]
WIDTH_MM = 2.4
ToolKind = Literal["forceps", "snare"]


@dataclass(frozen=True)
class Tool:
    """A straight shaft from `start` to `tip`, (3,) mm in the world, of 2.4 mm; then what its kind carries.

    wires: thin rods (start, stop, radius) in the world beyond the tip: cups of a forceps, the loop of a
    snare.
    """

    kind: ToolKind
    start: Floats
    tip: Floats
    wires: tuple[tuple[Floats, Floats, float], ...] = ()

    def distance(self, points: Tensor) -> Tensor:
        """mm (N,) from points (3, N)."""
        found = rod(points, self.start, self.tip, WIDTH_MM / 2, WIDTH_MM / 2)
        for start, stop, radius in self.wires:
            found = torch.minimum(found, rod(points, start, stop, radius, radius))
        return found


def make_tool(kind: ToolKind, start: Floats, tip: Floats, roll: float) -> Tool:
    """The instrument with what it carries at its tip, turned by `roll` radians about its shaft."""
    ahead = (tip - start) / np.linalg.norm(tip - start)
    side = np.cross(ahead, [0.0, 0.0, 1.0] if abs(ahead[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    side = np.cos(roll) * side + np.sin(roll) * np.cross(ahead, side)
    if kind == "forceps":
        cups = [
            (tip + sign * 0.5 * side, tip + 2.2 * ahead + sign * 1.5 * side, 0.75) for sign in (1.0, -1.0)
        ]
        return Tool(kind, start, tip, tuple(cups))
    turns = np.linspace(0, 2 * np.pi, 11)
    loop = [tip + 5.0 * (1 - np.cos(turn)) * ahead + 2.6 * np.sin(turn) * side for turn in turns]
    return Tool(kind, start, tip, tuple((a, b, 0.2) for a, b in pairwise(loop)))
