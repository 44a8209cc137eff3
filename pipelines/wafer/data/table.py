"""Tables of defects, or of dies with their results, as text with a header (CSV).

Columns are found by their names: x and y with the unit in the name (`x_mm`, `X(um)`, `y [nm]`), optionally
lot, wafer, slot, step, device, tool and diameter, in any order, among any others. Rows of the same lot,
wafer and so on are one wafer. A table with a column of bins or of pass and fail, and x and y without a
unit, is one of dies. x points to the right and y up, from the wafer's centre and with the notch down; only
where the columns are called row and column, rows count from the top.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, repeat
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .columns import Columns, parse_header
from .dies import ASSUMED_DIAMETER_MM, check_shape, die_map
from .limits import DEFAULT, Limits, raise_it
from .record import FAIL, PASS, FailedMap, WaferFileError, WaferMap
from .text import MAX_LINES, decode_head, diameter_mm, lines, number

MAX_WAFERS: Final = 10_000
_BLOCK: Final = 50_000  # rows held as text at a time
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
_GOOD: Final = frozenset({"1", "1.0", "p", "pass", "passed", "good", "true"})


def looks_like(head: bytes) -> bool:
    try:
        return parse_header(_header_line(iter(decode_head(head).splitlines()))) is not None
    except WaferFileError:
        return True  # the header names x and y, and what is wrong is said when the file is read


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """Every wafer of the table in the order in which they first appear."""
    text = lines(data, limits.max_defects + MAX_LINES)
    columns = parse_header(_header_line(text))
    if columns is None:
        raise WaferFileError("the header names no x and y")
    table = _parse(text, columns, limits.max_defects)
    counted = all(bool((values[np.isfinite(values)] % 1 == 0).all()) for values in (table.x, table.y))
    are_dies = columns.dies or (columns.dies is None and counted)
    make = partial(_dies, max_dies=limits.max_dies) if are_dies else _defects
    order = np.argsort(table.wafer, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(table.wafer[order])) + 1)
    for position, (part, key) in enumerate(zip(parts, table.keys, strict=True)):
        stated = dict(zip(_key_names(columns), key, strict=True))
        try:
            yield make(table, part, stated, columns, source, position)
        except WaferFileError as error:
            yield FailedMap(source, position, str(error))


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of a file.

    x, y: float64 (N,), NaN where missing. fails: bool (N,), whether a die fails.
    wafer: int64 (N,), the index in `keys`, which holds the texts that tell wafers apart.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    fails: NDArray[np.bool_]
    wafer: NDArray[np.int64]
    keys: list[tuple[str, ...]]


def _header_line(text: Iterator[str]) -> str:
    """The first line that is neither empty nor a comment; the lines after it remain."""
    stripped = (line.strip("\r\n \ufeff") for line in text)
    return next((line for line in stripped if line and not line.startswith("#")), "")


def _key_names(columns: Columns) -> list[str]:
    return [*columns.texts, *(["diameter"] if columns.diameter is not None else [])]


def _parse(text: Iterator[str], columns: Columns, max_defects: int) -> _Table:
    places = [columns.x, columns.y, columns.x if columns.result is None else columns.result]
    places += [*columns.texts.values(), *([] if columns.diameter is None else [columns.diameter])]
    # A comma is the decimal mark where a semicolon parts the cells.
    decimal = "," if columns.delimiter == ";" else "."
    wafers: defaultdict[tuple[str, ...], int] = defaultdict()
    wafers.default_factory = wafers.__len__
    blocks: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]] = []
    count = 0
    rows = _picked(csv.reader(text, delimiter=columns.delimiter, skipinitialspace=True), places)
    while block := list(islice(rows, _BLOCK)):
        count += len(block)
        if count > max_defects:
            raise WaferFileError(
                f"the table has more than {max_defects:,} rows, which is the most that is read: "
                f"{raise_it('max_defects')}"
            )
        x, y, result, *texts = zip(*block, strict=True)
        fails = [cell.strip().lower() not in _GOOD for cell in result] if columns.result is not None else 0
        keys = zip(*(map(str.strip, column) for column in texts), strict=True) if texts else repeat(())
        index = np.fromiter(map(wafers.__getitem__, islice(keys, len(block))), np.int64, len(block))
        if len(wafers) > MAX_WAFERS:
            raise WaferFileError(f"the table has more than {MAX_WAFERS:,} wafers")
        failing = np.broadcast_to(np.array(fails, dtype=bool), len(block))
        blocks.append((_numbers(x, decimal), _numbers(y, decimal), failing, index))
    if not blocks:
        raise WaferFileError("the table has a header but no rows: was a wafer inspected or not?")
    joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    return _Table(joined[0], joined[1], joined[2], joined[3], list(wafers))


def _picked(rows: Iterator[list[str]], places: list[int]) -> Iterator[tuple[str, ...]]:
    """The cells at these places of each row that is not empty; the others are not kept."""
    pick, needed = itemgetter(*places), max(places) + 1
    count = 0
    try:
        for row in rows:
            if not row:
                continue
            count += 1
            if len(row) < needed:
                raise WaferFileError(f"row {count} has {len(row)} cells; {needed} are needed")
            yield pick(row)
    except csv.Error as error:
        raise WaferFileError(f"row {count + 1} cannot be read: {error}") from error


def _numbers(cells: Sequence[str], decimal: str) -> NDArray[np.float64]:
    if decimal == ",":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        filled = ["nan" if cell.strip().lower() in _MISSING else cell for cell in cells]
        return np.fromiter(
            (number(c, "x and y") if c != "nan" else np.nan for c in filled), np.float64, len(cells)
        )


def _names(key: dict[str, str], columns: Columns) -> tuple[dict[str, Any], float | None, tuple[str, ...]]:
    """Lot and so on, the diameter in mm if it is stated, and notes."""
    texts: dict[str, Any] = {name: value for name, value in key.items() if name != "diameter"}
    stated = key.get("diameter", "")
    if columns.diameter_unit_mm is not None and stated:
        return texts, number(stated, "the diameter") * columns.diameter_unit_mm, ()
    return texts, *diameter_mm(stated, "the diameter")


def _positions(table: _Table, part: NDArray[np.int64]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The rows of a wafer that have a position, and a note on those that have none."""
    known = ~(np.isnan(table.x[part]) | np.isnan(table.y[part]))
    missing = len(part) - int(known.sum())
    return part[known], (f"{missing} rows without a position were left out",) if missing else ()


