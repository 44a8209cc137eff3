"""The scale of the ground: `pixels_per_metre`, points, or a homography."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from pipelines.crowd.data.record import CrowdError
from pipelines.crowd.zones import Polygon, Zone, read_ground

from ..reader import Reader

WORDS: Final = (
    *(b'"homography"', b'"pixels_per_metre"', b'"image"', b'"ground_m"', b"null", b"NaN", b"[", b"]"),
)
_SQUARE: Final = [[0, 0], [90, 0], [90, 60], [0, 60]]


def _seeds() -> list[bytes]:
    made: list[object] = [
        {"homography": [[0.02, 0, 0], [0, 0.03, 1], [0, 0.001, 1]]},
        {"pixels_per_metre": 25.0},
        {"image": _SQUARE, "ground_m": [[0, 0], [4, 0], [5, 9], [0, 9]]},
    ]
    return [json.dumps(one).encode() for one in made]


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / "ground.json"
    path.write_bytes(data)
    ground = read_ground(path)
    areas = ground.cell_areas_m2(90, 60, (3, 4))
    assert not (areas < 0).any()
    assert ground.area_m2(Zone("all", (Polygon(np.array(_SQUARE, float)),)), 90, 60) >= 0
    return []


READER: Final = Reader(_seeds, _read, (CrowdError,), WORDS)
