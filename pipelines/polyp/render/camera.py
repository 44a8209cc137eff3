"""The camera: a pinhole with radial distortion, where it stands, and the field that the optics leave open.

Camera axes: x right, y down, z forward along the optical axis. Pixel (0, 0) is the middle of the first pixel.
Normalised coordinates are x / z and y / z; r_u and r_d are their radii before and after the distortion
x_d = x_u (1 + k1 r_u^2), the first term of Brown (1971).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEWTON_STEPS = 12


@dataclass(frozen=True, slots=True)
class Camera:
    """Intrinsics in px; k1 has no unit and is 0 or negative (barrel)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float

    def calibration(self) -> dict[str, float]:
        """What the calibration file holds."""
        return {name: getattr(self, name) for name in ("width", "height", "fx", "fy", "cx", "cy", "k1")}

    def pixels(self) -> tuple[Floats, Floats]:
        """Distorted normalised x and y of every pixel, each (height, width)."""
        x = (np.arange(self.width) - self.cx) / self.fx
        y = (np.arange(self.height) - self.cy) / self.fy
        shape = (self.height, self.width)
        return np.broadcast_to(x, shape).copy(), np.broadcast_to(y[:, None], shape).copy()

    def rays(self) -> Floats:
        """Unit directions (3, height * width) in camera axes, pixel by pixel along the rows.

        Where the distortion has no inverse the direction is that of the last radius that has one.
        """
        x, y = self.pixels()
        scale = undistorted_scale(np.hypot(x, y), self.k1)
        rays = np.stack([x * scale, y * scale, np.ones_like(x)]).reshape(3, -1)
        directions: Floats = rays / np.linalg.norm(rays, axis=0)
        return directions

    def project(self, points: Floats) -> Floats:
        """Pixels (2, N), x then y, of points (3, N) in mm in camera axes; nan behind the camera."""
        ahead = np.where(points[2] > 0, points[2], np.nan)
        x, y = points[0] / ahead, points[1] / ahead
        bent = 1 + self.k1 * (x**2 + y**2)
        pixels: Floats = np.stack([self.fx * x * bent + self.cx, self.fy * y * bent + self.cy])
        return pixels


def last_radius(k1: float) -> float:
    """The largest r_u up to which r_d grows; infinite without distortion."""
    return float(1 / np.sqrt(-3 * k1)) if k1 < 0 else float("inf")


def undistorted_scale(distorted: Floats, k1: float) -> Floats:
    """r_u / r_d for each r_d, by Newton's method on r_u (1 + k1 r_u^2) = r_d."""
    if k1 == 0:
        return np.ones_like(distorted)
    most = 0.999 * last_radius(k1)
    wanted = np.minimum(distorted, most * (1 + k1 * most**2))
    radius = wanted.copy()
    for _ in range(NEWTON_STEPS):
        radius -= (radius * (1 + k1 * radius**2) - wanted) / (1 + 3 * k1 * radius**2)
        radius = np.clip(radius, 0, most)
    scale: Floats = np.where(wanted > 1e-9, radius / np.maximum(wanted, 1e-9), 1.0)
    return scale


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the camera is. place: (3,) mm in the world; axes: (3, 3), its columns the camera's right, down
    and forward in the world."""

    place: Floats
    axes: Floats

    def to_camera(self, points: Floats) -> Floats:
        """World points (3, N) in camera axes, mm."""
        moved: Floats = self.axes.T @ (points - self.place[:, None])
        return moved

    def to_world(self, points: Floats) -> Floats:
        """Points (3, N) in camera axes in the world, mm."""
        moved: Floats = self.axes @ points + self.place[:, None]
        return moved


def looking(place: Floats, target: Floats, off: float, towards: float, roll: float) -> Pose:
    """A pose at `place` that sees `target` `off` radians from the optical axis, in the image's direction
    `towards` (radians, 0 right, pi/2 down); `roll` radians about the axis."""
    forward = (target - place) / np.linalg.norm(target - place)
    side = np.cross(forward, [0.0, 1.0, 0.0] if abs(forward[1]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    down = np.cross(forward, side)
    right = np.cos(roll) * side + np.sin(roll) * down
    down = np.cross(forward, right)
    # The target leaves the axis in one direction when the axis turns the other way.
    across = np.cos(towards) * right + np.sin(towards) * down
    turned = _turn(np.cross(across, forward), off)
    return Pose(place, turned @ np.stack([right, down, forward], axis=1))


def _turn(axis: Floats, angle: float) -> Floats:
    """The rotation (3, 3) about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: Floats = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


FieldShape = Literal["circle", "octagon", "cropped"]


@dataclass(frozen=True, slots=True)
class Field:
    """What the optics leave open. centre and radius in px: of the circle, or half the side of the square
    whose corners the octagon cuts. `cropped` is a circle that the frame cuts."""

    shape: FieldShape
    centre: tuple[float, float]
    radius: float

    def inside(self, width: int, height: int) -> NDArray[np.bool_]:
        """Which pixels (height, width) are seen."""
        x = np.abs(np.arange(width) - self.centre[0])
        y = np.abs(np.arange(height) - self.centre[1])[:, None]
        if self.shape == "octagon":
            return np.asarray((np.maximum(x, y) < self.radius) & (x + y < 1.42 * self.radius))
        return np.asarray(np.hypot(x, y) < self.radius)
