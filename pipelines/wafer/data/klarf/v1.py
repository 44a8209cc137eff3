"""KLARF 1.1 and 1.2: records of words, each closed by a ";"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..limits import Limits
from ..record import FailedMap, WaferFileError, WaferMap
from .cells import DefectTable, join, table_of_counted_rows
from .geometry import DieIndices, RawWafer, wafer_map
from .header import MICROMETRES, READ, header
from .lexer import Statement, statements, words
from .numbers import MAX_DIE_INDEX, die_indices

MAX_WAFERS = 10_000
MAX_PLAN_BYTES = 64 << 20
MAX_HEADER_BYTES = 1 << 16

# Header records. After a defect list they open the next wafer; lists, image names and test records do not.
HEADER = frozenset(
    {
        "filetimestamp",
        "inspectionstationid",
        "sampletype",
        "resulttimestamp",
        "lotid",
        "samplesize",
        "deviceid",
        "setupid",
        "stepid",
        "sampleorientationmarktype",
        "orientationmarklocation",
        "diepitch",
        "dieorigin",
        "waferid",
        "slot",
        "samplecenterlocation",
    }
)
OF_ONE_WAFER = frozenset({"waferid", "slot"})
FILE_NAMES = frozenset({"tifffilename", "filename"})


@dataclass(slots=True)
class _Wafer:
    """What has been read of one wafer. The next inherits what it does not restate, but its name and slot."""

    limits: Limits
    fields: dict[str, list[str]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    plan: DieIndices | None = None
    plan_inherited: bool = False
    removed: DieIndices | None = None
    tables: list[DefectTable] = field(default_factory=list)
    lists: list[bytes] | None = None
    declared: float | None = None
    problem: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        return self.lists is not None or not OF_ONE_WAFER.isdisjoint(self.fields)

    def next(self) -> _Wafer:
        inherited = {name: value for name, value in self.fields.items() if name not in OF_ONE_WAFER}
        return _Wafer(self.limits, inherited, self.columns, self.summary, self.plan, plan_inherited=True)


def read(data: bytes, source: Path, limits: Limits) -> Iterator[WaferMap | FailedMap]:
    """The wafers of a KLARF 1.x file; see the package for what is raised."""
    wafer, position, ended, last = _Wafer(limits), 0, False, ""
    for statement in statements(data):
        name = statement.name
        if ended and name != "fileversion":
            break
        if (
            name == "fileversion"
            or (wafer.lists is not None and name in HEADER)
            or _renamed(wafer, statement)
        ):
            if wafer.begun:
                yield _finish(wafer, source, position, cut=False)
                position += 1
                if position >= MAX_WAFERS:
                    raise WaferFileError(
                        f"the file has more than {MAX_WAFERS:,} wafers, which is the most that is read"
                    )
            wafer, ended = (_Wafer(limits) if name == "fileversion" else wafer.next()), False
        if name == "endoffile":
            ended = True
        elif name or not last:
            _take(wafer, name, statement, more=False)
        else:
            _take(wafer, last, statement, more=True)
        # Rows may go on after the name of an image file.
        last = name if name and name not in FILE_NAMES else last
    if wafer.begun:
        yield _finish(wafer, source, position, cut=not ended)
    elif position == 0:
        raise WaferFileError("the KLARF file holds no wafer: neither a WaferID nor a DefectList")


def _renamed(wafer: _Wafer, statement: Statement) -> bool:
    """Whether another wafer is named while this one has no list yet."""
    known = wafer.fields.get("waferid") if statement.name == "waferid" else None
    return known is not None and words(statement.body) != known


def _take(wafer: _Wafer, name: str, statement: Statement, *, more: bool) -> None:
    """Add one record to the wafer. What is wrong with it becomes the wafer's problem."""
    try:
        if name in READ and statement.closed and not more:
            _check_size(statement, name, MAX_HEADER_BYTES)
            wafer.fields[name] = words(statement.body)
        elif name == "defectlist":
            _take_defects(wafer, statement)
        elif name == "defectrecordspec" and not more:
            _parse_lists(wafer)
            wafer.columns = _names(statement, wafer)
        elif name == "summaryspec" and not more:
            wafer.summary = _names(statement, wafer)
        elif name == "summarylist":
            _take_summary(wafer, statement)
        elif name == "sampletestplan":
            _take_plan(wafer, statement, more)
        elif name == "removeddielist":
            wafer.removed = _pairs(statement, wafer, name)
    except WaferFileError as error:
        wafer.problem = wafer.problem or str(error)


def _check_size(statement: Statement, name: str, limit: int) -> None:
    if len(statement.body) > limit:
        raise WaferFileError(f"the record {name} is longer than {limit:,} bytes; its ';' may be missing")


