"""The page of `suite wafer monitor`: control charts drawn as SVG, without a script and without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from pipelines.wafer.monitor.charts import DENSITY, Chart, Point
from pipelines.wafer.monitor.found import Monitored
from pipelines.wafer.pages import template

WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 640.0, 190.0, 56.0, 12.0, 12.0, 30.0
MAX_LABELS = 8
MAX_MARKED = 400  # beyond this many points, only excursions get a mark of their own


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart as the numbers and paths of its SVG; x and y in its own units, y down."""

    chart: Chart
    is_share: bool
    line: str
    upper: str
    lower: str
    centre: float
    marks: list[tuple[float, float, Point]]
    ticks: list[tuple[float, str]]
    names: list[tuple[float, str]]
    base_end: float | None


def write(file: IO[str], result: Monitored, settings: Mapping[str, Any]) -> None:
    """Write the page."""
    streams: dict[tuple[str, str], list[Drawn]] = {}
    for chart in result.charts:
        streams.setdefault((chart.kind, chart.step), []).append(_draw(chart))
    for drawn in streams.values():  # what is out of its limits first; else the order of the charts
        drawn.sort(key=lambda one: -len(one.chart.excursions))
    context = {
        "result": result,
        "streams": streams,
        "settings": settings,
        "size": (WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM),
        "number": number,
    }
    file.writelines(template("monitor.html.j2").generate(context))


def number(value: float, is_share: bool) -> str:
    """A share in percent, or a density with three digits."""
    return f"{100 * value:.3g}%" if is_share else f"{value:.3g}"


def _draw(chart: Chart) -> Drawn:
    points = chart.points
    is_share = chart.measure != DENSITY
    most = (
        max(max(point.value, min(point.upper, 1.0) if is_share else point.upper) for point in points) or 1.0
    )
    least = 0.0
    step = (WIDE - LEFT - RIGHT) / len(points)

    def x(place: float) -> float:
        return round(LEFT + (place + 0.5) * step, 2)

    def y(value: float) -> float:
        return round(HIGH - BOTTOM - (value - least) / (most * 1.05 - least) * (HIGH - TOP - BOTTOM), 2)

    def steps(values: list[float]) -> str:
        parts = [f"M{x(-0.5)} {y(values[0])}"]
        for place, value in enumerate(values):
            parts.append(f"V{y(value)}H{x(place + 0.5)}")
        return "".join(parts)

    line = "M" + "L".join(f"{x(place)} {y(point.value)}" for place, point in enumerate(points))
    every = -(-len(points) // MAX_LABELS)
    based = sum(point.base for point in points)
    return Drawn(
        chart,
        is_share,
        line,
        steps([point.upper for point in points]),
        steps([point.lower for point in points]),
        y(chart.centre),
        [
            (x(place), y(point.value), point)
            for place, point in enumerate(points)
            if point.side or len(points) <= MAX_MARKED
        ],
        [(y(value), number(value, is_share)) for value in _round_values(most)],
        [(x(place), point.group) for place, point in enumerate(points) if place % every == 0],
        x(based - 0.5) if 0 < based < len(points) else None,
    )


def _round_values(most: float) -> list[float]:
    """Three to six values from 0 up to `most`, as a person would choose them."""
    unit = 10.0
    while unit > most:
        unit /= 10
    while unit * 10 <= most:
        unit *= 10
    for parts in (1, 2, 5):
        if most / (unit / parts) >= 3:
            unit /= parts
            break
    else:
        unit /= 5
    return [unit * count for count in range(int(most / unit) + 1)]
