from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data.klarf import looks_like, read
from pipelines.wafer.data.record import FailedMap, WaferMap

Read = Callable[[str], list[WaferMap | FailedMap]]


@pytest.fixture
def read_real(shared_data: Path) -> Read:
    def read_file(name: str) -> list[WaferMap | FailedMap]:
        path = shared_data / "wafer" / "klarf" / name
        data = path.read_bytes()
        assert looks_like(data[:1024])
        return list(read(data, path))

    return read_file


def only(maps: list[WaferMap | FailedMap]) -> WaferMap:
    (one,) = maps
    assert isinstance(one, WaferMap), one
    return one


def test_every_defect_of_the_large_file_lies_on_the_wafer(read_real: Read) -> None:
    one = only(read_real("LARGE_KLARF.000"))
    assert one.defects.shape == (22_190, 2)
    assert np.hypot(one.defects[:, 0], one.defects[:, 1]).max() < one.diameter_mm / 2 == 100
    # The first row: XREL 188.845, XINDEX 5, pitch 3399.976, centre 2469.553, all in um; then the last one.
    assert one.defects[0] == pytest.approx([14.719172, 90.935888], abs=1e-9)
    assert one.defects[-1] == pytest.approx([-4.405921, -86.727265], abs=1e-6)
    assert (one.lot, one.wafer, one.slot, one.step, one.device, one.tool) == (
        "MOO",
        "04",
        "7",
        "ZUU",
        "QOO",
        "X Y",
    )
    assert one.die_pitch_mm == pytest.approx((3.399976, 3.799969))
    assert one.notes == ()
    assert one.source_rows.tolist() == list(range(22_190))


def test_an_empty_list_under_a_summary_of_defects_is_not_a_clean_wafer(read_real: Read) -> None:
    one = only(read_real("klarf_no_defect.000"))
    assert (len(one.defects), one.diameter_mm, one.diameter_assumed) == (0, 200.0, False)
    assert (one.unplaced, one.locatable) == (40, False)
    assert any("summary counts 40 defects" in note for note in one.notes)


def test_an_empty_wafer_without_geometry_is_a_map_of_an_assumed_size(read_real: Read) -> None:
    one = only(read_real("BOO_LOO_02_dbscan_no_defect.000"))
    assert (len(one.defects), one.diameter_mm, one.diameter_assumed) == (0, 300.0, True)


@pytest.mark.parametrize("name", ["QUU_NUU_01_dbscan.000", "QUU_NUU_baby_clustered.000"])
def test_defects_without_positions_are_counted_and_cannot_be_located(read_real: Read, name: str) -> None:
    one = only(read_real(name))
    assert (len(one.defects), one.unplaced, one.locatable) == (0, 95, False)
    (note,) = [note for note in one.notes if "not where they are" in note]
    assert "lists 95 defects" in note
    assert "DEFECTID DYN_CLUSTER_ID" in note


def test_a_wafer_that_is_only_named_fails_and_the_one_before_is_kept(read_real: Read) -> None:
    first, second = read_real("handmade/bad12.klarf")
    assert isinstance(first, WaferMap)
    assert first.defects == pytest.approx(np.array([[-71.499877, 0.000123]]))
    assert isinstance(second, FailedMap)
    assert second.position == 1
    assert "anotherWafer" in second.error and "no DefectList" in second.error


def test_a_row_that_is_too_long_fails(read_real: Read) -> None:
    (one,) = read_real("handmade/bad12DefectList.klarf")
    assert isinstance(one, FailedMap)
    assert "1 value is left over after row 1" in one.error and "17 columns" in one.error


def test_repeated_lists_with_image_names_between_are_one_wafer(read_real: Read) -> None:
    one = only(read_real("handmade/klarf12DefectListExample.klarf"))
    assert len(one.defects) == 13
    # X = 1 * 2500 + 4958.616 - (-20), Y = 12 * 2500 + 1483.252 - 2000, in um.
    assert one.defects[0] == pytest.approx([7.478616, 29.483252])
    assert one.slot == "9" and one.tool == "a b c"


def test_exponents_without_a_sign(read_real: Read) -> None:
    one = only(read_real("handmade/klarf12Example.klarf"))
    assert one.defects == pytest.approx(np.array([[-11.4994, -0.6122], [13.5686, 3.5568]]))
    assert one.dies is not None
    assert one.dies.status.tolist() == [[0, 0, 2], [0, 0, 0], [2, 0, 0]]


@pytest.mark.parametrize("name", ["handmade/simple18.klarf", "handmade/wierdKlarfWithNAs.klarf"])
def test_two_wafers_whose_header_stands_after_them(read_real: Read, name: str) -> None:
    first, second = read_real(name)
    assert isinstance(first, WaferMap) and isinstance(second, WaferMap)
    # X = 2 * 5744150 + 1254960 - 4929000 nm, Y = 24 * 5410203 + 4346692 + 490333 nm.
    assert first.defects[0] == pytest.approx([7.81426, 134.681897])
    assert (len(first.defects), len(second.defects)) == (3, 1)
    assert (first.wafer, second.wafer) == ("FirstWaferId", "SecondWaferId")
    assert (first.lot, first.slot, second.slot, first.step) == ("aLot.String", "25", "3", "AStepId")
    assert first.dies is not None and second.dies is None


def test_image_lists_of_1_8(read_real: Read) -> None:
    one = only(read_real("handmade/klarfWithImagelist.klarf"))
    assert len(one.defects) == 6
    assert one.defects[0] == pytest.approx([-7.47406, -56.90336])


def test_the_small_file(read_real: Read) -> None:
    one = only(read_real("handmade/simple12.klarf"))
    assert one.defects == pytest.approx(np.array([[-71.499877, 0.000123]]))
    # One die as large as the wafer is no pattern.
    assert one.dies is None and one.die_pitch_mm is None
