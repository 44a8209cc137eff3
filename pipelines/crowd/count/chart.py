"""How many people over the time of a video, as numbers for an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH, HEIGHT = 960, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 28
MOST_POINTS: Final = 800
STEPS: Final = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid: where it is, in px of the drawing, and what it says."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """line: points of a polyline. band: points of the polygon between low and high, empty without intervals.
    points: (x, y, words) to be shown at each place. Everything in px of a drawing of WIDTH x HEIGHT."""

    line: str
    band: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    points: tuple[tuple[float, float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def chart(rows: Sequence[Mapping[str, Any]]) -> Chart:
    """The chart of the counted frames of one video, in the order of time; at least one.

    Of more than MOST_POINTS frames every n-th is drawn, and the fullest.
    """
    kept = _thinned(rows)
    times: list[float] = [row["time"] for row in kept]
    counts: list[float] = [row["count"] for row in kept]
    highest: float = max([row["high"] or 0 for row in kept] + counts)
    step = _step(max(highest, 1) / 4)
    most = step * math.ceil(max(highest, 1) / step)
    begin, end = times[0], max(times[-1], times[0] + 1e-3)

    def x(time: float) -> float:
        return round(LEFT + (time - begin) / (end - begin) * (WIDTH - LEFT - RIGHT), 1)

    def y(count: float) -> float:
        return round(HEIGHT - BOTTOM - count / most * (HEIGHT - TOP - BOTTOM), 1)

    places = [(x(time), y(count)) for time, count in zip(times, counts, strict=True)]
    band = ""
    if all(row["low"] is not None and row["high"] is not None for row in kept):
        there = [(x(row["time"]), y(row["low"])) for row in kept]
        back = [(x(row["time"]), y(row["high"])) for row in reversed(kept)]
        band = _points(there + back)
    seconds = _step((end - begin) / 6)
    ticks = range(math.ceil(begin / seconds - 1e-9), math.floor(end / seconds + 1e-9) + 1)
    up = range(round(most / step) + 1)
    return Chart(
        _points(places),
        band,
        tuple(Tick(x(number * seconds), clock(number * seconds, seconds)) for number in ticks),
        tuple(Tick(y(number * step), f"{number * step:,.10g}") for number in up),
        tuple((*place, _words(row)) for place, row in zip(places, kept, strict=True)),
    )


def clock(seconds: float, step: float = 1.0) -> str:
    """A time in a video, with the digits that steps of `step` seconds need."""
    digits = max(0, -math.floor(math.log10(step))) if step < 1 else 0
    if seconds < 60:
        return f"{seconds:.{digits}f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _words(row: Mapping[str, Any]) -> str:
    ends = "" if row["low"] is None else f" ({row['low']:,.0f}–{row['high']:,.0f})"
    return f"{clock(row['time'], 0.1)}, frame {row['frame']}: {row['count']:,.0f}{ends}"


def _thinned(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    every = -(-len(rows) // MOST_POINTS)
    if every == 1:
        return list(rows)
    most = max(range(len(rows)), key=lambda place: rows[place]["count"])
    return [row for place, row in enumerate(rows) if place % every == 0 or place == most]


def _step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20 ... times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-3)))
    return next(step * power for step in (*STEPS, 10) if step * power >= least * (1 - 1e-9))


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
