"""SINF, the Simplified Integrator Nested Format of sort maps: `NAME:value` lines, then rows of bin codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .dies import MAX_SIDE, Notch, die_map, status_grid
from .limits import DEFAULT, Limits, raise_it
from .record import FAIL, NO_DIE, PASS, FailedMap, WaferFileError, WaferMap
from .text import decode_head, lines, number, timestamp, unit_mm, whole_number

# FNLOC: where the flat or notch is, in degrees clockwise from the top.
_NOTCH: Final[dict[int, Notch]] = {0: "up", 90: "right", 180: "down", 270: "left"}
MAX_HEADER: Final = 1000
_ROW: Final = "ROWDATA"
_DEFAULT_GOOD: Final = "01"
_HEADER: Final = re.compile(
    r"^[ \t]*(?:ROWCT|COLCT|BCEQU|FNLOC|XDIES|RowData)[ \t]*:", re.IGNORECASE | re.MULTILINE
)


def looks_like(head: bytes) -> bool:
    """At least three of the names that only SINF has, or rows and one of them."""
    found = {match.group().strip().upper() for match in _HEADER.finditer(decode_head(head))}
    return len(found) >= 3 or {"ROWDATA:"} < found


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """Every wafer of the file; a header after rows begins the next one."""
    for position, (header, rows) in enumerate(_wafers(data, limits.max_dies)):
        try:
            yield _wafer(header, rows, limits, source, position)
        except WaferFileError as error:
            yield FailedMap(source, position, str(error))


def _wafers(data: bytes, max_dies: int) -> Iterator[tuple[dict[str, str], list[list[str]]]]:
    header: dict[str, str] = {}
    rows: list[list[str]] = []
    dies = 0
    for line in lines(data):
        name, colon, value = line.partition(":")
        if not colon:
            continue
        name = name.strip().upper()
        if name == _ROW:
            rows.append(value.split())
            dies += len(rows[-1])
            if len(rows) > MAX_SIDE:
                raise WaferFileError(f"a map has more than {MAX_SIDE:,} rows")
            if dies > max_dies:
                raise WaferFileError(f"a map has more than {max_dies:,} dies: {raise_it('max_dies')}")
            continue
        if rows:
            yield header, rows
            header, rows, dies = {}, [], 0
        header[name] = value.strip()
        if len(header) > MAX_HEADER:
            raise WaferFileError(f"the header has more than {MAX_HEADER} lines")
    if header or rows:
        yield header, rows


def _wafer(
    header: dict[str, str], rows: list[list[str]], limits: Limits, source: Path, position: int
) -> WaferMap:
    location = header.get("FNLOC") or "180"
    notch = _NOTCH.get(whole_number(location, "FNLOC") % 360)
    if notch is None:
        raise WaferFileError(f"FNLOC must be 0, 90, 180 or 270, not {location}")
    if not rows:
        raise WaferFileError("there are no rows (RowData)")
    for name, found in (("ROWCT", len(rows)), ("COLCT", len(rows[0]))):
        if header.get(name) and whole_number(header[name], name) != found:
            raise WaferFileError(f"{name} is {header[name]}, but the file has {found}; it may be cut short")
    good = frozenset(re.split(r"[\s,;]+", header.get("BCEQU") or _DEFAULT_GOOD)) - {""}

    def status_of(code: str) -> int:
        # Underscores stand for no die and @ for a marker; what has neither a letter nor a digit is no bin.
        return PASS if code in good else FAIL if any(c.isalnum() for c in code) else NO_DIE

    return die_map(
        status_grid(rows, status_of, limits.max_dies),
        source=source,
        position=position,
        notch=notch,
        pitch_mm=_pitch_mm(header),
        lot=header.get("LOT", ""),
        wafer=header.get("WAFER", ""),
        slot=header.get("SLOT", ""),
        device=header.get("DEVICE", ""),
        timestamp=timestamp(header.get("DATE", "")),
        notes=() if header.get("BCEQU") else (f"no good bins stated (BCEQU): {_DEFAULT_GOOD} was taken",),
    )


def _pitch_mm(header: dict[str, str]) -> tuple[float, float] | None:
    if not (header.get("XDIES") and header.get("YDIES")):
        return None
    name = header.get("DUTMS") or "mm"
    unit = unit_mm(name)
    if unit is None:
        raise WaferFileError(f"DUTMS must be a unit of length such as mm or mil, not '{name}'")
    x, y = number(header["XDIES"], "XDIES") * unit, number(header["YDIES"], "YDIES") * unit
    return (x, y) if x != 0 and y != 0 else None  # some tools write 0 for a size that they do not know
