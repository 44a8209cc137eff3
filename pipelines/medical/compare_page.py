"""The page of `suite medical compare`: drawn as SVG, without a script and without a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipelines.common.metrics import Metric
from pipelines.common.pages import template
from pipelines.medical.compare import ALPHA, STATISTICS, Comparison, LabelScores, Pair
from pipelines.medical.metrics.definitions import EMPTY, SURFACE
from pipelines.medical.statistics import Floats

TEMPLATES = Path(__file__).parent / "templates"
WIDE, SCORES, EFFECTS, TEXTS = 1240.0, (150.0, 600.0), (680.0, 900.0), 924.0
ROW, GAP, TOP, BOTTOM = 24.0, 22.0, 26.0, 30.0
MAX_LINKED = 80  # cases whose values are joined by lines; more make a grey cloud
MAX_MARKS = 12_000  # of a figure; beyond it only what lies outside of the whiskers is drawn
MAX_DRAWN_PAIRS = 6
WIDEST = 4.0  # times the usual reach of an interval: what is wider is cut, so that the others can be seen


@dataclass(frozen=True, slots=True)
class Mark:
    """One case. missed: drawn at the edge of the axis, since its value is no measurement."""

    x: float
    y: float
    case: str
    value: float
    missed: bool


@dataclass(frozen=True, slots=True)
class Box:
    """One method on one label. ends: x of the whisker's start, the quartiles with the median, its end."""

    tone: int
    y: float
    ends: tuple[float, float, float, float, float]
    marks: list[Mark]
    missed: int


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean difference with its interval. tone: of the better method, None where that is not clear.

    x: None if it is off the axis. cut: whether the interval goes on beyond its left and its right edge.
    """

    pair: Pair
    y: float
    x: float | None
    low: float
    high: float
    cut: tuple[bool, bool]
    tone: int | None
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Band:
    """All rows of one label."""

    scores: LabelScores
    y: float
    high: float
    boxes: list[Box]
    links: list[str]
    effects: list[Effect]


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric. labels: their documents. ticks: x and text, of the scores and of the differences."""

    metric: Metric
    labels: dict[str, dict[str, Any]]
    bands: list[Band]
    high: float
    ticks: list[tuple[float, str]]
    effect_ticks: list[tuple[float, str]]
    zero: float


def write(file: IO[str], result: Comparison) -> None:
    """Write the page."""
    context = {
        "result": result,
        "figures": [_figure(metric, labels, result) for metric, labels in result.metrics],
        "clear": sum(bool(p.better) for _, labels in result.metrics for one in labels for p in one.pairs),
        "tests": sum(len(one.pairs) for _, labels in result.metrics for one in labels),
        "cases": len({case for _, labels in result.metrics for one in labels for case in one.cases}),
        "all_pairs": len(result.methods) * (len(result.methods) - 1) // 2 <= MAX_DRAWN_PAIRS,
        "size": (WIDE, SCORES, EFFECTS, TEXTS, TOP, BOTTOM),
        "alpha": ALPHA,
        "notes": {**STATISTICS, "surface": SURFACE, "empty": EMPTY},
        "number": number,
        "p_text": p_text,
    }
    file.writelines(template(TEMPLATES, "compare.html.j2").generate(context))


def number(value: float | None, digits: int = 3) -> str:
    """A number with some digits and a true minus sign; empty for none."""
    return "" if value is None else f"{value:.{digits}g}".replace("-", "−")


