"""Wafer sort results in STDF V4 (Standard Test Data Format), read with the optional package semi-ate-stdf.

A wafer runs from its WIR to its WRR; each PRR between them is a die at X_COORD, Y_COORD. The last result of
a die that was tested again counts. WCR, which may stand at the end, gives the die size, the diameter and
the directions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from .dies import Notch, check_shape, die_map
from .limits import DEFAULT, Limits, raise_it
from .record import FAIL, PASS, FailedMap, WaferFileError, WaferMap

INSTALL: Final = "pip install semi-ate-stdf"
MAX_WAFERS: Final = 1_000
_MIR, _WCR, _WIR, _WRR, _PRR = (1, 10), (2, 30), (2, 10), (2, 20), (5, 20)
# HEAD_NUM, SITE_NUM, PART_FLG, NUM_TEST, HARD_BIN, SOFT_BIN, X_COORD, Y_COORD: the fixed part of a PRR is
# unpacked here, because the package needs 50 us for each record, and a lot has hundreds of thousands.
_PART: Final = "BBBHHHhh"
_HEAD_NUM: Final = 4  # where the head stands in WIR, WRR and PRR
_NO_COORDINATE: Final = -32768
_FAILED, _UNJUDGED = 0x08, 0x10  # bits of PART_FLG: the part failed; the other bit says nothing
_UNIT_MM: Final = {1: 25.4, 2: 10.0, 3: 1.0, 4: 0.0254}  # WF_UNITS
_FLAT: Final[dict[str, Notch]] = {"U": "up", "D": "down", "L": "left", "R": "right"}


@dataclass(slots=True)
class _Wafer:
    name: str
    started: int
    parts: list[tuple[int, int, bool]] = field(default_factory=list)
    without_position: int = 0
    finished: bool = False


def looks_like(head: bytes) -> bool:
    """An FAR record: its length 2 in either byte order, type 0, subtype 10, then CPU and version."""
    return (
        len(head) >= 6
        and head[:2] in (b"\x02\x00", b"\x00\x02")
        and head[2:4] == b"\x00\x0a"
        and head[5] <= 4
    )


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """Every wafer of the file, in the order of their WIR.

    Raises:
        WaferFileError: semi-ate-stdf is not installed, the file is not V4, is damaged or holds no wafer.
    """
    package = _package()
    if data[5] != 4:
        raise WaferFileError(f"STDF version {data[5]} is not read, only version 4")
    order = "<" if data[:2] == b"\x02\x00" else ">"
    try:
        wafers, master, layout = _collect(package, data, order, limits.max_defects)
    except UnicodeDecodeError as error:
        raise WaferFileError("a record is damaged: its text is no UTF-8") from error
    except (package.STDFError, TypeError, struct.error) as error:  # TypeError: some of its reports of damage
        raise WaferFileError(f"a record is damaged: {str(error)[:200]}") from error
    if not wafers:
        raise WaferFileError("the file holds no wafer (WIR); it may be the test of packaged parts")
    for position, wafer in enumerate(wafers):
        try:
            yield _wafer_map(wafer, master, layout, limits, source, position)
        except WaferFileError as error:
            yield FailedMap(source, position, str(error))


def _package() -> ModuleType:
    try:
        return import_module("Semi_ATE.STDF")
    except ImportError as error:
        raise WaferFileError(f"reading STDF needs the package semi-ate-stdf: {INSTALL}") from error


def _records(data: bytes, order: str) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Kind (type, subtype) and bytes of each record that is looked at."""
    kinds = {_MIR, _WCR, _WIR, _WRR, _PRR}
    unpack = struct.Struct(f"{order}HBB").unpack_from
    at, size = 0, len(data)
    cut_short = WaferFileError("the file is cut short in the middle of a record")
    while at < size:
        if at + 4 > size:
            raise cut_short
        length, kind, subkind = unpack(data, at)
        end = at + 4 + length
        if end > size:
            raise cut_short
        if (kind, subkind) in kinds:
            yield (kind, subkind), data[at:end]
        at = end


