"""Whatever a file holds, it gives maps, failed maps or a WaferFileError with a reason, and soon."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.wafer.data import Limits
from pipelines.wafer.data.klarf import read
from pipelines.wafer.data.record import FailedMap, WaferFileError, WaferMap
from tests.pipelines.wafer.data.klarf.samples import (
    END_12,
    HEADER_12,
    KLARF_12,
    KLARF_18,
    LOT_18,
    ROWS_12,
    SOURCE,
    SPEC_12,
    WAFER_12,
    WAFER_18,
    file_18,
)

SECONDS = 30.0  # of the processor; a second look at each byte for each byte takes hours
NOISE = random.Random(0).randbytes(20_000)


def outcome(data: bytes) -> tuple[int, list[str]]:
    """How many maps were read, and the reasons of the failures."""
    start = time.process_time()
    maps, errors = 0, []
    try:
        for one in read(data, SOURCE):
            if isinstance(one, FailedMap):
                errors.append(one.error)
            else:
                maps += 1
    except WaferFileError as error:
        errors.append(str(error))
    assert time.process_time() - start < SECONDS
    assert all(errors)
    return maps, errors


def change(text: str, old: str, new: str) -> bytes:
    assert old in text
    return text.replace(old, new).encode("utf-8", "surrogateescape")


FAILING = [
    ("nothing but the version", b"FileVersion 1 2;", "holds no wafer"),
    ("only noise after the version", b"FileVersion 1 2;\n" + NOISE.replace(b"\n", b" "), "holds no wafer"),
    ("cut in a row", KLARF_12[: KLARF_12.index("4000.0")].encode(), "ends in the middle of the defect list"),
    (
        "cut in the last row",
        KLARF_12[: KLARF_12.index("-1 0 0;")].encode(),
        "ends in the middle of the defect list",
    ),
    (
        "cut before the list",
        KLARF_12[: KLARF_12.index("DefectList")].encode(),
        "no DefectList for it before it ends",
    ),
    (
        "a row too short",
        change(KLARF_12, " 2 2000.0 4000.0", " 2 2000.0"),
        "row 2 of the defect list holds 6 values",
    ),
    (
        "a row too long",
        change(KLARF_12, " 2 2000.0", " 2 2000.0 9"),
        "row 2 of the defect list holds 8 values",
    ),
    (
        "one row too short and one too long",
        change(change(KLARF_12, " 2 2000.0 4000.0", " 2 2000.0").decode(), " 3 2000.0", " 3 2000.0 9"),
        "row 2 of the defect list holds 6 values",
    ),
    ("no columns named", change(KLARF_12, SPEC_12, "DefectRecordSpec 0;\n"), "no DefectRecordSpec before it"),
    ("a column twice", change(KLARF_12, "CLASSNUMBER", "XREL"), "the column XREL is named 2 times"),
    (
        "too many columns",
        change(KLARF_12, SPEC_12, "DefectRecordSpec 2000 " + "A " * 2000 + ";"),
        "2000 columns",
    ),
    ("zero pitch", change(KLARF_12, "1.0e+004 2.0e+004", "0 0"), "DiePitch is missing or zero"),
    ("a position that is nan", change(KLARF_12, "4000.0", "nan"), "YREL is no number but 'nan'"),
    ("a position that is inf", change(KLARF_12, "4000.0", "-inf"), "YREL is no number but '-inf'"),
    ("a position of 1e400", change(KLARF_12, "4000.0", "1e400"), "YREL is no number but '1e400'"),
    (
        "a position that is text",
        change(KLARF_12, "4000.0", "abc"),
        "row 2 of the defect list: YREL is no number",
    ),
    ("a position of many digits", change(KLARF_12, "4000.0", "1" * 100_000), "YREL is no number but '111"),
    (
        "a die that is no whole number",
        change(KLARF_12, "4000.0 1", "4000.0 1.5"),
        "XINDEX must be a whole number",
    ),
    ("a die far away", change(KLARF_12, "4000.0 1", "4000.0 99999999"), "XINDEX must be a whole number"),
    ("absurd positions", change(KLARF_12, "4000.0", "4e12"), "cannot be right"),
    (
        "absurd size",
        change(KLARF_12, "SampleSize 1 200", "SampleSize 1 1e308"),
        "SampleSize gives a diameter",
    ),
    ("a header without end", change(KLARF_12, "LotID", "LotID " + "x" * 100_000), "its ';' may be missing"),
    (
        "an image count beyond measure",
        (HEADER_12 + WAFER_12 + SPEC_12.replace("IMAGECOUNT", "IMAGELIST") + ROWS_12 + END_12)
        .replace("1 1 0 0", "1 1 0 99999999")
        .encode(),
        "IMAGELIST starts with its count, not with '99999999'",
    ),
    (
        "an image count that takes all the rest",
        (HEADER_12 + WAFER_12 + SPEC_12.replace("IMAGECOUNT", "IMAGELIST") + ROWS_12 + END_12)
        .replace("1 1 0 0", "1 1 0 50")
        .encode(),
        "left over after row 1",
    ),
    ("1.8, nothing but its start", b'Record FileRecord "1.8"', "cut short"),
    ("1.8, noise", b'Record FileRecord "1.8" {' + NOISE, "line"),
    ("1.8, cut in a row", KLARF_18[: KLARF_18.index("4000000")].encode(), "not whole"),
    ("1.8, cut in the columns", KLARF_18[: KLARF_18.index("int32 YINDEX")].encode(), "not whole"),
    (
        "1.8, a row too short",
        change(KLARF_18, "2 2000000 4000000", "2 2000000"),
        "row 2 of the defect list holds 5",
    ),
    ("1.8, a row too long", change(KLARF_18, "2 2000000", "2 2000000 0"), "row 2 of the defect list holds 7"),
    ("1.8, no columns", change(KLARF_18, "Columns 6 { int32 DEFECTID,", "Columns 6 { } Data 0 {"), "line"),
    ("1.8, a position that is NaN", change(KLARF_18, "4000000", "NaN"), "YREL is no number but 'NaN'"),
    (
        "1.8, positions in um",
        change(KLARF_18, "DiePitch 2 {10000000", "DiePitch 2 {10000000000"),
        "cannot be right",
    ),
    ("1.8, a size in mm", change(KLARF_18, "{200000000, 0}", "{200, 0}"), "between 10 and 1000 mm"),
    (
        "1.8, a quote that is not closed",
        change(KLARF_18, '"Step"', '"Step'),
        "a quote is opened and not closed",
    ),
    ("1.8, a brace too many", change(KLARF_18, "Field SlotNumber", "} } } } Field X 1 {2}"), "line"),
    ("1.8, a field that is not closed", change(KLARF_18, "{200000000, 0}", "{200000000, 0"), "line"),
    (
        "1.8, a list that is not closed",
        change(KLARF_18, "-1 0;\n        }", "-1 0;"),
        "stands where } should",
    ),
    ("1.8, nested too deep", b"Record FileRecord {" + b"Record A {" * 200_000, "nested more than 32 deep"),
    (
        "1.8, a field of too many values",
        file_18("Field A 1 {" + "1," * 20_000 + "}").encode(),
        "more than 10,000",
    ),
]


@pytest.mark.parametrize(("name", "data", "reason"), FAILING, ids=[case[0] for case in FAILING])
def test_malformed_files_fail_with_a_reason(name: str, data: bytes, reason: str) -> None:
    maps, errors = outcome(data)
    assert any(reason in error for error in errors), (maps, errors)


SENSIBLE = [
    ("wrong column count", change(KLARF_12, "DefectRecordSpec 7", "DefectRecordSpec 99999999999"), 1),
    ("wrong plan count", change(KLARF_12, SPEC_12, "SampleTestPlan 999999999\n 0 0;\n" + SPEC_12), 1),
    ("a plan that is none", change(KLARF_12, SPEC_12, "SampleTestPlan 2\n a b c;\n" + SPEC_12), 1),
    ("zero size", change(KLARF_12, "SampleSize 1 200", "SampleSize 1 0"), 1),
    ("not UTF-8", KLARF_12.replace("L1", "\udcff\udcfe").encode("utf-8", "surrogateescape"), 1),
    ("zero bytes", change(KLARF_12, "DieOrigin", "Odd \0\0;\nDieOrigin"), 1),
    ("twice the same header", (HEADER_12 + KLARF_12).encode(), 1),
    ("1.8, wrong row count", change(KLARF_18, "Data 3\n", "Data 999999999999\n"), 1),
    ("1.8, an empty lot", file_18(LOT_18, WAFER_18, "Record LotRecord { }").encode(), 1),
]


@pytest.mark.parametrize(("name", "data", "maps"), SENSIBLE, ids=[case[0] for case in SENSIBLE])
def test_malformed_files_that_make_sense(name: str, data: bytes, maps: int) -> None:
    assert outcome(data) == (maps, [])


def test_too_many_defects() -> None:
    again = KLARF_12.replace(END_12, SPEC_12 + ROWS_12 + END_12)
    for text, defects in ((KLARF_12, 3), (KLARF_18, 3), (again, 6)):
        (failed,) = read(text.encode(), SOURCE, Limits(max_defects=defects - 1))
        assert isinstance(failed, FailedMap)
        assert f"more than {defects - 1} defects" in failed.error
        assert "raise the limit with --set max_defects=N" in failed.error
        (wafer,) = read(text.encode(), SOURCE, Limits(max_defects=defects))
        assert isinstance(wafer, WaferMap) and len(wafer.defects) == defects


def test_a_wafer_with_too_many_defects_fails_alone() -> None:
    one = ROWS_12.split(" 2 2000.0")[0].rstrip() + ";\n"
    wafers = [WAFER_12 + SPEC_12 + rows for rows in (one, ROWS_12, one)]
    text = HEADER_12 + "".join(wafers).replace('"W1"', '"W2"', 2).replace('"W2"', '"W1"', 1) + END_12
    assert [type(item) for item in read(text.encode(), SOURCE, Limits(max_defects=2))] == [
        WaferMap,
        FailedMap,
        WaferMap,
    ]


def test_lists_are_the_same_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [KLARF_12, KLARF_18, KLARF_12.replace("IMAGECOUNT", "IMAGELIST")]
    whole = [next(iter(read(text.encode(), SOURCE))) for text in texts]
    monkeypatch.setattr("pipelines.wafer.data.klarf.cells.CHUNK_BYTES", 40)
    for text, expected in zip(texts, whole, strict=True):
        (one,) = read(text.encode(), SOURCE)
        assert isinstance(one, WaferMap) and isinstance(expected, WaferMap)
        assert one.defects.tolist() == expected.defects.tolist()


@pytest.mark.parametrize("text", [KLARF_12, KLARF_18], ids=["1.2", "1.8"])
def test_a_file_cut_anywhere(text: str) -> None:
    after_list = text.index("SummarySpec" if text is KLARF_12 else "Record TestRecord")
    for length in range(len(text)):
        maps, _ = outcome(text[:length].encode())
        assert maps == 0 or length >= after_list - 20, length


HOSTILE = [
    b"FileVersion 1 2;" + b";" * 1_000_000 + b"5",
    b"FileVersion 1 2;" + b" " * 1_000_000,
    b"FileVersion 1 2;\nDefectList " + b"; " * 500_000 + b"5",
    b"FileVersion 1 2;\nLotID " + b'"' * 1_000_001,
    b"FileVersion 1 2;\n" + b'"\n' * 300_000,
    b"FileVersion 1 2;\nDefectRecordSpec 2 X Y;\nDefectList\n"
    + b"FILENAME\n" * 100_000
    + b" 1 2;\nEndOfFile;",
    b"FileVersion 1 2;\nDefectRecordSpec 2 X Y;\n" + b"DefectList\n 1 2;\n" * 40_000,
    b"FileVersion 1 2;\nSampleTestPlan " + b"1 2;" * 200_000,
    b"FileVersion 1 2;\n" + b'WaferID "a";\nDefectList;\n' * 3_000,
    b'Record FileRecord "1.8" {' + b"{" * 1_000_000,
    b'Record FileRecord "1.8" {' + b"Record A { }" * 30_000,
    b'Record FileRecord "1.8" { Field A 1 {' + b'"' * 1_000_001,
    b'Record FileRecord "1.8" { Record WaferRecord { List DefectList { Columns 2 { f X, f Y } Data 1 {'
    + b"Images 1 " * 100_000
    + b"} } } }",
    b'Record FileRecord "1.8" { Record WaferRecord { List DefectList { Columns 2 { f X, f Y } Data 1 {'
    + b"Images 1 { } " * 50_000
    + b"} } } }",
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_time_grows_with_length_only(number: int) -> None:
    outcome(HOSTILE[number])


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([KLARF_12, KLARF_18, KLARF_12.replace("IMAGECOUNT", "IMAGELIST")]))
def test_random_changes_never_raise_anything_else(data: st.DataObject, text: str) -> None:
    raw = bytearray(text.encode())
    pieces = st.sampled_from(
        [b"", b";", b'"', b"{", b"}", b"\n", b" ", b"NA", b"-1", b"1e999", b"\x00", b"\xff", b"9" * 9]
    )
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw)))
        length = data.draw(st.integers(0, 30))
        raw[at : at + length] = data.draw(pieces | st.binary(max_size=6))
    outcome(bytes(raw))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"FileVersion 1 2;", b"Record FileRecord {", b""]))
def test_noise_never_raises_anything_else(noise: bytes, start: bytes) -> None:
    outcome(start + noise)
