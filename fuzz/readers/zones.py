"""Zones, as our own JSON and as GeoJSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from pipelines.crowd.data.record import CrowdError
from pipelines.crowd.generate.samples import ZONES
from pipelines.crowd.zones import read_zones, zone_mask

from ..reader import Reader

WORDS: Final = (
    *(b'"zones"', b'"name"', b'"polygon"', b'"holes"', b'"units"', b'"pixels"', b'"normalised"'),
    *(b'"type"', b'"FeatureCollection"', b'"Polygon"', b'"MultiPolygon"', b'"coordinates"', b"[", b"]"),
    *(b"{", b"}", b"null", b"[0,0]", b"NaN", b"Infinity", b"[" * 3000, b'"\\ud800"', b"1e400", b"true"),
    *(b"[[0,0],[1,0],[1,1],[0,0]]",),
)
GEO: Final = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "square"},
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [
                    [
                        [[0, 0], [90, 0], [90, 60], [0, 60], [0, 0]],
                        [[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]],
                    ]
                ],
            },
        }
    ],
}


def _seeds() -> list[bytes]:
    return [json.dumps(ZONES).encode(), json.dumps(GEO).encode()]


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / "zones.json"
    path.write_bytes(data)
    zones = read_zones(path, 96, 64)
    for zone in zones[:3]:
        mask = zone_mask(zone, 96, 64, (8, 12))
        assert np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1
    return [note for zone in zones for note in zone.notes]


READER: Final = Reader(_seeds, _read, (CrowdError,), WORDS)
