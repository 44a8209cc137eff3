"""Tables for spreadsheets, as CSV. Cells hold texts from files of others, and none of them becomes a formula.

A text that begins with `=`, `+`, `-`, `@` in either width, a tab or a return gets an apostrophe before it, as
spreadsheets themselves mark a text; numbers stay numbers. Where lists are separated by `;` or by tabs, a
spreadsheet divides a cell there, whatever quotes are around it, and ends its row at a line break; so what
follows one of these within a text is marked alike. `plain` takes all of these apostrophes away again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

# What stands before a sign that begins a formula: at the start, or after what may divide a cell, where quotes
# can go by unseen. Its last apostrophe, if it has any, is the mark.
_BEFORE_FORMULA = re.compile(r"""(?:^'*|(?<=[;\t\r\n])"*'*)(?=[=+\-@\t\r＝＋－＠])""")
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
    return text if _is_number(text) else _BEFORE_FORMULA.sub(lambda before: before[0] + "'", text)


def plain(text: str) -> str:
    """The text of a cell that `safe` wrote."""
    return _BEFORE_FORMULA.sub(lambda before: before[0].removesuffix("'"), text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not text[:1].isspace()
