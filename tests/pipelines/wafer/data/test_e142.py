from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, WaferMap, e142
from tests.pipelines.wafer.data import builders


def read_one(data: bytes) -> WaferMap:
    (wafer,) = e142.read(data, Path("map.xml"))
    assert isinstance(wafer, WaferMap), wafer
    return wafer


@pytest.mark.parametrize("version", ["V0105", "V1005", "V1114", "V0225"])
def test_every_version_of_the_namespace(version: str) -> None:
    data = builders.e142(namespace=f"urn:semi-org:xsd.E142-1.{version}.SubstrateMap")
    assert e142.looks_like(data)
    np.testing.assert_allclose(read_one(data).defects, builders.DEFECTS_MM)


def test_without_a_namespace() -> None:
    np.testing.assert_allclose(read_one(builders.e142(namespace="")).defects, builders.DEFECTS_MM)


def test_layouts_and_substrate_become_the_record() -> None:
    wafer = read_one(builders.e142())
    assert (wafer.lot, wafer.wafer, wafer.slot) == ("L1", "L1-07", "7")
    assert (wafer.diameter_mm, wafer.diameter_assumed, wafer.die_pitch_mm) == (
        300.0,
        False,
        builders.PITCH_MM,
    )


@pytest.mark.parametrize("origin", ["UpperLeft", "LowerLeft", "UpperRight", "LowerRight", "Center"])
def test_rows_are_a_picture_wherever_devices_are_counted_from(origin: str) -> None:
    wafer = read_one(builders.e142(OriginLocation=origin, AxisDirection="UpRight"))
    np.testing.assert_allclose(wafer.defects, builders.DEFECTS_MM)


@pytest.mark.parametrize("direction", ["UpRight", "UpLeft", "DownRight", "DownLeft"])
@pytest.mark.parametrize("start", [(0, 0), (1, 1), (-1, -2)])
def test_devices_listed_by_number(direction: str, start: tuple[int, int]) -> None:
    counted = builders.UPRIGHT[::-1] if direction.startswith("Up") else builders.UPRIGHT
    counted = counted[:, ::-1] if direction.endswith("Left") else counted
    cells = "".join(
        f'<BinCode X="{x + start[0]}" Y="{y + start[1]}">{("FF", "01", "0C")[die]}</BinCode>'
        for y, row in enumerate(counted)
        for x, die in enumerate(row)
    )
    data = builders.e142(AxisDirection=direction).decode()
    begin, end = data.index("<BinCode>"), data.index("</BinCodeMap>")
    wafer = read_one((data[:begin] + cells + data[end:]).encode())
    np.testing.assert_allclose(wafer.defects, builders.DEFECTS_MM)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('SubstrateType="Wafer" SubstrateId="L1-07" O', 'SubstrateType="Strip" O', "the map of a strip"),
        ('Dimension X="4" Y="5"', 'Dimension X="4" Y="6"', "the layout has 6 rows, but the map has 5"),
        ('Dimension X="4" Y="5"', 'Dimension X="5" Y="5"', "row 1 has 4 dies instead of 5"),
        ("micron", "cubit", "must be one of length"),
        ("BinCodeMap", "BinCodeCap", "BinCodeMap is missing"),
        ('StepSize X="40000.0"', 'StepSize X="nan"', "must be a finite number"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, words: str) -> None:
    data = builders.e142().decode()
    assert old in data
    (failed,) = e142.read(data.replace(old, new).encode(), Path("map.xml"))
    assert isinstance(failed, FailedMap)
    assert words in failed.error
