"""Zones are checked once, when they are made, so that whatever is asked of them later is well defined."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.crowd.data.record import CrowdError, Points

from .mask import zone_mask
from .rings import contains, crossing, first_crossing
from .zone import Polygon, Zone

MAX_CORNERS: Final = 5_000  # of a zone: every edge is compared with every other one


def make_zone(name: str, polygons: list[Polygon], width: int, height: int) -> Zone:
    """A checked zone of an image of this width and height in px.

    Raises CrowdError, with the name, for corners that are no finite numbers, fewer than three of them, no
    area, edges that cross, holes that are not inside, polygons that overlap, and zones that lie off the
    image. A zone that reaches beyond the image is kept as it is; only what lies in the image counts, and a
    note says so.
    """
    if not polygons:
        raise CrowdError(f"the zone {name!r} has no polygon")
    rings = [ring for one in polygons for ring in (one.outer, *one.holes)]
    for ring in rings:
        _check_ring(name, ring)
    if sum(map(len, rings)) > MAX_CORNERS:
        raise CrowdError(f"the zone {name!r} has more than {MAX_CORNERS:,} corners: simplify it")
    for ring in rings:
        place = first_crossing(ring)
        if place is not None:
            raise CrowdError(
                f"the zone {name!r} crosses or touches itself near x {place[0]:.6g}, y {place[1]:.6g}"
            )
    _check_rings_together(name, polygons)
    corners = np.concatenate([one.outer for one in polygons])
    low, high = corners.min(axis=0), corners.max(axis=0)
    notes = []
    if (low < 0).any() or (high > (width, height)).any():
        notes.append(f"the zone {name!r} reaches beyond the image; only what lies in it counts")
    zone = Zone(name, tuple(polygons), tuple(notes))
    # Asked of the zone itself: its corners may lie around an image that it leaves out.
    if notes and not _touches(zone, width, height):
        raise CrowdError(
            f"the zone {name!r} lies off the image of {width} x {height} px: its corners go from"
            f" x {low[0]:.6g}, y {low[1]:.6g} to x {high[0]:.6g}, y {high[1]:.6g}"
        )
    return zone


def _touches(zone: Zone, width: int, height: int) -> bool:
    return bool(zone_mask(zone, width, height, (1, 1))[0, 0] * width * height > 1e-9)


def as_ring(found: Any, what: str) -> Points:
    """Corners as a file has them, a list of at least x and y each, as float64 (N, 2). Raises CrowdError."""
    try:
        # Height above the sea, which GeoJSON allows as a third number, says nothing here.
        ring: NDArray[np.float64] = np.array([[*corner][:2] for corner in found], np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CrowdError(f"{what} must be a list of corners, each with x and y") from error
    if ring.ndim != 2 or ring.shape[1:] != (2,):
        raise CrowdError(f"{what} must be a list of corners, each with x and y")
    return ring


def _check_ring(name: str, ring: Points) -> None:
    if not np.isfinite(ring).all() or np.abs(ring).max(initial=0) > 1e9:
        raise CrowdError(f"the zone {name!r} has corners that are no usable numbers")
    if len(ring) < 3:
        raise CrowdError(f"the zone {name!r} has {len(ring)} corners; at least 3 are needed")
    # Of crossed corners the area may be 0 too, but then to cross is what is wrong.
    thin = np.linalg.svd(ring - ring.mean(axis=0), compute_uv=False)[1]
    if thin <= 1e-9:
        raise CrowdError(f"the zone {name!r} has no area: its corners lie on one line")


def _check_rings_together(name: str, polygons: list[Polygon]) -> None:
    for number, polygon in enumerate(polygons):
        for hole in polygon.holes:
            if crossing(polygon.outer, hole) or not contains(polygon.outer, hole):
                raise CrowdError(f"a hole of the zone {name!r} is not inside its polygon")
        for place, hole in enumerate(polygon.holes):
            if any(_overlap(hole, other) for other in polygon.holes[:place]):
                raise CrowdError(f"two holes of the zone {name!r} overlap")
        for other in polygons[:number]:
            if crossing(polygon.outer, other.outer) or _nested(polygon, other):
                raise CrowdError(f"two polygons of the zone {name!r} overlap")


def _overlap(one: Points, other: Points) -> bool:
    return crossing(one, other) or contains(one, other) or contains(other, one)


def _nested(one: Polygon, other: Polygon) -> bool:
    """Whether a polygon lies in another and in none of its holes, where an island may be."""
    for inner, outer in ((one, other), (other, one)):
        if contains(outer.outer, inner.outer):
            return not any(
                contains(hole, inner.outer) and not crossing(hole, inner.outer) for hole in outer.holes
            )
    return False
