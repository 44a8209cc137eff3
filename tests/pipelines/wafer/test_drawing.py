from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data import DieGrid, WaferMap
from pipelines.wafer.drawing import MAX_POINTS, pack


def wafer(defects: NDArray[np.float64], dies: DieGrid | None = None, die_level: bool = False) -> WaferMap:
    return WaferMap(Path("a"), 0, defects, np.arange(len(defects)), 200.0, die_level, dies=dies)


def unpack_points(packed: str) -> NDArray[np.float64]:
    parts = json.loads(packed)
    quantised = np.frombuffer(b64decode(parts["p"]), "<u2").reshape(-1, 2)
    return (quantised / 65_535 - 0.5) * 2 * float(parts["d"])


def test_positions_come_back_to_a_hundredth_of_a_millimetre() -> None:
    defects = np.random.default_rng(0).uniform(-100, 100, (500, 2))
    found = unpack_points(pack(wafer(defects)))
    distance = np.hypot(*np.moveaxis(found[:, None] - defects[None], 2, 0))
    assert distance.min(axis=0).max() < 0.01
    assert distance.min(axis=1).max() < 0.01


def test_many_defects_are_thinned_fairly_and_the_same_way_each_time() -> None:
    defects = np.random.default_rng(0).normal(0, 30, (20_000, 2))
    packed = pack(wafer(defects))
    assert packed == pack(wafer(defects))
    assert json.loads(packed)["n"] == 20_000
    points = unpack_points(packed)
    assert len(points) == MAX_POINTS
    for part in (points, points[:300]):
        assert np.abs(part.mean(axis=0)).max() < 6
        assert np.abs(part.std(axis=0) - 30).max() < 4


def test_a_defect_far_out_is_drawn_at_the_rim_of_the_picture() -> None:
    assert np.abs(unpack_points(pack(wafer(np.array([[9e3, -9e3]])))) - [[200, -200]]).max() < 0.01


def test_no_defects_are_no_points() -> None:
    assert unpack_points(pack(wafer(np.zeros((0, 2))))).shape == (0, 2)


def test_dies_come_back() -> None:
    status = np.random.default_rng(0).integers(0, 3, (7, 5)).astype(np.uint8)
    dies = DieGrid(status, (20.0, 10.0), (-40.0, 30.0))
    failing = np.flatnonzero(status == 2)
    parts = json.loads(pack(wafer(dies.positions_mm(failing), dies, die_level=True)))
    rows, cols, data = parts["g"]
    packed = np.frombuffer(b64decode(data), np.uint8)
    unpacked = (packed[:, None] >> np.array([0, 2, 4, 6]) & 3).reshape(-1)[: rows * cols]
    assert np.array_equal(unpacked.reshape(rows, cols), status)
    assert parts["b"] == [-50.0, 35.0, 20.0, 10.0]
    assert "p" not in parts


def test_defects_on_known_dies_have_both() -> None:
    dies = DieGrid.centred(np.ones((3, 3), np.uint8), 200.0)
    parts = json.loads(pack(wafer(np.array([[1.0, 2.0]]), dies)))
    assert parts["g"][:2] == [3, 3]
    assert len(unpack_points(json.dumps(parts))) == 1


def test_a_huge_grid_is_drawn_as_points() -> None:
    status = np.ones((600, 600), np.uint8)
    dies = DieGrid.centred(status, 200.0)
    parts = json.loads(pack(wafer(dies.positions_mm(np.arange(10)), dies, die_level=True)))
    assert "g" not in parts
    assert len(unpack_points(json.dumps(parts))) == 10
