from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, WaferMap, sinf
from tests.pipelines.wafer.data import builders


def read_one(data: bytes) -> WaferMap:
    (wafer,) = sinf.read(data, Path("map.sinf"))
    assert isinstance(wafer, WaferMap), wafer
    return wafer


def test_header_becomes_the_record() -> None:
    wafer = read_one(builders.sinf())
    assert (wafer.lot, wafer.wafer, wafer.device, wafer.position) == ("L1", "7", "chip", 0)
    assert wafer.die_level
    assert wafer.die_pitch_mm == builders.PITCH_MM
    # SINF states no diameter: the smallest wafer that holds the centres of these dies.
    assert (wafer.diameter_mm, wafer.diameter_assumed) == (150.0, True)


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm", 1.0), ("MM", 1.0), ("mil", 0.0254), ("um", 1e-3), ("", 1.0), (None, 1.0)]
)
def test_units_of_the_die_size(unit: str | None, factor: float) -> None:
    wafer = read_one(builders.sinf(DUTMS=unit, XDIES="20", YDIES="10"))
    assert wafer.die_pitch_mm == pytest.approx((20 * factor, 10 * factor))


def test_good_bins() -> None:
    wafer = read_one(builders.sinf(BCEQU="00, 0C 02"))
    assert wafer.dies is not None
    np.testing.assert_array_equal(wafer.dies.status, np.array([0, 2, 1], np.uint8)[builders.UPRIGHT])


def test_without_good_bins_01_is_good() -> None:
    wafer = read_one(builders.sinf(BCEQU=None))
    assert len(wafer.defects) == 3
    assert any("BCEQU" in note for note in wafer.notes)


def test_markers_of_three_characters_are_no_dies() -> None:
    text = b"ROWCT:2\nCOLCT:3\nBCEQU:001\nRowData:___ @@@ 001\nRowData:001 00F 001\n"
    wafer = read_one(text)
    assert wafer.dies is not None
    assert wafer.dies.status.tolist() == [[0, 0, 1], [1, 2, 1]]


def test_without_a_die_size_the_dies_span_the_wafer() -> None:
    wafer = read_one(builders.sinf(XDIES="0", YDIES="0"))
    assert wafer.die_pitch_mm is None
    assert wafer.dies is not None
    assert wafer.dies.pitch_mm == (75.0, 60.0)


def test_several_wafers_of_which_one_is_bad() -> None:
    data = builders.sinf() + builders.sinf(ROWCT="6") + builders.sinf(WAFER="9")
    first, bad, last = sinf.read(data, Path("map.sinf"))
    assert isinstance(first, WaferMap)
    assert bad == FailedMap(Path("map.sinf"), 1, "ROWCT is 6, but the file has 5; it may be cut short")
    assert isinstance(last, WaferMap)
    assert (last.wafer, last.position) == ("9", 2)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"COLCT": "5"}, "COLCT is 5, but the file has 4"),
        ({"ROWCT": "many"}, "ROWCT must be a number, not 'many'"),
        ({"ROWCT": "4.5"}, "ROWCT must be a whole number"),
        ({"FNLOC": "45"}, "FNLOC must be 0, 90, 180 or 270, not 45"),
        ({"DUTMS": "furlong"}, "DUTMS must be a unit of length"),
        ({"XDIES": "-3"}, "the die size must be two positive lengths"),
        ({"XDIES": "nan"}, "XDIES must be a finite number"),
        ({"XDIES": "400"}, "more than the largest wafer"),
    ],
)
def test_what_is_wrong_is_said(header: dict[str, str | None], words: str) -> None:
    (failed,) = sinf.read(builders.sinf(**header), Path("map.sinf"))
    assert isinstance(failed, FailedMap)
    assert words in failed.error