def _defects(
    table: _Table, part: NDArray[np.int64], key: dict[str, str], columns: Columns, source: Path, position: int
) -> WaferMap:
    texts, diameter, notes = _names(key, columns)
    rows, missing = _positions(table, part)
    defects = np.stack([table.x[rows], table.y[rows]], axis=1)
    unit = columns.unit_mm
    if unit is None:
        reach = float(np.abs(defects).max(initial=0.0))
        unit, name = (1.0, "mm") if reach <= 300 else (1e-3, "um") if reach <= 300e3 else (1e-6, "nm")
        notes += (f"the header states no unit: {name} was taken",)
    assumed = diameter is None
    diameter = ASSUMED_DIAMETER_MM if diameter is None else diameter
    defects = defects * unit
    outside = int((np.hypot(*defects.T) > diameter / 2).sum())
    if outside:
        notes += (f"{outside} defects lie outside a wafer of {diameter:g} mm",)
    return WaferMap(
        source=source,
        position=position,
        defects=defects,
        source_rows=rows,
        diameter_mm=diameter,
        die_level=False,
        diameter_assumed=assumed,
        unplaced=len(part) - len(rows),
        notes=notes + missing,
        **texts,
    )


def _dies(
    table: _Table,
    part: NDArray[np.int64],
    key: dict[str, str],
    columns: Columns,
    source: Path,
    position: int,
    *,
    max_dies: int,
) -> WaferMap:
    texts, diameter, notes = _names(key, columns)
    rows, missing = _positions(table, part)
    x, y = table.x[rows], table.y[rows]
    if not len(rows):
        raise WaferFileError("no die of this wafer has a position")
    if not (np.isfinite([x, y]).all() and (x % 1 == 0).all() and (y % 1 == 0).all()):
        raise WaferFileError("dies are counted in whole numbers; for positions, state a unit as in x_mm")
    width, height = float(np.ptp(x)) + 1, float(np.ptp(y)) + 1
    check_shape(int(height), int(width), max_dies)
    column = (x - x.min()).astype(np.int64)
    row = ((y - y.min()) if columns.rows_down else (y.max() - y)).astype(np.int64)
    status = np.zeros((int(height), int(width)), dtype=np.uint8)
    row_of = np.zeros(status.shape, dtype=np.int64)
    # A die that is there twice was tested again: of the assignments to one place the last one stays.
    status[row, column] = np.where(table.fails[rows], FAIL, PASS)
    row_of[row, column] = rows
    wafer = die_map(
        status, source=source, position=position, diameter_mm=diameter, notes=notes + missing, **texts
    )
    return replace(wafer, source_rows=row_of.reshape(-1)[wafer.source_rows])
