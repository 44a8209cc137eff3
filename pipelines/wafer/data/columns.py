"""What the columns of a table of defects or dies are, told from its header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .record import WaferFileError
from .text import unit_mm

MAX_COLUMNS: Final = 1000
MAX_NAME: Final = 100  # characters of a name that are looked at
_DELIMITERS: Final = ",;\t|"
_UNIT: Final = re.compile(
    r"^(?P<name>.*?)(?:[\s_]*[(\[]\s*|[\s_.]+)(?P<unit>[a-zµμ]+)\s*[)\]]?$", re.IGNORECASE
)

# Names without spaces, underscores and capitals, and with * for the axis.
_POSITION: Final = (
    *("*", "*pos", "*position", "pos*", "*coord", "*coordinate", "coord*", "*abs", "abs*"),
    *("wafer*", "*wafer", "defect*", "*defect", "*center", "*loc"),
)
_DIE: Final = ("die*", "*die", "*index", "index*", "die*index", "*dieindex", "die*coord", "dieindex*")
_COLUMN_OF_DIES: Final = ("col", "column", "diecol", "diecolumn", "colindex", "columnindex")
_ROW_OF_DIES: Final = ("row", "dierow", "rowindex")
_RESULT: Final = (
    *("bin", "hardbin", "hbin", "hbinnum", "hwbin", "hardwarebin", "softbin", "sbin", "sbinnum", "bincode"),
    *("passfail", "pf", "result", "testresult"),
)
_TEXTS: Final = {
    "lot": ("lot", "lotid", "lotname"),
    "wafer": ("wafer", "waferid", "wafernumber", "wafername", "waferno", "waferindex"),
    "slot": ("slot", "slotid", "slotnumber", "slotno"),
    "step": ("step", "stepid", "operation", "layer"),
    "device": ("device", "deviceid", "product", "productid"),
    "tool": ("tool", "toolid", "equipment", "inspectiontool"),
}
_TEXT_OF: Final = {name: field for field, names in _TEXTS.items() for name in names}
_DIAMETER: Final = ("diameter", "waferdiameter", "wafersize", "samplesize")


@dataclass(frozen=True, slots=True)
class Columns:
    """The places of the columns that matter.

    unit_mm: millimetres in the unit of x and y, None where the header states none.
    dies: x and y count dies, and `result` says which of them fail; None where the numbers must tell.
    rows_down: y counts rows from the top.
    texts: the places of lot, wafer and so on by their names in `WaferMap`.
    """

    delimiter: str
    x: int
    y: int
    unit_mm: float | None
    dies: bool | None
    rows_down: bool
    result: int | None
    diameter: int | None
    diameter_unit_mm: float | None
    texts: dict[str, int]


def parse_header(line: str) -> Columns | None:
    """The columns of a header; None where it names no x and y.

    Raises:
        WaferFileError: too many columns, x and y in different units, or an x that is there twice.
    """
    delimiter = max(_DELIMITERS, key=line.count)
    if line.count(delimiter) == 0:
        return None
    if line.count(delimiter) >= MAX_COLUMNS:
        raise WaferFileError(f"the table has more than {MAX_COLUMNS} columns")
    names = [_split_unit(cell) for cell in line.split(delimiter)]
    plain = [name for name, _ in names]
    result = _first(plain, _RESULT)
    for kind, xs, ys in (
        ("dies", _axis(_DIE, "x"), _axis(_DIE, "y")),
        ("positions", _axis(_POSITION, "x"), _axis(_POSITION, "y")),
        ("rows", _COLUMN_OF_DIES, _ROW_OF_DIES),
    ):
        x, y = _first(plain, xs), _first(plain, ys)
        if x is None or y is None or (kind != "positions" and result is None):
            continue
        if names[x][1] != names[y][1]:
            raise WaferFileError("the columns of x and y are in different units")
        unit = names[x][1]
        diameter = _first(plain, _DIAMETER)
        return Columns(
            delimiter=delimiter,
            x=x,
            y=y,
            unit_mm=unit,
            dies=kind != "positions" or (None if result is not None and unit is None else False),
            rows_down=kind == "rows",
            result=result,
            diameter=diameter,
            diameter_unit_mm=None if diameter is None else names[diameter][1],
            texts={
                _TEXT_OF[name]: place for place, name in reversed(list(enumerate(plain))) if name in _TEXT_OF
            },
        )
    return None


def _split_unit(cell: str) -> tuple[str, float | None]:
    cell = cell.strip().strip("\"'").strip()
    match = _UNIT.match(cell[:MAX_NAME])
    unit = unit_mm(match["unit"]) if match else None
    name = match["name"] if match and unit is not None else cell
    return re.sub(r"[^a-z0-9]", "", name.lower()), unit


def _axis(patterns: tuple[str, ...], axis: str) -> tuple[str, ...]:
    return tuple(pattern.replace("*", axis) for pattern in patterns)


def _first(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((place for place, name in enumerate(names) if name in wanted), None)
