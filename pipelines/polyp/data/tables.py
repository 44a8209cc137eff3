"""Tables of polyps: CSV, and Excel's .xlsx as far as a plain table goes."""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from pipelines.common.media.limits import open_file, read_bytes

from .record import PolypError

MAX_BYTES: Final = 256 * 2**20  # of a CSV: one line a frame in a data set of some million frames
MAX_SHEET_BYTES: Final = 16 * 2**20  # of each part of an .xlsx, unpacked
MAX_COLUMNS: Final = 1_000
MAX_DIGITS: Final = 10  # of the number of a shared text
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"

Row = dict[str, str]


def read_table(path: Path) -> tuple[list[Row], list[str]]:
    """Rows by column, and notes. Column names are in small letters, each run of other signs one `_`.

    So `size [mm]` is `size_mm`, and a column without a name `column_3`, if it is the third. Cells are texts
    without blanks at their ends. A line with fewer cells than columns has empty ones at its end; one with
    more is left out with a note. Raises PolypError with the path.
    """
    try:
        lines = _xlsx(path) if path.suffix.lower() == ".xlsx" else _csv(path)
        header = next(lines, None)
        if header is None:
            raise PolypError("it has no first line with the names of columns")
        if len(header) > MAX_COLUMNS:
            raise PolypError(f"it has {len(header):,} columns; at most {MAX_COLUMNS:,} are read")
        columns = [_plain(name) or f"column_{number}" for number, name in enumerate(header, start=1)]
        twice = sorted({one for one in columns if columns.count(one) > 1})
        if twice:
            raise PolypError(f"it has two columns called {twice[0]}")
        rows, long = [], 0
        for line in lines:
            cells = [one.strip() for one in line]
            if not any(cells):
                continue
            if any(cells[len(columns) :]):
                long += 1
                continue
            cells += [""] * (len(columns) - len(cells))
            rows.append(dict(zip(columns, cells, strict=False)))
    except PolypError as error:
        raise PolypError(f"{path}: {error}") from error
    notes = [f"{path.name}: {long} lines have more cells than columns, and are left out"] if long else []
    return rows, notes


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def _csv(path: Path) -> Iterator[list[str]]:
    content = read_bytes(path, MAX_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # as Excel writes it
    if "\0" in text:
        raise PolypError("it is no text")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from reader
    except csv.Error as error:
        raise PolypError(f"line {reader.line_num} cannot be read: {error}") from error


def _xlsx(path: Path) -> Iterator[list[str]]:
    with open_file(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                names = archive.namelist()
                sheets = sorted(one for one in names if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", one))
                if not sheets:
                    raise PolypError("it is no Excel table: it has no sheet")
                shared = _shared(_part(archive, "xl/sharedStrings.xml")) if _has_shared(names) else []
                sheet = _part(archive, min(sheets, key=lambda one: (len(one), one)))
        except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, zlib.error) as error:
            raise PolypError(f"it is no Excel table (.xlsx): {error}") from error
    for row in sheet.iter(f"{_MAIN}row"):
        cells: list[str] = []
        for cell in row.iter(f"{_MAIN}c"):
            column = _column(cell.get("r", ""), len(cells))
            if column >= MAX_COLUMNS:
                raise PolypError(f"a line reaches beyond {MAX_COLUMNS:,} columns")
            cells += [""] * (column + 1 - len(cells))
            cells[column] = _text(cell, shared)
        yield cells


def _has_shared(names: list[str]) -> bool:
    return "xl/sharedStrings.xml" in names


def _part(archive: zipfile.ZipFile, name: str) -> Element:
    with archive.open(name) as stream:
        content = stream.read(MAX_SHEET_BYTES + 1)
    if len(content) > MAX_SHEET_BYTES:
        raise PolypError(f"{name} unpacks to more than {MAX_SHEET_BYTES:,} bytes, the most that is read")
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError, LookupError) as error:
        raise PolypError(f"{name} in it is no XML that is read: {error}") from error
    return root


def _shared(root: Element) -> list[str]:
    return ["".join(one.text or "" for one in item.iter(f"{_MAIN}t")) for item in root.iter(f"{_MAIN}si")]


def _column(reference: str, default: int) -> int:
    letters = re.match(r"[A-Z]{1,3}", reference)
    if letters is None:
        return default
    number = 0
    for letter in letters[0]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _text(cell: Element, shared: list[str]) -> str:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return "".join(one.text or "" for one in cell.iter(f"{_MAIN}t"))
    value = cell.findtext(f"{_MAIN}v") or ""
    if kind == "s":
        known = value.isdecimal() and len(value) < MAX_DIGITS
        return shared[int(value)] if known and int(value) < len(shared) else ""
    return value
