from __future__ import annotations

from datetime import datetime

import pytest

from tests.pipelines.wafer.data.klarf.samples import KLARF_12, fail_one, read_one


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01-02-24 03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ("01-02-2024 03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ("2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ('"2024-01-02T03:04:05"', datetime(2024, 1, 2, 3, 4, 5)),
        ("01/02/99 3:04", datetime(1999, 1, 2, 3, 4)),
        ("07-07-77 0:17:07", datetime(1977, 7, 7, 0, 17, 7)),
        # There is no month 26, so this is the day.
        ("26-01-16 16:25:43", datetime(2016, 1, 26, 16, 25, 43)),
        ("01-02-2024", datetime(2024, 1, 2)),
    ],
)
def test_dates(text: str, expected: datetime) -> None:
    one = read_one(KLARF_12.replace("ResultTimestamp 01-02-24 03:04:05", f"ResultTimestamp {text}"))
    assert one.timestamp == expected
    assert one.notes == ()


@pytest.mark.parametrize(
    "text", ["99-99-99 00:00:00", "yesterday", "01-02-24 25:61:00", "0000-00-00 00:00:00"]
)
def test_a_date_that_is_none_is_noted(text: str) -> None:
    one = read_one(KLARF_12.replace("ResultTimestamp 01-02-24 03:04:05", f"ResultTimestamp {text}"))
    assert one.timestamp is None
    assert "was not understood" in one.notes[0]


def test_a_missing_mark_is_noted() -> None:
    one = read_one(KLARF_12.replace("OrientationMarkLocation DOWN;", ""))
    assert one.notes == ("OrientationMarkLocation is not stated and was taken as DOWN",)


def test_names_without_quotes_and_with_blanks() -> None:
    one = read_one(
        KLARF_12.replace('"L1"', "L1").replace('"W1"', '"  W\t1  "').replace("Slot 3", 'Slot "03"')
    )
    assert (one.lot, one.wafer, one.slot) == ("L1", "W 1", "03")


def test_parts_of_a_tool_that_say_nothing() -> None:
    assert read_one(KLARF_12.replace('"Maker" "Model" "7"', '"NONE" "" "X"')).tool == "X"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("DiePitch 1.0e+004", "DiePitch -1.0e+004", "DiePitch must be positive"),
        ("DiePitch 1.0e+004", "DiePitch nan", "DiePitch must be a number, not 'nan'"),
        ("DiePitch 1.0e+004", "DiePitch 1e400", "DiePitch must be a number"),
        ("DiePitch 1.0e+004", "DiePitch 1e99", "which no wafer has"),
        ("DiePitch 1.0e+004 2.0e+004", "DiePitch 1.0e+004", "DiePitch must be two numbers, not 1"),
        (
            "SampleCenterLocation 5.0e+003",
            "SampleCenterLocation inf",
            "SampleCenterLocation must be a number",
        ),
        ("SampleSize 1 200", "SampleSize 1 -200", "between 10 and 1000 mm"),
        ("SampleSize 1 200", "SampleSize 1 200000", "between 10 and 1000 mm"),
        ("SampleSize 1 200", "SampleSize 2 200 100", "only round wafers"),
        ("SampleSize 1 200", "SampleSize 1 big", "SampleSize must be a number, not 'big'"),
        ("Location DOWN", "Location SIDEWAYS", "must be DOWN, LEFT, UP, RIGHT or 0, 90, 180, 270"),
        ("Location DOWN", "Location 45", "must be DOWN, LEFT, UP, RIGHT or 0, 90, 180, 270"),
    ],
)
def test_values_that_cannot_be_meant(old: str, new: str, reason: str) -> None:
    assert reason in fail_one(KLARF_12.replace(old, new))
