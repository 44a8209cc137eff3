"""KLARF 1.8: nested records of fields and lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..limits import Limits
from ..record import FailedMap, WaferFileError, WaferMap
from .cells import DefectTable, join, table_of_closed_rows
from .geometry import DieIndices, RawWafer, wafer_map
from .header import NANOMETRES, READ, header
from .numbers import die_indices
from .tree import Problem, Record, Table, parse

MAX_WAFERS = 10_000
NAMED_BY = {"lotrecord": "lotid", "waferrecord": "waferid"}
# These may stand after the wafers; without them a file that is cut short cannot place its defects.
OF_THE_LOT = {
    "diepitch": "DiePitch",
    "samplesize": "SampleSize",
    "orientationmarklocation": "OrientationMarkLocation",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """What a wafer inherits from the records around it."""

    fields: dict[str, list[str]]
    plan: DieIndices | None
    closed: bool
    notes: tuple[str, ...]

    def within(self, data: bytes, record: Record) -> _Context:
        notes: list[str] = []
        plan = _plan(data, record, notes)
        fields = self.fields | {name: record.fields[name] for name in READ if name in record.fields}
        if record.ident and (name := NAMED_BY.get(record.kind)):
            fields[name] = [record.ident]
        return _Context(
            fields, self.plan if plan is None else plan, self.closed and record.closed, (*self.notes, *notes)
        )


def read(data: bytes, source: Path, limits: Limits) -> Iterator[WaferMap | FailedMap]:
    """The wafers of a KLARF 1.8 file; see the package for what is raised."""
    root, problem = parse(data)
    position = 0
    for context, wafer in _wafers(data, root, _Context({}, None, True, ())):
        if position >= MAX_WAFERS:
            raise WaferFileError(
                f"the file has more than {MAX_WAFERS:,} wafers, which is the most that is read"
            )
        try:
            raw = _raw(data, context, wafer, problem, limits.max_defects)
            yield wafer_map(raw, NANOMETRES, source, position, limits.max_dies)
        except WaferFileError as error:
            named = f"wafer {wafer.ident[:100]!r}: " if wafer.ident else ""
            yield FailedMap(source, position, f"{named}{error}")
        position += 1
    if position == 0:
        raise WaferFileError(problem.text if problem else "the KLARF file holds no WaferRecord")
    if problem and problem.fatal:
        yield FailedMap(source, position, f"{problem.text}; what follows was not read")


def _wafers(data: bytes, record: Record, context: _Context) -> Iterator[tuple[_Context, Record]]:
    if not record.records:
        return
    context = context.within(data, record)
    for child in record.records:
        if child.kind == "waferrecord":
            yield context.within(data, child), child
        else:
            yield from _wafers(data, child, context)


def _raw(
    data: bytes, context: _Context, wafer: Record, problem: Problem | None, max_defects: int
) -> RawWafer:
    notes = list(context.notes)
    lists = wafer.tables_named("defectlist")
    if problem and not context.closed:
        if not all(table.closed for table in lists) or (not wafer.closed and not lists):
            raise WaferFileError(f"its defect list is not whole: {problem.text}")
        missing = [shown for name, shown in OF_THE_LOT.items() if name not in context.fields]
        if missing:
            raise WaferFileError(f"{' and '.join(missing)} of its lot are missing: {problem.text}")
        notes.append(problem.text)
    declared = _declared(data, wafer)
    if not lists:
        if declared != 0:
            raise WaferFileError("it has no DefectList")
        notes.append("the file has no DefectList, and its summary counts no defects")
    parts = []
    for table in lists:
        part = _defects(data, table, max_defects)
        parts.append(part)
        if table.declared != str(part.rows):
            notes.append(
                f"DefectList announces {table.declared[:20] or 'no number of'} rows, and has {part.rows}"
            )
        if table.declared_columns != str(len(table.columns)):
            notes.append(
                f"DefectList announces {table.declared_columns[:20]} columns, and has {len(table.columns)}"
            )
    columns = tuple(name for table in lists for name in table.columns)
    defects = join(parts, max_defects)
    return RawWafer(
        header(context.fields, NANOMETRES), defects, columns, context.plan, declared, tuple(notes)
    )


def _defects(data: bytes, table: Table, max_defects: int) -> DefectTable:
    body = data[table.start : table.end]
    if not body.strip(b" \t\r\n;"):
        return DefectTable(0, {})
    return table_of_closed_rows(body, table.columns, max_defects)


def _plan(data: bytes, record: Record, notes: list[str]) -> DieIndices | None:
    """The inspected dies (P, 2) of all tests of a record, its wafers left out."""
    plans = []
    for table in record.tables_named("sampletestplanlist"):
        cells = data[table.start : table.end].replace(b";", b" ").split()
        indices = (
            die_indices(cells)
            if table.columns[:2] == ("XINDEX", "YINDEX") and len(table.columns) == 2
            else None
        )
        if indices is None:
            notes.append("SampleTestPlanList is no list of pairs of whole numbers and was left out")
        else:
            plans.append(indices)
    return np.concatenate(plans) if plans else None


def _declared(data: bytes, wafer: Record) -> float | None:
    """How many defects the summary counts, over all tests."""
    total: float | None = None
    for table in wafer.tables_named("testsummarylist"):
        cells = data[table.start : table.end].replace(b";", b" ").split()
        if "NDEFECT" not in table.columns or len(cells) % len(table.columns):
            continue
        try:
            numbers = [float(cell) for cell in cells[table.columns.index("NDEFECT") :: len(table.columns)]]
        except ValueError:
            continue
        if np.isfinite(numbers).all():
            total = (total or 0.0) + sum(numbers)
    return total
