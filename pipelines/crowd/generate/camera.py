"""A camera on a mast above level ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole without distortion. width, height: of the image in px. focal: px. mast: m above the ground.
    tilt: radians, by how much it looks down.

    On the ground x goes to the right and z away from the foot of the mast, in m.
    """

    width: int
    height: int
    focal: float
    mast: float
    tilt: float

    @property
    def horizon(self) -> float:
        """The row of the horizon, in px."""
        return self.height / 2 - self.focal * float(np.tan(self.tilt))

    def project(self, points: ArrayLike) -> Floats:
        """Points float64 (N, 3), x, height above ground and z in m, to (N, 2), x and y in px."""
        x, up, z = np.asarray(points, np.float64).reshape(-1, 3).T
        away = self.away(z, up)
        down = (self.mast - up) * np.cos(self.tilt) - z * np.sin(self.tilt)
        return np.stack(
            [self.width / 2 + self.focal * x / away, self.height / 2 + self.focal * down / away], 1
        )

    def away(self, z: ArrayLike, up: ArrayLike = 0.0) -> Floats:
        """Distance along the optical axis in m; the scale there is `focal / away` px per m."""
        along = np.asarray(z, np.float64) * np.cos(self.tilt)
        return np.asarray(along + (self.mast - np.asarray(up, np.float64)) * np.sin(self.tilt))

    def ground(self, points: ArrayLike) -> Floats:
        """Places in the image (N, 2), px, to places on the ground (N, 2), x and z in m; NaN above the
        horizon."""
        table = np.asarray(points, np.float64).reshape(-1, 2)
        x = (table[:, 0] - self.width / 2) / self.focal
        y = (table[:, 1] - self.height / 2) / self.focal
        falls = np.sin(self.tilt) + y * np.cos(self.tilt)
        with np.errstate(divide="ignore"):
            share = np.where(falls > 1e-9, self.mast / falls, np.nan)
        return np.stack([x * share, (np.cos(self.tilt) - y * np.sin(self.tilt)) * share], 1)

    def homography(self) -> Floats:
        """float64 (3, 3), from px to x and z in m on the ground."""
        sine, cosine, focal = np.sin(self.tilt), np.cos(self.tilt), self.focal
        to_ray = np.array(
            [[1 / focal, 0, -self.width / 2 / focal], [0, 1 / focal, -self.height / 2 / focal], [0, 0, 1]]
        )
        to_ground = np.array(
            [[self.mast, 0, 0], [0, -self.mast * sine, self.mast * cosine], [0, cosine, sine]]
        )
        return np.asarray(to_ground @ to_ray)