def _collect(
    package: ModuleType, data: bytes, order: str, max_parts: int
) -> tuple[list[_Wafer], dict[str, Any], dict[str, Any]]:
    """The wafers, and the fields of MIR and WCR."""
    wafers: list[_Wafer] = []
    by_head: dict[int, _Wafer] = {}
    master: dict[str, Any] = {}
    layout: dict[str, Any] = {}
    parts = 0
    for kind, record in _records(data, order):
        if kind == _PRR:
            parts += 1
            if parts > max_parts:
                raise WaferFileError(
                    f"the file has more than {max_parts:,} results of dies, which is the most that is read: "
                    f"{raise_it('max_defects')}"
                )
            _add_part(record, order, by_head)
        elif kind == _WIR:
            values = package.WIR("V4", order, record)
            wafers.append(_Wafer(values.get_value("WAFER_ID").strip(), values.get_value("START_T")))
            if len(wafers) > MAX_WAFERS:
                raise WaferFileError(f"the file has more than {MAX_WAFERS:,} wafers")
            by_head[values.get_value("HEAD_NUM")] = wafers[-1]
        elif kind == _WRR:
            if len(record) > _HEAD_NUM and (ended := by_head.pop(record[_HEAD_NUM], None)) is not None:
                ended.finished = True
                ended.name = ended.name or package.WRR("V4", order, record).get_value("WAFER_ID").strip()
        elif kind == _MIR and not master:
            master = _fields(package.MIR("V4", order, record), "LOT_ID", "PART_TYP", "NODE_NAM", "TEST_COD")
        elif kind == _WCR and not layout:
            names = ("WAFR_SIZ", "DIE_HT", "DIE_WID", "WF_UNITS", "WF_FLAT", "POS_X", "POS_Y")
            layout = _fields(package.WCR("V4", order, record), *names)
    return wafers, master, layout


def _fields(record: Any, *names: str) -> dict[str, Any]:
    return {name: record.get_value(name) for name in names}


def _add_part(record: bytes, order: str, by_head: dict[int, _Wafer]) -> None:
    """The result of one die, for the wafer on its head. If PART_FLG says nothing, hard bin 1 is good."""
    if len(record) <= _HEAD_NUM or (wafer := by_head.get(record[_HEAD_NUM])) is None:
        return
    fixed = struct.Struct(order + _PART)
    if len(record) < _HEAD_NUM + fixed.size:  # trailing fields may be left out
        wafer.without_position += 1
        return
    _, _, flags, _, hard_bin, _, x, y = fixed.unpack_from(record, _HEAD_NUM)
    if _NO_COORDINATE in (x, y):
        wafer.without_position += 1
        return
    wafer.parts.append((x, y, hard_bin != 1 if flags & _UNJUDGED else bool(flags & _FAILED)))


def _wafer_map(
    wafer: _Wafer,
    master: dict[str, Any],
    layout: dict[str, Any],
    limits: Limits,
    source: Path,
    position: int,
) -> WaferMap:
    if not wafer.parts:
        raise WaferFileError(f"no die of wafer {wafer.name or position} has a position")
    x, y, fails = (np.array(column) for column in zip(*wafer.parts, strict=True))
    height, width = int(np.ptp(y)) + 1, int(np.ptp(x)) + 1
    check_shape(height, width, limits.max_dies)
    column = x.max() - x if layout.get("POS_X") == "L" else x - x.min()
    row = y - y.min() if layout.get("POS_Y") == "D" else y.max() - y
    status = np.zeros((height, width), dtype=np.uint8)
    # The last of the assignments to one place is the one that stays, which is the last test of a die.
    status[row, column] = np.where(fails, FAIL, PASS)
    unit = _UNIT_MM.get(layout.get("WF_UNITS", 0))
    pitch, diameter = None, None
    if unit is not None:
        pitch = (layout["DIE_WID"] * unit, layout["DIE_HT"] * unit)
        pitch = pitch if min(pitch) > 0 else None
        diameter = layout["WAFR_SIZ"] * unit or None
    retests = len(wafer.parts) - int((status != 0).sum())
    notes = tuple(
        note
        for note, holds in (
            (f"{retests} dies were tested again; the last result counts", retests),
            (f"{wafer.without_position} results without a position were left out", wafer.without_position),
            ("the wafer is not finished in the file (no WRR)", not wafer.finished),
        )
        if holds
    )
    return die_map(
        status,
        source=source,
        position=position,
        notch=_FLAT.get(str(layout.get("WF_FLAT", "D")).upper(), "down"),
        pitch_mm=pitch,
        diameter_mm=diameter,
        notes=notes,
        lot=str(master.get("LOT_ID", "")),
        wafer=wafer.name,
        step=str(master.get("TEST_COD", "")),
        device=str(master.get("PART_TYP", "")),
        tool=str(master.get("NODE_NAM", "")),
        timestamp=datetime.fromtimestamp(wafer.started, UTC).replace(tzinfo=None) if wafer.started else None,
    )
