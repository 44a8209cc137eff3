"""Control charts of groups of maps: shares of the classes, novelty rate, and defect density."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np

from pipelines.wafer.monitor.control import Limits, p_chart, u_chart
from pipelines.wafer.monitor.groups import Group

Width = Literal["laney", "standard"]
NOVELTY: Final = "novelty rate"
DENSITY: Final = "defect density"


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a chart. value: count / size; size: maps, or cm²; side: 1 above, -1 below its limits, else
    0.
    """

    group: str
    time: datetime | None
    maps: int
    count: float
    size: float
    value: float
    lower: float
    upper: float
    side: int
    base: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure of one stream of maps over its groups.

    kind: `coordinates` or `dies`. step: empty if the files do not state it, or if the groups are steps.
    measure: NOVELTY, DENSITY or the name of a class. spread: see `pipelines.wafer.monitor.control`.
    """

    kind: str
    step: str
    measure: str
    centre: float
    spread: float
    points: tuple[Point, ...]

    @property
    def excursions(self) -> list[Point]:
        return [point for point in self.points if point.side]

    def how_far(self, point: Point) -> float:
        """How far a point lies from the centre line, in distances of the limit that it is out of."""
        reach = abs((point.upper if point.side > 0 else point.lower) - self.centre)
        return abs(point.value - self.centre) / reach if reach else float("inf")


def charts_of(
    kind: str,
    step: str,
    groups: Sequence[Group],
    *,
    with_baseline: bool,
    width: Width,
    sigma: float,
    min_maps: int,
) -> Iterator[Chart]:
    """The charts of one stream of maps. with_baseline: groups of the baseline set the limits, and are never
    an excursion; else all set them.
    """
    names = sorted({name for group in groups for name in group.found} - {"novel"})
    for measure in (NOVELTY, DENSITY, *names):
        is_density = measure == DENSITY
        kept = [group for group in groups if (group.area_cm2 if is_density else group.maps) > 0]
        base = np.array([group.base or not with_baseline for group in kept], bool)
        if not kept or not base.any():
            continue
        name = "novel" if measure == NOVELTY else measure
        count = np.array([one.defects if is_density else one.found[name] for one in kept], np.float64)
        size = np.array([one.area_cm2 if is_density else one.maps for one in kept], np.float64)
        draw = u_chart if is_density else p_chart
        limits = draw(count, size, base=base, sigma=sigma, laney=width == "laney")
        points = _points(kept, count, size, limits, min_maps, with_baseline)
        yield Chart(kind, step, measure, limits.centre, limits.spread, tuple(points))


def _points(
    groups: Iterable[Group], count: Any, size: Any, limits: Limits, min_maps: int, with_baseline: bool
) -> Iterator[Point]:
    for at, (group, side) in enumerate(zip(groups, limits.side.tolist(), strict=True)):
        tested = group.maps >= min_maps and not (with_baseline and group.base)
        yield Point(
            group=group.name,
            time=group.time,
            maps=group.maps,
            count=float(count[at]),
            size=float(size[at]),
            value=float(limits.value[at]),
            lower=float(limits.lower[at]),
            upper=float(limits.upper[at]),
            side=side if tested else 0,
            base=group.base,
        )
