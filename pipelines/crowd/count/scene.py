"""Zones and the ground of an image: how many people are in each zone, and how many per square metre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipelines.crowd.calibration import CONFIDENCE, interval
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.data.limits import MAX_SIDE
from pipelines.crowd.data.record import CrowdError
from pipelines.crowd.zones import Ground, Polygon, Zone, read_ground, read_zones, zone_mask

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Area:
    """People in one part of an image. low, high: of its interval, None without one. share: of the image's
    area. area_m2, people_per_m2: None without a scale, or beyond the horizon."""

    count: float
    low: float | None
    high: float | None
    share: float
    area_m2: float | None = None
    people_per_m2: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The zones of images of one size and block size. zones: in px of the image as it was read. masks: the
    share of each block in each zone, float64 (h, w). areas_m2: of each block, NaN beyond the horizon."""

    zones: tuple[Zone, ...]
    masks: tuple[Floats, ...]
    zone_m2: tuple[float | None, ...]
    areas_m2: Floats | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """whole: the image. zones: by name. people_per_m2: of all zones together if there are any, else of the
    image. notes: in words for the user."""

    whole: Area
    zones: dict[str, Area]
    people_per_m2: float | None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Scene:
    """What is known of all images of a run. zones: a file, or None. ground: the plane, or None."""

    zones: Path | None = None
    ground: Ground | None = None
    _views: dict[Any, View] = field(default_factory=dict)

    @classmethod
    def read(cls, zones: Path | None, pixels_per_metre: float | None, ground: Path | None) -> Scene:
        """Check the files. Raises CrowdError for what is wrong with them whatever the image is."""
        if pixels_per_metre is not None and ground is not None:
            raise CrowdError(
                "--pixels-per-metre and --ground both say how large things are: give one of them"
            )
        plane = Ground.from_scale(pixels_per_metre) if pixels_per_metre is not None else None
        if ground is not None:
            plane = read_ground(ground)
        if zones is not None:
            read_zones(zones, MAX_SIDE, MAX_SIDE)  # what is off the largest image is off every one
        return cls(zones, plane)

    def view(self, found: CountMap, full_size: tuple[int, int]) -> View:
        """The zones for a map. full_size: (width, height) in px that zones and ground refer to; the map's
        image is smaller if it was read at a reduced size. Raises CrowdError, as for a zone off the image."""
        key = full_size, found.width, found.height, found.stride
        if key not in self._views:
            self._views = {key: self._view(found, full_size)}  # one is enough: sizes seldom alternate
        return self._views[key]

    def _view(self, found: CountMap, full_size: tuple[int, int]) -> View:
        scale = found.width / full_size[0], found.height / full_size[1]
        size = found.width, found.height
        zones = read_zones(self.zones, *full_size) if self.zones is not None else ()
        zones = tuple(_scaled(zone, scale) for zone in zones)
        notes = tuple(note for zone in zones for note in zone.notes)
        shape = found.counts.shape[0], found.counts.shape[1]
        masks = tuple(zone_mask(zone, *size, shape, found.stride) for zone in zones)
        if self.ground is None:
            return View(zones, masks, (None,) * len(zones), None, notes)
        ground = Ground(self.ground.homography @ np.diag([1 / scale[0], 1 / scale[1], 1.0]))
        zone_m2: list[float | None] = []
        for zone in zones:
            try:
                zone_m2.append(ground.area_m2(zone, *size))
            except CrowdError as error:
                zone_m2.append(None)
                notes += (f"no people per square metre: {error}",)
        areas = ground.cell_areas_m2(*size, shape, found.stride)
        if not zones and not np.isfinite(areas).all():
            notes += ("no people per square metre: the image reaches the horizon; draw zones below it",)
        return View(zones, masks, tuple(zone_m2), areas, notes)


def measure(
    found: CountMap, view: View, calibration: Mapping[str, Tensor], confidence: float = CONFIDENCE
) -> Measured:
    """Count the image and its zones, each with the interval in which the truth lies with this confidence."""
    every = np.ones(found.counts.shape)
    whole = _area(found, every, calibration, confidence)
    zones: dict[str, Area] = {}
    for zone, mask, size in zip(view.zones, view.masks, view.zone_m2, strict=True):
        one = _area(found, mask, calibration, confidence)
        if size is not None:
            one = replace(one, area_m2=size, people_per_m2=one.count / size if size > 0 else None)
        zones[zone.name] = one
    if view.areas_m2 is None:
        return Measured(whole, zones, None, view.notes)
    whole = _with_density(whole, found, every, view.areas_m2)
    # Zones that reach the horizon have no area, and would only thin out the others.
    masks = [mask for mask, size in zip(view.masks, view.zone_m2, strict=True) if size is not None]
    covered = np.clip(sum(masks, np.zeros(found.counts.shape)), 0, 1) if zones else every
    together = _with_density(whole, found, covered, view.areas_m2)
    return Measured(whole, zones, together.people_per_m2, view.notes)


def _area(found: CountMap, mask: Floats, calibration: Mapping[str, Tensor], confidence: float) -> Area:
    count = max(0.0, float((mask * found.counts).sum()))
    variance = deviations = None
    if found.variance is not None:
        variance = float((mask * found.variance).sum())
        deviations = float((mask * np.sqrt(found.variance, dtype=np.float64)).sum())
    ends = interval(count, variance, deviations, calibration, confidence)
    low, high = ends if ends is not None else (None, None)
    across = np.minimum(found.stride, found.width - found.stride * np.arange(mask.shape[1]))
    down = np.minimum(found.stride, found.height - found.stride * np.arange(mask.shape[0]))
    share = float(down @ mask @ across) / (found.width * found.height)
    return Area(count, low, high, share)


def _with_density(area: Area, found: CountMap, mask: Floats, areas_m2: Floats) -> Area:
    """With the square metres of a part and its people per m2; without both if it reaches the horizon, towards
    which square metres grow without bound."""
    if not np.isfinite(areas_m2[mask > 0]).all():
        return replace(area, area_m2=None, people_per_m2=None)
    size = float((mask * np.nan_to_num(areas_m2)).sum())
    count = max(0.0, float((mask * found.counts).sum()))
    return replace(area, area_m2=size, people_per_m2=count / size if size > 0 else None)


def _scaled(zone: Zone, scale: tuple[float, float]) -> Zone:
    if scale == (1.0, 1.0):
        return zone
    polygons = tuple(
        Polygon(one.outer * scale, tuple(hole * scale for hole in one.holes)) for one in zone.polygons
    )
    return replace(zone, polygons=polygons)
