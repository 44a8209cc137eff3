"""Rows of a defect list as numbers, parsed in bulk: no Python loop over defects in the common case.

Only the columns that place a defect are turned into numbers; the rest may hold any text. A list is worked
through in chunks, so that memory follows the number of defects and not the number of columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..limits import raise_it
from ..record import WaferFileError
from .lexer import QUOTED
from .numbers import MAX_DIE_INDEX, MISSING, NEWLINE, SEMICOLON, Bytes, Offsets, numbers, shown, spans

POSITION_COLUMNS = ("XREL", "YREL", "XINDEX", "YINDEX", "X", "Y")
INDEX_COLUMNS = ("XINDEX", "YINDEX")
MAX_COLUMNS = 1_000
MAX_IMAGES_PER_DEFECT = 10_000
CHUNK_BYTES = 1 << 22

PLAIN_WORD = re.compile(rb"[^\s;{}\"]+")
FILE_NAME_LINE = re.compile(rb"(?mi)^[ \t]*(?:Tiff)?FileName[ \t][^\n]*$")
IMAGES_CELL = re.compile(rb"(?i)\bImages\s+\d+\s*\{[^{}]*\}")

Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class DefectTable:
    """The columns that place the defects of one wafer, in the file's units.

    columns: float64 (rows,) each, of those in POSITION_COLUMNS that the file has; NaN where a cell is NA.
    """

    rows: int
    columns: Columns


def join(parts: Sequence[DefectTable], max_defects: int) -> DefectTable:
    """One table of several lists of one wafer; only columns that all of them have are kept.

    Raises WaferFileError where they have more than `max_defects` rows together.
    """
    _check_number(sum(part.rows for part in parts), max_defects)
    filled = [part for part in parts if part.rows]
    names = [name for name in POSITION_COLUMNS if filled and all(name in part.columns for part in filled)]
    columns = {name: np.concatenate([part.columns[name] for part in filled]) for name in names}
    return DefectTable(sum(part.rows for part in filled), columns)


def check_columns(names: Sequence[str]) -> None:
    """Raise where a list of columns cannot be used."""
    if not names:
        raise WaferFileError("the defect list names no columns")
    if len(names) > MAX_COLUMNS:
        raise WaferFileError(f"the defect list names {len(names)} columns; at most {MAX_COLUMNS} are read")
    for name in POSITION_COLUMNS:
        if names.count(name) > 1:
            raise WaferFileError(f"the column {name} is named {names.count(name)} times")


def table_of_counted_rows(body: bytes, names: Sequence[str], max_defects: int) -> DefectTable:
    """Rows of KLARF 1.x, at most `max_defects`, which end where all columns are filled. Raises
    WaferFileError.

    IMAGELIST is a count followed by that many pairs, wherever the lines end. FILENAME lines are left out.
    """
    check_columns(names)
    body = FILE_NAME_LINE.sub(b"", _unquoted(body))
    width = len(names)
    image = names.index("IMAGELIST") if "IMAGELIST" in names else None
    parts: list[DefectTable] = []
    rows, rest = 0, b""
    for chunk, last in _chunks(body, b"\n"):
        text = rest + chunk
        array = np.frombuffer(text, dtype=np.uint8)
        starts, ends = spans(array)
        if image is None:
            _check_lines(array, starts, width, rows)
        firsts, extras = _row_starts(text, starts, ends, width, image, rows)
        used = int(firsts[-1] + width + extras[-1]) if len(firsts) else 0
        rest = text[starts[used] :] if used < len(starts) else b""
        if last and (left := len(starts) - used):
            raise WaferFileError(
                f"the defect list does not fit the {width} columns that DefectRecordSpec names: "
                f"{left} value{'s are' if left > 1 else ' is'} left over after row {rows + len(firsts)}"
            )
        if len(rest) > CHUNK_BYTES:
            raise WaferFileError(
                f"row {rows + len(firsts) + 1} of the defect list has more than {CHUNK_BYTES:,} bytes"
            )
        cells = {
            name: firsts + column + (extras if image is not None and column > image else 0)
            for column, name in enumerate(names)
            if name in POSITION_COLUMNS
        }
        parts.append(_table(array, starts, ends, cells, len(firsts), rows))
        rows += len(firsts)
        _check_number(rows, max_defects)
    return join(parts, max_defects)


def table_of_closed_rows(body: bytes, names: Sequence[str], max_defects: int) -> DefectTable:
    """Rows of KLARF 1.8, at most `max_defects`, each closed by a ";". An image list counts as one cell.
    Raises WaferFileError.
    """
    check_columns(names)
    body = _unquoted(body)
    if b"{" in body:
        body = IMAGES_CELL.sub(b" N ", body)
    width = len(names)
    parts: list[DefectTable] = []
    rows = 0
    for text, _ in _chunks(body, b";"):
        array = np.frombuffer(text, dtype=np.uint8)
        starts, ends = spans(array)
        row_of = np.cumsum(array == SEMICOLON)[starts]
        counts = np.bincount(row_of)
        counts = counts[counts > 0]
        wrong = np.flatnonzero(counts != width)
        if len(wrong):
            raise WaferFileError(
                f"row {rows + int(wrong[0]) + 1} of the defect list holds {counts[wrong[0]]} values "
                f"where {width} columns are named"
            )
        firsts = np.arange(len(counts), dtype=np.int64) * width
        cells = {name: firsts + column for column, name in enumerate(names) if name in POSITION_COLUMNS}
        parts.append(_table(array, starts, ends, cells, len(counts), rows))
        rows += len(counts)
        _check_number(rows, max_defects)
    return join(parts, max_defects)


def _unquoted(body: bytes) -> bytes:
    """Quoted cells as single bare words, so that a blank or a ";" always separates."""
    return QUOTED.sub(_bare, body) if b'"' in body else body


def _bare(quoted: re.Match[bytes]) -> bytes:
    inner = quoted.group()[1:-1]
    return b" %b " % inner if PLAIN_WORD.fullmatch(inner) else b" text "


def _chunks(body: bytes, separator: bytes) -> Iterator[tuple[bytes, bool]]:
    """Pieces of about CHUNK_BYTES, each cut after a separator if there is one, and whether it is the last."""
    at = 0
    while at < len(body):
        end = at + CHUNK_BYTES
        if end < len(body):
            cut = body.rfind(separator, at, end)
            if cut < 0:
                cut = body.find(separator, end)
            end = cut + 1 if cut >= 0 else len(body)
        yield body[at:end], end >= len(body)
        at = end


def _check_lines(array: Bytes, starts: Offsets, width: int, before: int) -> None:
    """Raise if the list is written one row a line, and a line has too few or too many values."""
    line_of = np.cumsum(array == NEWLINE)[starts]
    counts = np.bincount(line_of)
    counts = counts[counts > 0]
    if not len(counts) or (len(counts) * width != len(starts) and np.bincount(counts).argmax() != width):
        return
    row_starts = np.arange(width, len(starts), width)
    if len(starts) % width == 0 and (line_of[row_starts] > line_of[row_starts - 1]).all():
        return
    wrong = int(np.flatnonzero(counts != width)[0])
    raise WaferFileError(
        f"row {before + wrong + 1} of the defect list holds {counts[wrong]} values "
        f"where DefectRecordSpec names {width} columns"
    )


def _row_starts(
    text: bytes, starts: Offsets, ends: Offsets, width: int, image: int | None, before: int
) -> tuple[Offsets, Offsets]:
    """The word that each complete row starts with, and how many words its image list adds."""
    firsts = np.arange(len(starts) // width, dtype=np.int64) * width
    if image is None:
        return firsts, np.zeros_like(firsts)
    begin, end = starts.tolist(), ends.tolist()
    found: list[int] = []
    extras: list[int] = []
    at, words = 0, len(begin)
    while at + width <= words:
        cell = text[begin[at + image] : end[at + image]]
        pairs = (
            int(cell) if cell.isdigit() and len(cell) < 7 else 0 if cell in MISSING or cell == b"N" else -1
        )
        if not 0 <= pairs <= MAX_IMAGES_PER_DEFECT:
            raise WaferFileError(
                f"row {before + len(found) + 1} of the defect list: IMAGELIST starts with its count, "
                f"not with {shown(cell)}"
            )
        if at + width + 2 * pairs > words:
            break
        found.append(at)
        extras.append(2 * pairs)
        at += width + 2 * pairs
    return np.array(found, dtype=np.int64), np.array(extras, dtype=np.int64)


def _table(
    array: Bytes, starts: Offsets, ends: Offsets, cells: dict[str, Offsets], rows: int, before: int
) -> DefectTable:
    columns: Columns = {}
    for name, at in cells.items():
        values = numbers(array, starts[at], ends[at], name, before)
        if name in INDEX_COLUMNS:
            wrong = np.flatnonzero(
                (values != np.rint(values)) & ~np.isnan(values) | (np.abs(values) > MAX_DIE_INDEX)
            )
            if len(wrong):
                raise WaferFileError(
                    f"row {before + int(wrong[0]) + 1} of the defect list: "
                    f"{name} must be a whole number of dies, not {values[wrong[0]]:g}"
                )
        columns[name] = values
    return DefectTable(rows, columns)


def _check_number(rows: int, max_defects: int) -> None:
    if rows > max_defects:
        raise WaferFileError(
            f"a wafer lists more than {max_defects:,} defects, which is the most that is read: "
            f"{raise_it('max_defects')}"
        )
