"""How large things look to a camera, free of its lens and of its number of pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.polyp.data.record import Box, Camera

NEWTON_STEPS = 20
DIRECTIONS = 200  # that a lesion is measured along: its size is too small by 0.6% at most
MOST_POINTS = 4000
FEWEST_POINTS = 10
Floats = NDArray[np.float64]


def resized(camera: Camera, width: int, height: int) -> Camera:
    """The camera of the same frame with another number of pixels."""
    x, y = width / camera.width, height / camera.height
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * x,
        fy=camera.fy * y,
        cx=camera.cx * x,
        cy=camera.cy * y,
    )


def undistorted(camera: Camera, points: ArrayLike) -> Floats:
    """Normalised coordinates x / z, y / z of the rays through pixels: float64 (N, 2).

    points: (N, 2), x and y in px. The inverse of x_d = x_u (1 + k1 r_u^2), by Newton's method on the radius;
    beyond the largest radius that the lens can show (where r_u (1 + k1 r_u^2) stops growing) it is that one.
    """
    table = np.asarray(points, np.float64).reshape(-1, 2)
    bent = (table - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    wanted = np.hypot(bent[:, 0], bent[:, 1])
    if camera.k1 < 0:
        last = np.sqrt(-1 / (3 * camera.k1))
        wanted = np.minimum(wanted, last * (1 + camera.k1 * last**2) * (1 - 1e-6))
        radius = np.minimum(wanted, 0.9 * last)
    else:
        radius = wanted.copy()
    for _ in range(NEWTON_STEPS):
        error = radius * (1 + camera.k1 * radius**2) - wanted
        slope = 1 + 3 * camera.k1 * radius**2
        radius = radius - error / np.maximum(slope, 1e-9)
        if camera.k1 < 0:
            radius = np.clip(radius, 0, last)
    seen = np.hypot(bent[:, 0], bent[:, 1])
    factor = np.divide(radius, seen, out=np.ones_like(radius), where=seen > 0)
    return np.asarray(bent * factor[:, None])


def apparent_size(box: Box, camera: Camera) -> tuple[float, float]:
    """Width and height of a box at a distance of 1, in units of that distance: those of its two mid-lines.

    Times the distance in mm along the optical axis they are mm, for something flat that faces the camera.
    """
    x0, y0, x1, y1 = box
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    left, right, top, bottom = undistorted(camera, [(x0, y), (x1, y), (x, y0), (x, y1)])
    return float(np.hypot(*(right - left))), float(np.hypot(*(bottom - top)))


def measured_size(
    depth: NDArray[np.float32], camera: Camera, box: Box, mask: NDArray[np.bool_] | None = None
) -> float | None:
    """The size of a lesion in mm as its depths tell it; None where too few are known.

    depth: float32 (H, W), mm along the optical axis, NaN or 0 where unknown. camera: of these px. mask: bool
    (H, W): the size is the largest distance between two of its points in space. Without a mask it is the
    longer mid-line of the box at the median depth of the middle of the box, which is cruder.
    """
    if mask is None:
        known = _known(depth[_middle(box, *depth.shape)])
        return max(apparent_size(box, camera)) * float(np.median(known)) if len(known) else None
    rows, columns = np.nonzero(mask & np.isfinite(depth) & (depth > 0))
    if len(rows) < FEWEST_POINTS:
        return None
    step = -(-len(rows) // MOST_POINTS)
    rows, columns = rows[::step], columns[::step]
    away = depth[rows, columns].astype(np.float64)
    rays = undistorted(camera, np.stack([columns + 0.5, rows + 0.5], 1))
    along = np.concatenate([rays * away[:, None], away[:, None]], 1) @ _directions().T
    return float(np.ptp(along, axis=0).max())


def _known(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    return depth[np.isfinite(depth) & (depth > 0)]


def _middle(box: Box, height: int, width: int) -> tuple[slice, slice]:
    """The middle half of a box, at least one pixel of the frame."""
    x0, y0, x1, y1 = box
    left, top = (
        min(max(int(one), 0), most - 1)
        for one, most in (((3 * x0 + x1) / 4, width), ((3 * y0 + y1) / 4, height))
    )
    right, bottom = int((x0 + 3 * x1) / 4), int((y0 + 3 * y1) / 4)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


@cache
def _directions() -> Floats:
    """Evenly over half a sphere, by the golden angle: float64 (DIRECTIONS, 3)."""
    number = np.arange(DIRECTIONS) + 0.5
    height, turn = number / DIRECTIONS, np.pi * (1 + np.sqrt(5)) * number
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