def p_text(p: float) -> str:
    """A p-value as it is read."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _figure(metric: Metric, labels: tuple[LabelScores, ...], result: Comparison) -> Figure:
    order = {one.name: tone for tone, one in enumerate(result.methods)}
    scale = _Scale(_score_range(metric, labels), SCORES)
    drawn = [_drawn_pairs(one) for one in labels]
    effects = _Scale(_effect_range([_ends(pair) for pairs in drawn for pair in pairs]), EFFECTS)
    marks = sum(one.values.size for one in labels)
    bands, y = [], TOP
    for one, pairs in zip(labels, drawn, strict=True):
        high = ROW * max(len(order), len(pairs)) + GAP
        bands.append(_band(one, pairs, y, high, scale, effects, order, all_marks=marks <= MAX_MARKS))
        y += high
    documents = {one.label: one.document(list(order)) for one in labels}
    return Figure(metric, documents, bands, y + BOTTOM, scale.ticks(), effects.ticks(4), effects.x(0.0))


def _band(
    one: LabelScores,
    pairs: list[Pair],
    y: float,
    high: float,
    scale: _Scale,
    effects: _Scale,
    order: dict[str, int],
    *,
    all_marks: bool,
) -> Band:
    methods = one.values.shape[1]
    rows = [_middle(y, high, place, methods) for place in range(methods)]
    boxes = [_box(one, place, rows[place], scale, all_marks) for place in range(methods)]
    links = []
    if len(one.cases) <= MAX_LINKED:
        for values in one.values:
            points = [f"{scale.x(value)} {row}" for value, row in zip(values.tolist(), rows, strict=True)]
            links.append("M" + "L".join(points))
    found = []
    for place, pair in enumerate(pairs):
        low, top = _ends(pair)
        found.append(
            Effect(
                pair,
                _middle(y, high, place, len(pairs)),
                effects.x(pair.difference) if effects.low <= pair.difference <= effects.high else None,
                effects.x(low),
                effects.x(top),
                (low < effects.low, top > effects.high),
                order.get(pair.better),
                order[pair.first],
                order[pair.second],
            )
        )
    return Band(one, y, high, boxes, links, found)


def _box(one: LabelScores, place: int, y: float, scale: _Scale, all_marks: bool) -> Box:
    values, missed = one.values[:, place], one.missed[:, place]
    first, middle, third = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    reach = 1.5 * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    low, top = min(float(inside.min()), first), max(float(inside.max()), third)
    marks = [
        Mark(scale.x(value), y, case, value, miss)
        for case, value, miss in zip(one.cases, values.tolist(), missed.tolist(), strict=True)
        if all_marks or miss or not low <= value <= top
    ]
    low_x, first_x, middle_x, third_x, top_x = (scale.x(value) for value in (low, first, middle, third, top))
    return Box(place, y, (low_x, first_x, middle_x, third_x, top_x), marks, int(missed.sum()))


def _middle(y: float, high: float, place: int, of: int) -> float:
    """The y of row `place` of `of` rows, centred in a band."""
    return round(y + high / 2 + (place - (of - 1) / 2) * ROW, 2)


def _drawn_pairs(one: LabelScores) -> list[Pair]:
    """All pairs, or those with the first method where that is too many."""
    if len(one.pairs) <= MAX_DRAWN_PAIRS:
        return list(one.pairs)
    return [pair for pair in one.pairs if pair.first == one.pairs[0].first]


def _score_range(metric: Metric, labels: tuple[LabelScores, ...]) -> tuple[float, float]:
    """From the worst value that was measured to the best one that there can be: misses do not stretch it."""
    parts: list[Floats] = [one.values[~one.missed] for one in labels]
    measured = np.concatenate(parts) if parts else np.zeros(0)
    if metric.better == "higher":
        return (float(measured.min()), 1.0) if len(measured) else (0.0, 1.0)
    return 0.0, float(measured.max()) if len(measured) else 1.0


def _ends(pair: Pair) -> tuple[float, float]:
    """The interval of a difference; the difference alone where there is none."""
    if pair.low is None or pair.high is None:
        return pair.difference, pair.difference
    return pair.low, pair.high


def _effect_range(intervals: list[tuple[float, float]]) -> tuple[float, float]:
    """A range that holds 0 and the intervals, but for what is far wider than they usually are."""
    reach = WIDEST * float(np.median([max(abs(low), abs(high)) for low, high in intervals] or [0.0]))
    low = min([0.0, *(max(low, -reach) for low, _ in intervals)])
    high = max([0.0, *(min(high, reach) for _, high in intervals)])
    wide = (high - low) or 1.0
    return min(low, -0.15 * wide), max(high, 0.15 * wide)


class _Scale:
    """From values to x, over a range that is widened to round numbers; what is beyond lies on its edge."""

    def __init__(self, ends: tuple[float, float], pixels: tuple[float, float]) -> None:
        low, high = ends
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
            low, high = low - 0.05, high + 0.05 if high != 1.0 else high
        self.step = _round_step((high - low) / 5)
        self.low, self.high = math.floor(low / self.step + 1e-9) * self.step, high
        if high != 1.0:
            self.high = math.ceil(high / self.step - 1e-9) * self.step
        self.left, self.right = pixels

    def x(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.left + share * (self.right - self.left), 2)

    def ticks(self, most: int = 8) -> list[tuple[float, str]]:
        count = int((self.high - self.low) / self.step + 1e-6) + 1
        every = -(-count // most)
        values = [self.low + self.step * place for place in range(count)]
        origin = min(
            range(count), key=lambda place: abs(values[place])
        )  # 0, if it is on the axis, has a tick
        return [
            (self.x(value), number(0.0 if abs(value) < self.step / 1e6 else value))
            for place, value in enumerate(values)
            if (place - origin) % every == 0
        ]


def _round_step(about: float) -> float:
    """The 1, 2 or 5 times a power of ten that is next above."""
    unit = 10.0 ** math.floor(math.log10(about))
    return next(unit * times for times in (1, 2, 5, 10) if unit * times >= about * (1 - 1e-9))
