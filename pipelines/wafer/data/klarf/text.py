"""The text of KLARF 1.2 and 1.8 files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from .layout import Layout

DEFECT_COLUMNS: Final = (
    "DEFECTID",
    "XREL",
    "YREL",
    "XINDEX",
    "YINDEX",
    "CLASSNUMBER",
    "MACROSIGCLASS",
    "TEST",
    "IMAGECOUNT",
)
SUMMARY_COLUMNS: Final = ("TESTNO", "NDEFECT", "DEFDENSITY", "NDIE", "NDEFDIE")
UNITS_PER_CM_12: Final = 1e4
UNITS_PER_CM_18: Final = 1e7
# Programs that read KLARF differ in how they take these within quotes.
REPLACED: Final = str.maketrans({'"': "'", ";": ",", "{": "(", "}": ")"})


def clean(name: str) -> str:
    """A name that is safe between quotes: one line, without quotes, semicolons and braces."""
    return " ".join("".join(c if c.isprintable() else " " for c in name.translate(REPLACED)).split())


def text_12(wafers: Sequence[Layout], lookup: Sequence[str], now: datetime) -> str:
    """A file of version 1.2. Header records that hold for the wafer before are not repeated."""
    lines = ["FileVersion 1 2;", f"FileTimestamp {_time(now)};"]
    stated: dict[str, str] = {}
    # A wafer without a test plan would inherit the one before.
    with_plan = any(wafer.plan is not None for wafer in wafers)
    slot_stated = False
    for number, wafer in enumerate(wafers):
        records = _header_12(wafer)
        lines += [f"{name} {value};" for name, value in records.items() if stated.get(name) != value]
        if "ResultTimestamp" in stated and "ResultTimestamp" not in records:
            lines.append('ResultTimestamp "";')
        stated = records
        lines.append(f"WaferID {_quoted(wafer.map.wafer)};")
        if wafer.map.slot:
            slot = wafer.map.slot
            lines.append(f"Slot {slot if slot.isascii() and slot.isdigit() else _quoted(slot)};")
            slot_stated = True
        elif slot_stated:  # many programs would go on with the slot of the wafer before
            lines.append("Slot 0;")
        lines.append(f"SampleCenterLocation {_lengths(wafer.centre)};")
        if number == 0:
            classes = [f" {index} {_quoted(name)}" for index, name in enumerate(lookup)]
            lines += _record(f"ClassLookup {len(lookup)}", classes)
        lines += _lists_12(wafer, with_plan=with_plan)
    lines.append("EndOfFile;")
    return "\n".join(lines) + "\n"


def _header_12(wafer: Layout) -> dict[str, str]:
    one = wafer.map
    header = {
        "InspectionStationID": f'"" "" {_quoted(one.tool)}',
        "SampleType": "WAFER",
        "ResultTimestamp": _time(one.timestamp) if one.timestamp else "",
        "LotID": _quoted(one.lot),
        "SampleSize": f"1 {_number(one.diameter_mm)}",
        "DeviceID": _quoted(one.device),
        "StepID": _quoted(one.step),
        "SampleOrientationMarkType": "NOTCH",
        "OrientationMarkLocation": "DOWN",
        "DiePitch": _lengths(wafer.pitch),
        "DieOrigin": _lengths((0.0, 0.0)),
    }
    return {name: value for name, value in header.items() if value}


def _lists_12(wafer: Layout, *, with_plan: bool) -> list[str]:
    lines = ["InspectionTest 1;"]
    if with_plan:
        plan = [] if wafer.plan is None else wafer.plan.tolist()
        lines += _record(f"SampleTestPlan {len(plan)}", [f" {x} {y}" for x, y in plan])
    lines.append(f"AreaPerTest {wafer.area:.10e};")
    if custom := _custom(wafer):
        values = [f" {name} {_quoted(value)}" for name, value in custom]
        lines += _record(f"CustomWaferList {len(custom)}", values)
    lines.append(f"DefectRecordSpec {len(DEFECT_COLUMNS)} {' '.join(DEFECT_COLUMNS)} ;")
    lines += _record("DefectList", _rows(wafer, ".4f", end=""))
    lines.append(f"SummarySpec {len(SUMMARY_COLUMNS)} {' '.join(SUMMARY_COLUMNS)} ;")
    density = len(wafer.relative) / (wafer.area / UNITS_PER_CM_12**2)
    return [*lines, *_record("SummaryList", [f" {_summary(wafer, density)}"])]


def _record(head: str, rows: list[str]) -> list[str]:
    """A list whose last row closes it."""
    lines = [head, *rows]
    lines[-1] += ";"
    return lines


def text_18(wafers: Sequence[Layout], lookup: Sequence[str], now: datetime) -> str:
    """A file of version 1.8. Wafers that follow each other and share their lot stand in one LotRecord."""
    lines = ['Record FileRecord "1.8"', "{", _field("FileTimestamp", _times(now))]
    stated: dict[str, list[str]] = {}
    for wafer in wafers:
        fields = _header_18(wafer)
        if fields | {"": [wafer.map.lot]} != stated:
            if stated:
                lines.append("}")
            stated = fields | {"": [wafer.map.lot]}
            lines += [f"Record LotRecord {_quoted(wafer.map.lot)}", "{"]
            lines += [_field(name, values) for name, values in fields.items()]
            lines += _list(
                "ClassLookupList",
                ("int32 CLASSNUMBER", "string CLASSNAME", "string CLASSCODE"),
                [f'{index} {_quoted(name)} "";' for index, name in enumerate(lookup)],
            )
        lines += _wafer_18(wafer)
    lines += ["}", "}", "EndOfFile;"]
    return "\n".join(lines) + "\n"


def _header_18(wafer: Layout) -> dict[str, list[str]]:
    one = wafer.map
    return {
        "InspectionStationID": ['""', '""', _quoted(one.tool)],
        "SampleType": ['"WAFER"'],
        "SampleSize": [str(round(one.diameter_mm * 1e6)), "0"],
        "DeviceID": [_quoted(one.device)],
        "StepID": [_quoted(one.step)],
        "SampleOrientationMarkType": ['"NOTCH"'],
        "OrientationMarkLocation": ["0"],
        "DiePitch": _whole(wafer.pitch),
    }


def _wafer_18(wafer: Layout) -> list[str]:
    one = wafer.map
    lines = [f"Record WaferRecord {_quoted(one.wafer)}", "{", _field("DieOrigin", ["0", "0"])]
    lines.append(_field("SampleCenterLocation", _whole(wafer.centre)))
    if one.timestamp:
        lines.append(_field("ResultTimestamp", _times(one.timestamp)))
    if one.slot:
        slot = one.slot
        lines.append(_field("SlotNumber", [slot if slot.isascii() and slot.isdigit() else _quoted(slot)]))
    if custom := _custom(wafer):
        rows = [f'"{name}" {_quoted(value)};' for name, value in custom]
        lines += _list("CustomWaferList", ("string NAME", "string VALUE"), rows)
    lines += _list("DefectList", [f"int32 {name}" for name in DEFECT_COLUMNS], _rows(wafer, ".0f", end=";"))
    lines += ['Record TestRecord "1"', "{", _field("AreaPerTest", [f"{wafer.area:.10e}"])]
    if wafer.plan is not None:
        plan = [f"{x} {y};" for x, y in wafer.plan.tolist()]
        lines += _list("SampleTestPlanList", ("int32 XINDEX", "int32 YINDEX"), plan)
    lines += ["}", "Record SummaryRecord", "{"]
    density = len(wafer.relative) / (wafer.area / UNITS_PER_CM_18**2)
    types = ("int32", "int32", "float", "int32", "int32")
    columns = [f"{kind} {name}" for kind, name in zip(types, SUMMARY_COLUMNS, strict=True)]
    lines += _list("TestSummaryList", columns, [f"{_summary(wafer, density)};"])
    return [*lines, "}", "}"]


def _rows(wafer: Layout, form: str, end: str) -> list[str]:
    ids = (wafer.map.source_rows + 1).tolist()
    places = zip(ids, wafer.relative.tolist(), wafer.index.tolist(), strict=True)
    tail = f"{wafer.class_number} {wafer.class_number} 1 0{end}"
    return [f" {number} {x:{form}} {y:{form}} {i} {j} {tail}" for number, (x, y), (i, j) in places]


def _summary(wafer: Layout, density: float) -> str:
    inspected = 0 if wafer.plan is None else len(wafer.plan)
    return f"1 {len(wafer.relative)} {density:.10e} {inspected} {wafer.failing_dies}"


def _custom(wafer: Layout) -> list[tuple[str, str]]:
    if wafer.found is None:
        return []
    return [
        ("PREDICTEDCLASS", wafer.found.label),
        ("DECISION", wafer.found.decision),
        ("PROBABILITY", f"{wafer.found.probability:.6g}"),
    ]


def _quoted(name: str) -> str:
    return f'"{clean(name)}"'


def _number(value: float) -> str:
    return f"{value:.9g}"


def _lengths(pair: Iterable[float]) -> str:
    return " ".join(f"{value:.10e}" for value in pair)


def _whole(pair: Iterable[float]) -> list[str]:
    return [f"{value:.0f}" for value in pair]


def _time(time: datetime) -> str:
    return f"{time:%m-%d-%Y %H:%M:%S}"


def _times(time: datetime) -> list[str]:
    return [f'"{time:%m-%d-%Y}"', f'"{time:%H:%M:%S}"']


def _field(name: str, values: Sequence[str]) -> str:
    return f"Field {name} {len(values)} {{{', '.join(values)}}}"


def _list(name: str, columns: Sequence[str], rows: Iterable[str]) -> list[str]:
    rows = list(rows)
    head = [
        f"List {name}",
        "{",
        f"Columns {len(columns)} {{ {', '.join(columns)} }}",
        f"Data {len(rows)}",
        "{",
    ]
    return [*head, *rows, "}", "}"]
