"""From px of the image to metres on the ground, for people per square metre."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.common.media.documents import load_json
from pipelines.crowd.data.record import CrowdError, Points
from pipelines.crowd.density import cell_edges

from .files import MAX_BYTES
from .rings import area
from .zone import Zone

Floats = NDArray[np.float64]
NEAR_HORIZON: Final = 1e-6  # of the largest denominator in the zone: beyond, areas grow without bound
MIN_PAIRS: Final = 4
MAX_PLACE: Final = 1e9  # px and metres
MAX_SCALE: Final = 1e6  # pixels per metre, and metres per pixel


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A plane that people stand on, as the camera sees it.

    homography: float64 (3, 3); with x, y in px of the upright image at its full size, (X, Y, W) = H (x, y,
    1) is the place X/W, Y/W in metres.
    """

    homography: Floats

    @staticmethod
    def from_scale(pixels_per_metre: float) -> Ground:
        """A plane seen straight from above, or one where a single scale is good enough."""
        if not 0 < pixels_per_metre < np.inf:
            raise CrowdError(f"pixels per metre must be a number above 0, not {pixels_per_metre}")
        if not 1 / MAX_SCALE <= pixels_per_metre <= MAX_SCALE:
            raise CrowdError(f"{pixels_per_metre!s:.40} pixels per metre are no scale of an image of people")
        return Ground(np.diag([1 / pixels_per_metre, 1 / pixels_per_metre, 1.0]))

    @staticmethod
    def from_matrix(homography: ArrayLike) -> Ground:
        """A plane by its homography (3, 3) from px to metres. Raises CrowdError if it is none."""
        try:
            matrix = np.asarray(homography, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise CrowdError("a homography must be 3 rows of 3 numbers") from error
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise CrowdError("a homography must be 3 rows of 3 numbers")
        matrix = matrix / max(float(np.abs(matrix).max()), 1e-300)
        singular = np.linalg.svd(matrix, compute_uv=False)
        if singular[-1] <= 1e-14 * singular[0]:
            raise CrowdError("the homography maps the image onto a line or a point")
        return Ground(matrix)

    def to_metres(self, points: ArrayLike) -> Points:
        """Places (N, 2) in metres of points (N, 2) in px. Raises CrowdError if they span the horizon."""
        table = np.asarray(points, np.float64).reshape(-1, 2)
        moved = np.column_stack([table, np.ones(len(table))]) @ self.homography.T
        depth = moved[:, 2]
        if len(depth) and (
            depth.min() * depth.max() <= 0 or np.abs(depth).min() < NEAR_HORIZON * np.abs(depth).max()
        ):
            raise CrowdError(
                "it reaches the horizon of the homography, beyond which there is no ground: end it below"
            )
        return np.asarray(moved[:, :2] / depth[:, None])

    def area_m2(self, zone: Zone, width: int, height: int) -> float:
        """Square metres of the part of a zone that lies in the image of this width and height in px.

        Straight edges stay straight, so the area is exact. Raises CrowdError if the zone reaches the horizon.
        """
        try:
            total = 0.0
            for ring, sign in zone.rings():
                inside = clip(ring, width, height)
                if len(inside) >= 3:
                    total += sign * area(self.to_metres(inside))
        except CrowdError as error:
            raise CrowdError(f"the zone {zone.name!r}: {error}") from error
        return max(total, 0.0)

    def cell_areas_m2(
        self, width: int, height: int, shape: tuple[int, int], cell: float | None = None
    ) -> Floats:
        """Square metres of each cell of a map over the image: float64 (h, w); NaN where it reaches the
        horizon.

        shape, cell: of the map; see `mask.zone_mask`.
        """
        rows, columns = cell_edges(shape[0], height, cell), cell_edges(shape[1], width, cell)
        x, y = np.meshgrid(columns, rows)
        moved = np.stack([x, y, np.ones_like(x)], axis=-1) @ self.homography.T
        depth = moved[..., 2]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # at the horizon
            place = moved[..., :2] / depth[..., None]
            corners = [place[:-1, :-1], place[:-1, 1:], place[1:, 1:], place[1:, :-1]]
            signed = sum(
                one[..., 0] * two[..., 1] - two[..., 0] * one[..., 1]
                for one, two in zip(corners, [*corners[1:], corners[0]], strict=True)
            )
        depths = np.stack([depth[:-1, :-1], depth[:-1, 1:], depth[1:, 1:], depth[1:, :-1]])
        # The side that most of the image's lower edge is on is the ground; the other is behind the horizon.
        ground = np.sign(np.median(depth[-1]))
        seen = (depths * ground).min(axis=0) > NEAR_HORIZON * np.abs(depth).max()
        return np.where(seen, np.abs(signed) / 2, np.nan)


def clip(ring: Points, width: float, height: float) -> Points:
    """The part of a ring in the image (Sutherland and Hodgman, 1974): float64 (N, 2), empty if there is none.

    Parts that lie apart are joined by edges along the border, which go there and back and add no area.
    """
    for axis, limit, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        if not len(ring):
            break
        inside = sign * (ring[:, axis] - limit)
        before, before_inside = np.roll(ring, 1, axis=0), np.roll(inside, 1)
        kept: list[Points] = []
        for corner, now, last, then in zip(ring, inside, before, before_inside, strict=True):
            if (now >= 0) != (then >= 0):
                cut = last + (corner - last) * (then / (then - now))
                cut[axis] = limit
                kept.append(cut)
            if now >= 0:
                kept.append(corner)
        ring = np.array(kept, np.float64).reshape(-1, 2)
    return ring


def homography_from_points(image: ArrayLike, ground: ArrayLike) -> Floats:
    """The homography (3, 3) that takes points in px (N, 2) to places in metres (N, 2), for four pairs or
    more.

    By the direct linear transform on points that are moved and scaled first (Hartley, 1997); with more than
    four pairs the least squares of its equations. Raises CrowdError if the pairs do not settle one.
    """
    pixels, metres = (_pairs(one) for one in (image, ground))
    if pixels.shape != metres.shape or len(pixels) < MIN_PAIRS:
        raise CrowdError(
            f"a homography needs at least {MIN_PAIRS} places in the image and as many on the ground, not"
            f" {len(pixels)} and {len(metres)}"
        )
    to_pixels, to_metres = _normaliser(pixels), _normaliser(metres)
    (x, y), (u, v) = (_apply(to_pixels, pixels).T, _apply(to_metres, metres).T)
    one, zero = np.ones_like(x), np.zeros_like(x)
    equations = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], axis=1),
        ]
    )
    _, singular, directions = np.linalg.svd(equations)
    # Eight directions must be settled for one to be left; three places on a line leave two.
    if singular[7] <= 1e-9 * singular[0]:
        raise CrowdError("the places do not settle a homography: no three of four may lie on one line")
    plane = directions[-1].reshape(3, 3)
    if np.linalg.cond(plane) > 1e9:
        raise CrowdError("the places map the image onto a line: no three of four may lie on one line")
    found = np.linalg.inv(to_metres) @ plane @ to_pixels
    matrix = Ground.from_matrix(found).homography
    Ground(matrix).to_metres(pixels)  # all of them lie before the camera
    return matrix


