"""Tables for spreadsheets, as CSV. Cells hold texts from files of others, and none of them becomes a formula.

A text that begins with `=`, `+`, `-`, `@`, a tab or a return gets an apostrophe before it, as spreadsheets
themselves mark a text; numbers stay numbers. `plain` takes it away again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_SPECIAL = re.compile(r'[",\r\n]')


class Table:
    """Writes rows of these columns, and the header at once; what else a row has is left out."""

    def __init__(self, file: IO[str], columns: Sequence[str]) -> None:
        self._file, self._columns = file, tuple(columns)
        self._write(self._columns)

    def writerow(self, row: Mapping[str, Any]) -> None:
        """Add a row; a column that it lacks is empty."""
        self._write(row.get(name) for name in self._columns)

    def writerows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows."""
        for row in rows:
            self.writerow(row)

    def _write(self, cells: Iterable[Any]) -> None:
        # Not by the module csv, which leaves a return unquoted, so that a row would be read as two.
        self._file.write(",".join(_quoted(str(safe(cell))) for cell in cells) + "\n")


def safe(value: Any) -> Any:
    """The value of a cell, so that no spreadsheet takes a text for a formula. None is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def plain(text: str) -> str:
    """The text of a cell that `safe` wrote."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not text[:1].isspace()
