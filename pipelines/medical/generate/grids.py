"""Grids to sample a body on: voxels, spacing, and how the stored axes lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.medical.generate.phantom import Body, Modality, Points

_DIRECTIONS = {
    letter: np.array(sign)
    for letter, sign in {
        **{"R": (1.0, 0.0, 0.0), "L": (-1.0, 0.0, 0.0), "A": (0.0, 1.0, 0.0), "P": (0.0, -1.0, 0.0)},
        **{"S": (0.0, 0.0, 1.0), "I": (0.0, 0.0, -1.0)},
    }.items()
}


@dataclass(frozen=True, slots=True)
class Grid:
    """shape: voxels along the stored axes. spacing: mm along them. axes: where each runs, such as `PSR`.

    tilt: degrees about x, then about z, by which the axes leave the patient's. centre: mm, of the grid.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    axes: str = "RAS"
    tilt: tuple[float, float] = (0.0, 0.0)
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4), from a voxel's index to mm in RAS+."""
        found = np.eye(4)
        directions = np.column_stack([_DIRECTIONS[letter] for letter in self.axes])
        found[:3, :3] = _turn(*np.deg2rad(self.tilt)) @ directions * np.array(self.spacing)
        middle = (np.array(self.shape) - 1) / 2
        found[:3, 3] = np.array(self.centre) - found[:3, :3] @ middle
        return found

    @property
    def points(self) -> Points:
        """(I, J, K, 3) in mm, RAS+."""
        index = np.stack(np.meshgrid(*map(np.arange, self.shape), indexing="ij"), axis=-1)
        points: Points = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return points


def sample(
    body: Body, grid: Grid, modality: Modality, rng: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Image and labels (I, J, K) of a body on a grid."""
    points = grid.points
    image = np.rint(body.image(points, modality, rng)).clip(-1024, 3071).astype(np.int16)
    return image, body.labels(points)


def _turn(about_x: float, about_z: float) -> NDArray[np.float64]:
    (sx, sz), (cx, cz) = np.sin([about_x, about_z]), np.cos([about_x, about_z])
    first = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    found: NDArray[np.float64] = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ first
    return found