def read_ground(path: str | Path) -> Ground:
    """The plane of a JSON file: `pixels_per_metre`, `homography` (3 rows of 3 numbers, from px to metres), or
    `image` and `ground_m`, two lists of at least four places x, y in px and in metres.

    Raises CrowdError with the path and the reason.
    """
    path = Path(path)
    try:
        found = load_json(path, MAX_BYTES)
        if not isinstance(found, dict):
            raise CrowdError("it holds no object")
        if "homography" in found:
            return Ground.from_matrix(found["homography"])
        if "image" in found and "ground_m" in found:
            return Ground(homography_from_points(found["image"], found["ground_m"]))
        scale = found.get("pixels_per_metre")
        if isinstance(scale, int | float) and not isinstance(scale, bool):
            return Ground.from_scale(scale)
        raise CrowdError("it has neither homography, nor image and ground_m, nor pixels_per_metre")
    except CrowdError as error:
        raise CrowdError(f"{path}: {error}") from error


def _pairs(found: Any) -> Points:
    try:
        table = np.asarray(found, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CrowdError("places must be a list of x and y each") from error
    if table.ndim != 2 or table.shape[1] != 2 or not (np.abs(table) < MAX_PLACE).all():
        raise CrowdError("places must be a list of x and y each, and finite")
    return table


def _normaliser(points: Points) -> Floats:
    middle = points.mean(axis=0)
    spread = float(np.linalg.norm(points - middle, axis=1).mean()) or 1.0
    scale = np.sqrt(2) / spread
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])


def _apply(matrix: Floats, points: Points) -> Points:
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:])
