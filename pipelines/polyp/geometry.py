"""How large things look to a camera, free of its lens and of its number of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.polyp.data.record import Box, Camera

NEWTON_STEPS = 20
Floats = NDArray[np.float64]


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
