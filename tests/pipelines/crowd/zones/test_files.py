"""Zones from JSON and GeoJSON, in px or shares of the image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.crowd.data import CrowdError
from pipelines.crowd.zones import read_zones, zone_mask
from pipelines.crowd.zones.files import Units
from tests.pipelines.crowd.made import write_text

SQUARE = [[10, 10], [50, 10], [50, 30], [10, 30]]
HOLE = [[20, 15], [30, 15], [30, 25], [20, 25]]
NAN = float("nan")


def closed(ring: list[Any]) -> list[Any]:
    return [*ring, ring[0]]


def feature(kind: str = "Polygon", coordinates: Any = None, **properties: Any) -> dict[str, Any]:
    listed = [closed(SQUARE)] if coordinates is None else coordinates
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": kind, "coordinates": listed},
    }


def collection(*features: Any, **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **more}


def read(folder: Path, document: Any, units: Units = "auto") -> Any:
    path = write_text(folder / "zones.json", json.dumps(document))
    return read_zones(path, 100, 50, units)


def test_our_own_json(tmp_path: Path) -> None:
    document = {"zones": [{"name": "gate", "polygon": SQUARE, "holes": [HOLE]}, {"polygon": closed(SQUARE)}]}
    gate, second = read(tmp_path, document)
    assert (gate.name, gate.area_px) == ("gate", 800 - 100)
    assert (second.name, second.area_px) == ("zone 2", 800)
    assert [one.area_px for one in read(tmp_path, document["zones"])] == [700, 800]


def test_geojson(tmp_path: Path) -> None:
    document = collection(
        feature(coordinates=[closed(SQUARE), closed(HOLE)], name="gate"),
        feature("MultiPolygon", [[closed(HOLE)], [closed([[60, 0], [70, 0], [70, 10]])]], id=7),
        {**feature(coordinates=[[[*corner, 3.5] for corner in closed(HOLE)]]), "id": "high"},
        feature(),
    )
    found = read(tmp_path, document)
    assert [(one.name, one.area_px) for one in found] == [
        ("gate", 700),
        ("7", 150),
        ("high", 100),
        ("zone 4", 800),
    ]
    for alone in (document["features"][0], document["features"][0]["geometry"]):
        assert read(tmp_path, alone)[0].area_px == 700


def test_shares_of_the_image(tmp_path: Path) -> None:
    shares = [[x / 100, y / 50] for x, y in SQUARE]
    for document in (
        [{"polygon": shares}],
        collection(feature(coordinates=[closed(shares)])),
        {"units": "normalised", "zones": [{"polygon": shares}]},
        {"units": "normalized", "zones": [{"polygon": shares}]},
    ):
        assert read(tmp_path, document)[0].area_px == pytest.approx(800)
    assert read(tmp_path, {"units": "pixels", "zones": [{"polygon": shares}]})[0].area_px < 1
    assert read(tmp_path, [{"polygon": shares}], "pixels")[0].area_px < 1
    beyond = [[x * 1.5, y] for x, y in shares]
    assert read(tmp_path, [{"polygon": beyond}], "normalised")[0].area_px == pytest.approx(1_200)


def test_a_zone_of_the_whole_image_is_everything(tmp_path: Path) -> None:
    whole = read(tmp_path, [{"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}])[0]
    assert (zone_mask(whole, 100, 50, (4, 7), 16) == 1).all()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "neither GeoJSON nor a list of zones"),
        (3, "neither GeoJSON nor a list of zones"),
        ([], "holds no zone"),
        (collection(), "holds no zone"),
        ({"type": "FeatureCollection"}, "features are no list"),
        (collection(4), "feature 1 is no object"),
        (collection(feature(), {"type": "Feature", "geometry": None}), "'zone 2' has no geometry"),
        (collection(feature("LineString", SQUARE, name="way")), "'way' is a LineString, not a Polygon"),
        ({"type": "Topology"}, "'zone 1' is a Topology"),
        (collection(feature(coordinates=[SQUARE], name="open")), "a ring of the zone 'open' is not closed"),
        (collection(feature(coordinates=[[[1, 1], [NAN, 2], [3, 3], [1, 1]]])), "no usable numbers"),
        (collection(feature(coordinates=[[[1, 1], [1, 1]]])), "1 corners; at least 3"),
        (collection(feature(coordinates=[])), "'zone 1' has no coordinates"),
        (collection(feature(coordinates=[[]])), "has no coordinates|must be a list of corners"),
        (collection(feature(coordinates=[[1, 2, 3]])), "must be a list of corners"),
        (collection(feature(coordinates=["abc"])), "has no coordinates|must be a list of corners"),
        (collection(feature(coordinates=[[["a", "b"]]])), "must be a list of corners"),
        (collection(feature("MultiPolygon", [[]])), "has no coordinates"),
        ([{"polygon": SQUARE, "name": "x"}, {"polygon": HOLE, "name": "x"}], "two zones are called 'x'"),
        ([{"name": "x"}], "zone 1 is no object with a polygon"),
        ([{"polygon": [[1], [2], [3]]}], "each with x and y"),
        ([{"polygon": SQUARE, "holes": 3}], "holes of the zone 'zone 1' are no list"),
        ([{"polygon": [[200, 200], [300, 200], [300, 300]]}], "lies off the image of 100 x 50 px"),
        ({"units": "inches", "zones": [{"polygon": SQUARE}]}, "its units are 'inches'; there are auto"),
    ],
)
def test_what_is_no_file_of_zones(tmp_path: Path, document: Any, words: str) -> None:
    with pytest.raises(CrowdError, match=words) as caught:
        read(tmp_path, document)
    assert str(caught.value).startswith(f"{tmp_path / 'zones.json'}: ")


@pytest.mark.parametrize("text", ["", "[1,", "hello", "\ufeff"])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    with pytest.raises(CrowdError, match=r"no JSON|is empty"):
        read_zones(write_text(tmp_path / "a.json", text), 10, 10)
    with pytest.raises(CrowdError, match="no such file"):
        read_zones(tmp_path / "none.json", 10, 10)