def _take_defects(wafer: _Wafer, statement: Statement) -> None:
    wafer.lists = wafer.lists or []
    if statement.runs_over:
        wafer.notes.append("a defect list is not closed by a ';'")
    elif not statement.closed:
        raise WaferFileError("the file ends in the middle of the defect list")
    if not statement.body.strip(b" \t\r\n;"):
        return
    if not wafer.columns:
        raise WaferFileError("the defect list has no DefectRecordSpec before it that names its columns")
    wafer.lists.append(statement.body)


def _parse_lists(wafer: _Wafer) -> None:
    """Parse the lists at once: some tools write one for every defect."""
    if wafer.lists:
        body = b"\n".join(wafer.lists)
        wafer.tables.append(table_of_counted_rows(body, wafer.columns, wafer.limits.max_defects))
        wafer.lists = []


def _names(statement: Statement, wafer: _Wafer) -> tuple[str, ...]:
    _check_size(statement, statement.name, MAX_HEADER_BYTES)
    count, *names = words(statement.body) or ["0"]
    if not count.isdigit():
        count, names = "", [count, *names]
    if statement.name == "defectrecordspec" and count != str(len(names)):
        wafer.notes.append(
            f"DefectRecordSpec announces {count or 'no number of'} columns and names {len(names)}"
        )
    return tuple(name.upper() for name in names)


def _take_summary(wafer: _Wafer, statement: Statement) -> None:
    """The number of defects, over all tests."""
    if "NDEFECT" not in wafer.summary or len(statement.body) > MAX_HEADER_BYTES:
        return
    cells = words(statement.body)
    if not cells or len(cells) % len(wafer.summary):
        return
    try:
        numbers = [float(cell) for cell in cells[wafer.summary.index("NDEFECT") :: len(wafer.summary)]]
    except ValueError:
        return
    if np.isfinite(numbers).all():
        wafer.declared = (wafer.declared or 0.0) + sum(numbers)


def _take_plan(wafer: _Wafer, statement: Statement, more: bool) -> None:
    pairs = _pairs(statement, wafer, "sampletestplan")
    if pairs is None:
        return
    if wafer.plan is None or (wafer.plan_inherited and not more):
        wafer.plan = pairs
    else:
        wafer.plan = np.concatenate([wafer.plan, pairs])
    wafer.plan_inherited = False


def _pairs(statement: Statement, wafer: _Wafer, name: str) -> DieIndices | None:
    """Die indices (P, 2) from a counted list of pairs, or None where they are none."""
    _check_size(statement, name, MAX_PLAN_BYTES)
    cells = statement.body.replace(b";", b" ").split()
    count = cells.pop(0) if len(cells) % 2 else None
    values = die_indices(cells)
    if values is None:
        wafer.notes.append(f"{name} is no list of pairs of whole numbers and was left out")
        return None
    if count is not None and count != b"%d" % len(values):
        wafer.notes.append(f"{name} announces {count[:20].decode('latin-1')} dies and lists {len(values)}")
    return values


def _finish(wafer: _Wafer, source: Path, position: int, *, cut: bool) -> WaferMap | FailedMap:
    try:
        if wafer.problem:
            raise WaferFileError(wafer.problem)
        head = header(wafer.fields, MICROMETRES)
        notes = [*wafer.notes, *(["the file has no EndOfFile: its end may be missing"] if cut else [])]
        if wafer.lists is None:
            # A summary of no defects is as good as an empty list.
            if wafer.declared != 0:
                raise WaferFileError(
                    "it is named, but the file has no DefectList for it" + (" before it ends" if cut else "")
                )
            notes.append("the file has no DefectList, and its summary counts no defects")
        _parse_lists(wafer)
        defects = join(wafer.tables, wafer.limits.max_defects)
        raw = RawWafer(head, defects, wafer.columns, _inspected(wafer), wafer.declared, tuple(notes))
        return wafer_map(raw, MICROMETRES, source, position, wafer.limits.max_dies)
    except WaferFileError as error:
        named = " ".join(wafer.fields.get("waferid", [])[:1])[:100]
        return FailedMap(source, position, f"wafer {named!r}: {error}" if named else str(error))


def _inspected(wafer: _Wafer) -> DieIndices | None:
    if wafer.plan is None or wafer.removed is None:
        return wafer.plan
    return wafer.plan[~np.isin(_keys(wafer.plan), _keys(wafer.removed))]


def _keys(pairs: DieIndices) -> DieIndices:
    return pairs[:, 0] * (4 * MAX_DIE_INDEX) + pairs[:, 1]
