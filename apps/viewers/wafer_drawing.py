"""Pictures of packed wafer maps (`pipelines.wafer.drawing`), drawn in the browser by `wafer_pictures.js`.

A packed map goes to the browser as it is: a few kilobytes. Lengths are in mm from the wafer's centre, x right
and y up, the notch down.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, DieGrid

STACK_CELLS = 60  # across the wafer
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "wafer_pictures",
    html='<div class="pictures"></div>',
    css=(_HERE / "wafer_pictures.css").read_text(encoding="utf-8"),
    js=(_HERE / "wafer_pictures.js").read_text(encoding="utf-8"),
)


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
class Picture:
    """What the browser draws, with a title and a note below it. shape: the packed map, or a lot's shares."""

    shape: dict[str, Any]
    title: str = ""
    note: str = ""


def show_pictures(pictures: Sequence[Picture], key: str, *, interactive: bool = False) -> None:
    """Draw pictures side by side; one that is `interactive` is large, to be panned, zoomed and hovered."""
    data = {
        "dark": st.context.theme.type == "dark",
        "interactive": interactive,
        "pictures": [{"title": one.title, "note": one.note, **one.shape} for one in pictures],
    }
    _component(key=key, data=data)


def packed_picture(packed: str, title: str = "", note: str = "") -> Picture:
    """The picture of a packed map."""
    return Picture({"packed": packed}, title, note)


def stack_picture(shares: NDArray[np.float64], radius_mm: float, title: str, note: str) -> Picture:
    """The picture of what `stack` gave."""
    levels = np.ceil(shares * 255).astype(np.uint8)
    return Picture({"shares": b64encode(levels.tobytes()).decode(), "radius": radius_mm}, title, note)


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
