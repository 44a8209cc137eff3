"""Wafer maps packed for drawing: small enough to hold twenty thousand of them in one page.

A packed map is a JSON object on one line:

    d   the wafer's diameter in mm
    n   how many defects the map has
    p   base64 of uint16 (k, 2), little endian: defects from -1 to 1 wafer diameters, as 0 to 65535, x then y.
        At most MAX_POINTS, in an order that is random but the same every time, so that any first part
        of it is a fair sample.
    g   dies: [rows, columns, base64 of the status of each die, row-major, two bits a die, lowest bits first]
    b   where the dies lie: [x, y of the top left corner of the grid, die width, die height] in mm
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import DieGrid, WaferMap

MAX_POINTS = 3_000
MAX_DIES = 1 << 18
_ORDER_SEED = 20
_PLACES_IN_BYTE = np.array([1, 4, 16, 64], np.uint8)


def pack(wafer: WaferMap) -> str:
    """The packed form of a map, without a line break."""
    parts: dict[str, object] = {"d": round(wafer.diameter_mm, 3), "n": len(wafer.defects)}
    if wafer.dies is not None and 0 < wafer.dies.status.size <= MAX_DIES:
        parts["g"], parts["b"] = _pack_grid(wafer.dies)
    if not (wafer.die_level and "g" in parts):
        parts["p"] = _pack_points(wafer.defects, wafer.diameter_mm)
    return json.dumps(parts, separators=(",", ":"))


def _pack_points(defects: NDArray[np.float64], diameter_mm: float) -> str:
    if len(defects) > 1:
        defects = defects[_order(len(defects))]
    scaled = np.clip(defects / (2 * diameter_mm) + 0.5, 0, 1) * 65_535
    return b64encode(np.rint(scaled).astype("<u2").tobytes()).decode()


@lru_cache(maxsize=256)
def _order(count: int) -> NDArray[np.int64]:
    """The first MAX_POINTS of a random order of `count` defects that depends on nothing but their number."""
    return np.random.default_rng(_ORDER_SEED).permutation(count)[:MAX_POINTS]


def _pack_grid(dies: DieGrid) -> tuple[list[object], list[float]]:
    rows, cols = dies.status.shape
    quads = np.zeros((-(-rows * cols // 4), 4), np.uint8)
    quads.reshape(-1)[: rows * cols] = dies.status.reshape(-1) & 3
    packed = quads @ _PLACES_IN_BYTE
    width, height = dies.pitch_mm
    corner_x, corner_y = dies.origin_mm[0] - width / 2, dies.origin_mm[1] + height / 2
    box = [round(float(value), 4) for value in (corner_x, corner_y, width, height)]
    return [rows, cols, b64encode(packed.tobytes()).decode()], box
