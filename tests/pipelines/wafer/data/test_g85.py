from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, WaferMap, g85
from tests.pipelines.wafer.data import builders


def read_one(data: bytes) -> WaferMap:
    (wafer,) = g85.read(data, Path("map.xml"))
    assert isinstance(wafer, WaferMap), wafer
    return wafer


def test_device_becomes_the_record() -> None:
    wafer = read_one(builders.g85(SlotNumber="3"))
    assert (wafer.lot, wafer.wafer, wafer.slot, wafer.device) == ("L1", "L1-07", "3", "chip")
    assert wafer.timestamp is not None
    assert wafer.timestamp.isoformat() == "2007-09-10T20:51:47"
    assert (wafer.diameter_mm, wafer.diameter_assumed, wafer.die_pitch_mm) == (
        300.0,
        False,
        builders.PITCH_MM,
    )


@pytest.mark.parametrize(
    ("stated", "diameter_mm"), [("200", 200.0), ("8", 200.0), ("12", 300.0), ("300000", 300.0)]
)
def test_unit_of_the_wafer_size(stated: str, diameter_mm: float) -> None:
    assert read_one(builders.g85(WaferSize=stated)).diameter_mm == diameter_mm


def test_die_size_in_mm_is_told_by_its_span() -> None:
    wafer = read_one(builders.g85(DeviceSizeX="40", DeviceSizeY="30"))
    assert wafer.die_pitch_mm == builders.PITCH_MM


def test_prefixed_names_and_other_capitals() -> None:
    data = builders.g85().decode()
    for name in ("Maps", "Map", "Device", "Bin", "Data", "Row"):
        data = data.replace(f"<{name} ", f"<semi:{name} ").replace(f"<{name}>", f"<semi:{name}>")
        data = data.replace(f"</{name}>", f"</semi:{name}>")
    data = data.replace("<semi:Maps>", '<semi:Maps xmlns:semi="http://www.semi.org">')
    data = data.replace("Orientation=", "orientation=")
    assert g85.looks_like(data.encode())
    np.testing.assert_allclose(read_one(data.encode()).defects, builders.DEFECTS_MM)


@pytest.mark.parametrize(
    ("bin_type", "codes"),
    [
        ("ASCII", (".", "1", "X")),
        ("HexaDecimal", ("FF", "01", "0C")),
        ("Integer2", ("FFFF", "0001", "000C")),
        ("Decimal", ("255", "001", "012")),
    ],
)
@pytest.mark.parametrize("between", ["", " "])
def test_bin_types(bin_type: str, codes: tuple[str, str, str], between: str) -> None:
    data = builders.g85(BinType=bin_type, NullBin=codes[0]).decode()
    data = data.replace('BinCode="1"', f'BinCode="{codes[1]}"').replace(
        'BinCode="12"', f'BinCode="{codes[2]}"'
    )
    for old, new in zip(("255", "001", "012"), codes, strict=True):
        data = data.replace(f"{old} ", f"{new}{between}")
    wafer = read_one(data.encode())
    assert wafer.dies is not None
    np.testing.assert_array_equal(wafer.dies.status, builders.UPRIGHT)


def test_bins_that_neither_pass_nor_fail_are_no_tested_dies() -> None:
    data = builders.g85().replace(b'BinQuality="Fail"', b'BinQuality="Reference"')
    wafer = read_one(data)
    assert len(wafer.defects) == 0
    assert wafer.dies is not None
    assert (wafer.dies.status == 1).sum() == 13


def test_without_qualities_bin_1_is_good() -> None:
    wafer = read_one(builders.g85().replace(b"BinQuality", b"BinColour"))
    assert len(wafer.defects) == 3
    assert any("bin 1" in note for note in wafer.notes)


def test_several_wafers_of_which_one_is_bad() -> None:
    good = builders.g85().decode()
    one = good[good.index(" <Map ") : good.index("</Maps>")]
    data = "<Maps>" + one + one.replace('Rows="5"', 'Rows="9"') + one + "</Maps>"
    first, bad, last = g85.read(data.encode(), Path("map.xml"))
    assert isinstance(first, WaferMap)
    assert isinstance(last, WaferMap)
    assert bad == FailedMap(Path("map.xml"), 1, "Rows is 9, but the file has 5")


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"Columns": "5"}, "row 1 has 4 dies instead of 5"),
        ({"Orientation": "30"}, "Orientation must be 0, 90, 180 or 270"),
        ({"BinType": "Roman"}, "BinType must be"),
        ({"WaferSize": "wide"}, "WaferSize must be a number"),
        ({"DeviceSizeX": "-1"}, "the die size must be two positive lengths"),
    ],
)
def test_what_is_wrong_is_said(device: dict[str, str], words: str) -> None:
    (failed,) = g85.read(builders.g85(**device), Path("map.xml"))
    assert isinstance(failed, FailedMap)
    assert words in failed.error
