"""Drawings of the report, as numbers for an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipelines.polyp.metrics.bins import LARGE_MM, SMALL_MM
from pipelines.polyp.size_bins import BINS, LARGEST_MM, SMALLEST_MM

WIDTH, HEIGHT = 480, 150
LEFT, RIGHT, TOP, BOTTOM = 12, 12, 10, 26
TICKS_MM: Final = (0.5, 1, 2, 5, 10, 20, 40)
PLOT: Final = 420  # px of the sides of a plot of agreement
EDGE: Final = 46
STEPS: Final = (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place along an axis, in px of the drawing, and what is written there."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of a polyp over sizes. area: points of a polygon. median, true: places, or None.
    interval: two places, or None. thresholds: those that decide."""

    area: str
    ticks: tuple[Mark, ...]
    thresholds: tuple[Mark, ...]
    median: float | None
    true: float | None
    interval: tuple[float, float] | None
    width: int = WIDTH
    height: int = HEIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def distribution(shares: Sequence[float], row: Mapping[str, Any]) -> Distribution:
    """The drawing of a polyp's pooled distribution; sizes along a logarithmic axis.

    shares: BINS numbers whose sum is about 1. row: the polyp's.
    """
    edges = np.geomspace(SMALLEST_MM, LARGEST_MM, BINS + 1)
    most = max(max(shares), 1e-9)
    points = [(_x(edges[0]), float(HEIGHT - BOTTOM))]
    for number, share in enumerate(shares):
        y = round(HEIGHT - BOTTOM - share / most * (HEIGHT - TOP - BOTTOM), 1)
        points += [(_x(edges[number]), y), (_x(edges[number + 1]), y)]
    points.append((_x(edges[-1]), float(HEIGHT - BOTTOM)))
    ends = None if row["low"] is None else (_x(row["low"]), _x(row["high"]))
    return Distribution(
        " ".join(f"{x:g},{y:g}" for x, y in points),
        tuple(Mark(_x(mm), f"{mm:g}") for mm in TICKS_MM),
        tuple(Mark(_x(mm), f"{mm:g} mm") for mm in (SMALL_MM, LARGE_MM)),
        None if row["mm"] is None else _x(row["mm"]),
        None if row["true_mm"] is None else _x(row["true_mm"]),
        ends,
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """Mean of true and predicted size against their difference (Bland and Altman), in px of a square.

    points: x, y and words. bias: place and words; limits: of agreement. across, up: ticks.
    """

    points: tuple[tuple[float, float, str], ...]
    zero: float
    bias: Mark
    limits: tuple[Mark, ...]
    across: tuple[Mark, ...]
    up: tuple[Mark, ...]
    side: int = PLOT
    edge: int = EDGE


def agreement(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> Agreement | None:
    """The plot of polyps with a size whose truth is known and no bound; None for fewer than two.

    metrics: of `metrics.summarise` at the level of polyps.
    """
    pairs = [
        (row["true_mm"], row["mm"], row["polyp"])
        for row in rows
        if row["mm"] is not None and row["true_mm"] is not None and not row["true_is_bound"]
    ]
    ends = [metrics.get(name, {}).get("value") for name in ("loa_low", "bias", "loa_high")]
    if len(pairs) < 2 or any(one is None for one in ends):
        return None
    means = [(true + mm) / 2 for true, mm, _ in pairs]
    off = [mm - true for true, mm, _ in pairs]
    widest = _step(max(abs(one) for one in [*off, *ends]) * 1.05)
    longest = _step(max(means) * 1.05)

    def x(value: float) -> float:
        return round(EDGE + value / longest * (PLOT - EDGE - 12), 1)

    def y(value: float) -> float:
        return round((PLOT - EDGE) / 2 * (1 - value / widest) + 6, 1)

    words = [f"{name}: {mm:.1f} mm, true {true:.1f} mm" for true, mm, name in pairs]
    return Agreement(
        tuple((x(a), y(b), text) for a, b, text in zip(means, off, words, strict=True)),
        y(0),
        Mark(y(ends[1]), f"bias {ends[1]:+.2f} mm"),
        (Mark(y(ends[0]), f"{ends[0]:+.2f} mm"), Mark(y(ends[2]), f"{ends[2]:+.2f} mm")),
        tuple(Mark(x(longest * part / 4), f"{longest * part / 4:g}") for part in range(5)),
        tuple(Mark(y(widest * part / 2), f"{widest * part / 2:+g}") for part in (-2, -1, 1, 2)),
    )


def _x(mm: float) -> float:
    """Place of a size, in px; beyond the axis its end."""
    share = math.log(min(max(mm, SMALLEST_MM), LARGEST_MM) / SMALLEST_MM) / math.log(LARGEST_MM / SMALLEST_MM)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _step(least: float) -> float:
    """The smallest of STEPS times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-3)))
    return next(part * power for part in STEPS if part * power >= least * (1 - 1e-9))
