"""What the writers write is what the readers read: two implementations that share no code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import WaferMap, read_file
from pipelines.wafer.generate import files, sort_maps
from pipelines.wafer.generate.dies import DieMap, make_die_map
from pipelines.wafer.generate.files import Names, Notch
from pipelines.wafer.generate.patterns import make_map
from pipelines.wafer.generate.shapes import Points

NOTCHES: list[Notch] = ["down", "left", "up", "right"]


def read_back(data: bytes, path: Path) -> list[WaferMap]:
    path.write_bytes(data)
    items = list(read_file(path))
    assert all(isinstance(item, WaferMap) for item in items), items
    return [item for item in items if isinstance(item, WaferMap)]


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Names, Points, float]]:
    rng = np.random.default_rng(8)
    return [
        (Names("LOT1", f"W{slot:02d}", slot), make_map(rng, pattern, diameter), diameter)
        for slot, (pattern, diameter) in enumerate([("half_moon", 300.0), ("slice", 200.0)], 1)
    ]


@pytest.mark.parametrize("notch", NOTCHES)
def test_klarf_1_1(notch: Notch, drawn: list[tuple[Names, Points, float]], tmp_path: Path) -> None:
    for one, (names, defects, diameter) in zip(
        read_back(files.klarf_1_1(drawn, notch), tmp_path / "lot.001"), drawn, strict=True
    ):
        np.testing.assert_allclose(one.defects, defects, atol=2e-6)
        assert (one.lot, one.wafer, one.slot, one.step) == ("LOT1", names.wafer, str(names.slot), "PROBE")
        assert (one.diameter_mm, one.notch, one.timestamp) == (diameter, notch, names.time)
        assert one.dies is not None
        assert (one.dies.status == 2).sum() > 10


def test_klarf_1_1_without_defects(tmp_path: Path) -> None:
    (one,) = read_back(files.klarf_1_1([(Names("L", "W", 1), np.empty((0, 2)), 200.0)]), tmp_path / "l.001")
    assert one.defects.shape == (0, 2)
    assert one.dies is not None
    assert not (one.dies.status == 2).any()


def test_coordinates_and_csv(drawn: list[tuple[Names, Points, float]], tmp_path: Path) -> None:
    for data, name, tolerance in (
        (files.csv_defects(drawn), "defects.csv", 1e-5),
        (files.packed(files.csv_defects(drawn)), "defects.csv.gz", 1e-5),
        (files.coordinates(drawn), "maps.npz", 1e-4),
    ):
        for one, (names, defects, diameter) in zip(read_back(data, tmp_path / name), drawn, strict=True):
            np.testing.assert_allclose(one.defects, defects, atol=tolerance)
            assert (one.lot, one.wafer, one.diameter_mm) == ("LOT1", names.wafer, diameter)
            assert not one.die_level


@pytest.mark.parametrize("notch", NOTCHES)
@pytest.mark.parametrize("write", [sort_maps.sinf, sort_maps.g85, sort_maps.e142])
def test_sort_maps(write: Callable[[Names, DieMap, Notch], bytes], notch: Notch, tmp_path: Path) -> None:
    names = Names("LOT7", "W05", 5)
    # A scratch looks alike in no two orientations.
    dies = make_die_map(np.random.default_rng(2), "Scratch", 900)
    (one,) = read_back(write(names, dies, notch), tmp_path / "map")
    assert one.dies is not None
    np.testing.assert_array_equal(one.dies.status, dies.status)
    assert one.dies.pitch_mm == pytest.approx(dies.pitch_mm, abs=1e-3)
    assert (one.lot, one.wafer, one.notch) == ("LOT7", "W05", notch)
    assert one.diameter_mm == dies.diameter_mm
    assert len(one.defects) == (dies.status == 2).sum()


def test_die_tables_and_grids(tmp_path: Path) -> None:
    dies = make_die_map(np.random.default_rng(4), "Edge-Loc", 700)
    for data, name in (
        (files.csv_dies(Names("L", "W", 1), dies), "dies.csv"),
        (files.npy(dies.status), "dies.npy"),
        (files.npz(wafer_map=dies.status), "dies.npz"),
        (files.wm811k([dies], ["Edge-Loc"]), "wm.npz"),
    ):
        (one,) = read_back(data, tmp_path / name)
        assert one.dies is not None
        assert one.die_level
        np.testing.assert_array_equal(one.dies.status, dies.status)
