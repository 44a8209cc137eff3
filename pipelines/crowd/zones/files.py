"""Zones from JSON and GeoJSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from pipelines.common.media.documents import load_json
from pipelines.crowd.data.record import CrowdError, Points

from .checks import as_ring, make_zone
from .zone import Polygon, Zone

Units = Literal["auto", "pixels", "normalised"]
MAX_BYTES: Final = 16 * 2**20
MAX_ZONES: Final = 1_000
NAMES: Final = ("name", "title", "label", "id")


def read_zones(path: str | Path, width: int, height: int, units: Units = "auto") -> tuple[Zone, ...]:
    """The zones of a file, for an image of this width and height in px.

    GeoJSON (RFC 7946): a FeatureCollection, a Feature, a Polygon or a MultiPolygon, with holes. Rings must be
    closed, which means that the last position is the first one again. A zone is called what its properties
    say under one of NAMES.

    Our own JSON: a list of zones, or an object with `zones`; a zone has a `name`, a `polygon`, which is a
    list of corners, and `holes`, a list of such lists. Here the first corner need not come again.

    x runs to the right and y down from the upper left corner of the image. units: `pixels`, or
    `normalised`: 0 to 1 of the width and the height. The file may state them as `units`. With `auto`, and
    nothing stated, corners that are all within 0 and 1 are normalised, as no zone is smaller than a pixel.

    Raises CrowdError with the path and what is wrong with which zone.
    """
    path = Path(path)
    try:
        found = load_json(path, MAX_BYTES)
        named = list(_geojson(found) if isinstance(found, dict) and "type" in found else _own(found))
        if not named:
            raise CrowdError("it holds no zone")
        if len(named) > MAX_ZONES:
            raise CrowdError(f"it holds {len(named):,} zones; at most {MAX_ZONES:,} are read")
        twice = [name for name, times in Counter(name for name, _ in named).items() if times > 1]
        if twice:
            raise CrowdError(f"two zones are called {twice[0]!r}: give each a name of its own")
        scale = _scale(named, units, found, width, height)
        return tuple(make_zone(name, _scaled(polygons, scale), width, height) for name, polygons in named)
    except CrowdError as error:
        raise CrowdError(f"{path}: {error}") from error


def _geojson(found: dict[str, Any]) -> Iterator[tuple[str, list[Polygon]]]:
    features = found.get("features") if found["type"] == "FeatureCollection" else [found]
    if not isinstance(features, list):
        raise CrowdError("its features are no list")
    for number, feature in enumerate(features, start=1):
        if not isinstance(feature, dict):
            raise CrowdError(f"feature {number} is no object")
        is_feature = feature.get("type") == "Feature"
        geometry = feature.get("geometry") if is_feature else feature
        properties = feature.get("properties") if is_feature else None
        name = _name(properties, feature if is_feature else {}, number)
        if not isinstance(geometry, dict):
            raise CrowdError(f"the zone {name!r} has no geometry")
        kind = geometry.get("type")
        if kind not in ("Polygon", "MultiPolygon"):
            raise CrowdError(f"the zone {name!r} is a {kind}, not a Polygon or MultiPolygon")
        listed = geometry.get("coordinates")
        parts = [listed] if kind == "Polygon" else listed
        if not isinstance(parts, list) or not all(isinstance(part, list) and part for part in parts):
            raise CrowdError(f"the zone {name!r} has no coordinates")
        yield name, [_polygon([_closed(name, ring) for ring in part]) for part in parts]


def _own(found: Any) -> Iterator[tuple[str, list[Polygon]]]:
    zones = found.get("zones") if isinstance(found, dict) else found
    if not isinstance(zones, list):
        raise CrowdError("it is neither GeoJSON nor a list of zones")
    for number, zone in enumerate(zones, start=1):
        if not isinstance(zone, dict) or "polygon" not in zone:
            raise CrowdError(f"zone {number} is no object with a polygon")
        name = _name(zone, zone, number)
        holes = zone.get("holes") or []
        if not isinstance(holes, list):
            raise CrowdError(f"the holes of the zone {name!r} are no list")
        rings = [as_ring(ring, f"a ring of the zone {name!r}") for ring in (zone["polygon"], *holes)]
        yield name, [_polygon([_opened(ring) for ring in rings])]


def _name(properties: Any, feature: dict[str, Any], number: int) -> str:
    for source in (properties, feature):
        for key in NAMES:
            found = source.get(key) if isinstance(source, dict) else None
            if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
                return str(found).strip()
    return f"zone {number}"


def _closed(name: str, found: Any) -> Points:
    ring = as_ring(found, f"a ring of the zone {name!r}")
    # NaN is not equal to itself; what is no number is reported as that, by the checks.
    if len(ring) and np.isfinite(ring).all() and not np.array_equal(ring[0], ring[-1]):
        raise CrowdError(
            f"a ring of the zone {name!r} is not closed: its last position must be the first one again"
        )
    return ring[:-1]


def _opened(ring: Points) -> Points:
    return ring[:-1] if len(ring) > 1 and np.array_equal(ring[0], ring[-1]) else ring


def _polygon(rings: list[Points]) -> Polygon:
    return Polygon(rings[0], tuple(rings[1:]))


def _scale(
    named: list[tuple[str, list[Polygon]]], units: Units, found: Any, width: int, height: int
) -> tuple[float, float]:
    """Factors from the file's units to px."""
    stated = found.get("units", "auto") if isinstance(found, dict) else "auto"
    stated = "normalised" if stated == "normalized" else stated
    if stated not in get_args(Units):
        raise CrowdError(f"its units are {stated!r}; there are {', '.join(get_args(Units))}")
    chosen = stated if units == "auto" else units
    if chosen == "auto":
        rings = [ring for _, polygons in named for one in polygons for ring in (one.outer, *one.holes)]
        small = all((ring >= 0).all() and (ring <= 1).all() for ring in rings)
        chosen = "normalised" if small else "pixels"
    return (float(width), float(height)) if chosen == "normalised" else (1.0, 1.0)


def _scaled(polygons: list[Polygon], scale: tuple[float, float]) -> list[Polygon]:
    with np.errstate(over="ignore"):  # what is too large becomes inf, and is refused as such
        return [Polygon(one.outer * scale, tuple(hole * scale for hole in one.holes)) for one in polygons]
