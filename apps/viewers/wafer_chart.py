"""Charts of packed wafer maps (`pipelines.wafer.drawing`): one map, and a lot's maps over each other.

A chart is a Vega-Lite specification with its data in it, for `st.vega_lite_chart`. Lengths are in mm from the
wafer's centre, x right and y up, the notch down.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, NO_DIE, DieGrid

MAX_DRAWN_DIES = 20_000  # a browser is slow with more; then the dies that pass are left out
MARGIN = 1.04  # of the radius
Spec = dict[str, Any]

BINS = 50
STACK_CELLS = 60  # across the wafer
# Columns count from the left, rows from the top, both from 1.
DIE_NAME = "'column ' + datum.c + ', row ' + datum.r"
NOTCH = 0.05  # half its width and its depth, as a share of the radius; drawn larger than it is


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A packed map, unpacked.

    defects: float64 (k, 2) in mm; at most those that were packed, `count` being how many there are.
    dies: status (rows, cols) and geometry; None if the source names no dies.
    die_level: whether the map has die results only, and no coordinates of defects.
    """

    diameter_mm: float
    count: int
    defects: NDArray[np.float64]
    dies: DieGrid | None
    die_level: bool

    @property
    def failing_mm(self) -> NDArray[np.float64]:
        """What is wrong, and where, (N, 2) in mm: defects, or the centres of failing dies."""
        if not self.die_level or self.dies is None:
            return self.defects
        return self.dies.positions_mm(np.flatnonzero(self.dies.status == FAIL))


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a chart: the wafer, its edge, dies that pass, what is wrong, and what is novel."""

    wafer: str
    edge: str
    die: str
    mark: str
    novel: str


LIGHT = Palette("#f1f3f4", "#8e969e", "#d5dbe0", "#16324a", "#d55e00")
DARK = Palette("#272c31", "#737d87", "#414a53", "#d6e6f2", "#f0934a")


def unpack(packed: str) -> Drawing | None:
    """The drawing of a packed map; None for `null`, a map that was not read. Raises ValueError if damaged."""
    try:
        parts: Any = json.loads(packed)
        if parts is None:
            return None
        diameter = float(parts["d"])
        dies = _dies(parts["g"], parts["b"]) if "g" in parts else None
        scaled = np.frombuffer(b64decode(parts.get("p", ""), validate=True), "<u2").reshape(-1, 2)
        defects = (scaled / 65_535 - 0.5) * 2 * diameter
        return Drawing(diameter, int(parts["n"]), defects, dies, die_level="p" not in parts)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"the drawing of this map is damaged: {error}") from error


def _dies(grid: list[Any], box: list[float]) -> DieGrid:
    rows, cols, data = grid
    packed = np.frombuffer(b64decode(data, validate=True), np.uint8)
    shifts = np.array([0, 2, 4, 6], np.uint8)
    status = (packed[:, None] >> shifts & np.uint8(3)).reshape(-1)[: rows * cols]
    left, top, width, height = box
    return DieGrid(status.reshape(rows, cols), (width, height), (left + width / 2, top - height / 2))


def map_chart(drawing: Drawing, palette: Palette, side: int, *, still: bool = False) -> Spec:
    """The map on its wafer, to be panned, zoomed (double click: back) and hovered, unless it is `still`.

    side: its width and height in pixels.
    """
    radius = drawing.diameter_mm / 2
    layers = [_wafer(radius, palette)]
    if drawing.dies is not None:
        layers.append(_die_layer(drawing.dies, drawing.die_level, radius, palette))
    if not drawing.die_level:
        layers.append(_defect_layer(drawing, radius, palette, side))
    if still:
        for layer in layers:
            layer["encoding"].pop("tooltip", None)
    else:
        zoom = {"type": "interval", "encodings": ["x", "y"]}
        layers[0]["params"] = [{"name": "pan_and_zoom", "select": zoom, "bind": "scales"}]
    return _square(layers, side)


def stack_chart(shares: NDArray[np.float64], radius_mm: float, palette: Palette, side: int) -> Spec:
    """The share of maps with something wrong in each cell, as `stack` gives it."""
    cell = 2 * radius_mm / len(shares)
    row, col = np.nonzero(shares)
    values = [
        {"x": round(x, 3), "y": round(y, 3), "share": round(share, 4)}
        for x, y, share in zip(
            (col * cell - radius_mm).tolist(),
            (row * cell - radius_mm).tolist(),
            shares[row, col].tolist(),
            strict=True,
        )
    ]
    heat: Spec = {
        "data": {"values": values},
        "transform": _boxes(cell, cell),
        "mark": {"type": "rect", "strokeWidth": 0},
        "encoding": {
            **_place(radius_mm, box=True),
            "color": {
                "field": "share",
                "type": "quantitative",
                "legend": None,
                "scale": {"range": [palette.die, palette.mark], "domain": [0, 1]},
            },
            "tooltip": [
                _number("x", "x, mm", ".1f"),
                _number("y", "y, mm", ".1f"),
                _number("share", "maps", ".0%"),
            ],
        },
    }
    return _square([_wafer(radius_mm, palette), heat], side)


def stack(drawings: Iterable[Drawing]) -> tuple[NDArray[np.float64], float, int]:
    """Maps over each other: the share of maps with something wrong in each cell, the radius in mm, the maps.

    The share is float64 (STACK_CELLS, STACK_CELLS), row 0 at the lowest y. Maps are scaled to one radius.
    """
    counts = np.zeros((STACK_CELLS, STACK_CELLS))
    maps, radius = 0, 0.0
    for drawing in drawings:
        places = drawing.failing_mm / drawing.diameter_mm + 0.5
        cells = np.floor(places * STACK_CELLS).astype(np.int64)
        cells = cells[((cells >= 0) & (cells < STACK_CELLS)).all(1)]
        hit = np.zeros_like(counts, bool)
        hit[cells[:, 1], cells[:, 0]] = True
        counts += hit
        maps, radius = maps + 1, max(radius, drawing.diameter_mm / 2)
    return counts / max(maps, 1), radius, maps


def novelty_chart(scores: NDArray[np.float64], here: float, threshold: float, palette: Palette) -> Spec:
    """How many maps have which novelty (N,), and where this one and the threshold lie."""
    low, high = min(scores.min(), threshold, here), max(scores.max(), threshold, here)
    counts, edges = np.histogram(scores, BINS, (low, high if high > low else low + 1))
    bars = [
        {"x": x, "x2": x2, "maps": maps}
        for x, x2, maps in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    score = {"field": "x", "type": "quantitative", "axis": None, "scale": {"nice": False, "zero": False}}
    maps = {"field": "maps", "type": "quantitative", "axis": None}
    tooltip = [_number("x", "from", ".4g"), _number("x2", "to", ".4g"), _number("maps", "maps", "d")]

    def rule(at: float, **mark: object) -> Spec:
        return {
            "data": {"values": [{"x": at}]},
            "mark": {"type": "rule", **mark},
            "encoding": {"x": score},
        }

    heap: Spec = {
        "data": {"values": bars},
        "mark": {"type": "rect", "color": palette.edge},
        "encoding": {"x": score, "x2": {"field": "x2"}, "y": maps, "y2": {"datum": 0}, "tooltip": tooltip},
    }
    dashed = rule(threshold, color=palette.novel, strokeDash=[5, 4], strokeWidth=2)
    spec = _square([heap, dashed, rule(here, color=palette.mark, strokeWidth=3)], 340)
    return spec | {"height": 110}


def _square(layers: list[Spec], side: int) -> Spec:
    return {
        "width": side,
        "height": side,
        "padding": 0,
        "autosize": {"type": "none"},
        "background": "transparent",
        "config": {"view": {"stroke": None, "cursor": "default"}},
        "layer": layers,
    }


def _place(radius: float, *, box: bool = False) -> Spec:
    reach = radius * MARGIN
    scale = {"domain": [-reach, reach], "nice": False, "zero": False}
    axes: Spec = {
        name: {"field": name, "type": "quantitative", "axis": None, "scale": scale} for name in ("x", "y")
    }
    return axes | {name: {"field": name} for name in ("x2", "y2")} if box else axes


def _boxes(width: float, height: float) -> list[Spec]:
    """The far corner of boxes from their corner of least x and y."""
    return [
        {"calculate": f"datum.x + {width!r}", "as": "x2"},
        {"calculate": f"datum.y + {height!r}", "as": "y2"},
    ]


def _number(field: str, title: str, form: str) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "format": form}


def _wafer(radius: float, palette: Palette) -> Spec:
    """The outline, with the notch cut out below."""
    angle = np.linspace(-np.pi / 2 + NOTCH, 1.5 * np.pi - NOTCH, 180)
    x, y = np.append(np.cos(angle), 0.0), np.append(np.sin(angle), NOTCH - 1)
    points = zip(np.append(x, x[0]).tolist(), np.append(y, y[0]).tolist(), strict=True)
    values = [
        {"x": round(x * radius, 3), "y": round(y * radius, 3), "o": at} for at, (x, y) in enumerate(points)
    ]
    return {
        "data": {"values": values},
        "mark": {
            "type": "line",
            "fill": palette.wafer,
            "stroke": palette.edge,
            "strokeWidth": 1.2,
            "tooltip": None,
        },
        "encoding": {**_place(radius), "order": {"field": "o", "type": "quantitative"}},
    }


def _die_layer(dies: DieGrid, die_level: bool, radius: float, palette: Palette) -> Spec:
    shown = np.flatnonzero(dies.status != NO_DIE)
    if len(shown) > MAX_DRAWN_DIES:
        shown = np.flatnonzero(dies.status == FAIL)[:MAX_DRAWN_DIES]
    row, col = np.divmod(shown, dies.status.shape[1])
    results = np.where(dies.status.reshape(-1)[shown] == FAIL, "fail", "pass" if die_level else "inspected")
    values = [
        {"c": c, "r": r, "s": s}
        for c, r, s in zip((col + 1).tolist(), (row + 1).tolist(), results.tolist(), strict=True)
    ]
    (left, top), (width, height) = dies.origin_mm, dies.pitch_mm
    centres = [
        {"calculate": f"{left - width!r} + datum.c * {width!r}", "as": "centre_x"},
        {"calculate": f"{top + height!r} - datum.r * {height!r}", "as": "centre_y"},
        {"calculate": f"datum.centre_x - {width / 2!r}", "as": "x"},
        {"calculate": f"datum.centre_y - {height / 2!r}", "as": "y"},
        {"calculate": DIE_NAME, "as": "die"},
    ]
    tones = {
        "fail": palette.mark if die_level else palette.die,
        "pass": palette.die,
        "inspected": palette.die,
    }
    return {
        "data": {"values": values},
        "transform": [*centres, *_boxes(width, height)],
        "mark": {"type": "rect", "stroke": palette.wafer, "strokeWidth": 0.6},
        "encoding": {
            **_place(radius, box=True),
            "color": {
                "field": "s",
                "type": "nominal",
                "legend": None,
                "scale": {"domain": list(tones), "range": list(tones.values())},
            },
            "tooltip": [
                {"field": "die", "type": "nominal", "title": "die"},
                {"field": "s", "type": "nominal", "title": "result"},
                _number("centre_x", "x, mm", ".2f"),
                _number("centre_y", "y, mm", ".2f"),
            ],
        },
    }


def _defect_layer(drawing: Drawing, radius: float, palette: Palette, side: int) -> Spec:
    count = len(drawing.defects)
    size = (26 if count < 60 else 12 if count < 600 else 6) * min(1.0, side / 400)
    tooltip = [_number("x", "x, mm", ".3f"), _number("y", "y, mm", ".3f")]
    transform: list[Spec] = []
    if drawing.dies is not None:
        (left, top), (width, height) = drawing.dies.origin_mm, drawing.dies.pitch_mm
        transform = [
            {"calculate": f"floor((datum.x - {left!r}) / {width!r} + 1.5)", "as": "c"},
            {"calculate": f"floor(({top!r} - datum.y) / {height!r} + 1.5)", "as": "r"},
            {"calculate": DIE_NAME, "as": "die"},
        ]
        tooltip.append({"field": "die", "type": "nominal", "title": "die"})
    values = [{"x": round(x, 3), "y": round(y, 3)} for x, y in drawing.defects.tolist()]
    return {
        "data": {"values": values},
        "transform": transform,
        "mark": {"type": "circle", "size": size, "color": palette.mark, "opacity": 0.85},
        "encoding": {**_place(radius), "tooltip": tooltip},
    }
