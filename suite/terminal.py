"""What reaches the terminal: results on stdout, progress and messages on stderr.

Names come from files that others wrote, so control characters in them never reach a terminal, where
they could move the cursor, change colours or hide text.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from suite import interrupt

MAX_RICH_ROWS = 200  # rich measures every cell; longer tables are written as plain text, which is quick

MAX_CELL = 60  # characters of a cell; every row of a plain table is as wide as its widest cells
GAP = "..."

# C0 and C1 controls, line and paragraph separators, marks that change the direction of text, lone surrogates.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text with every control character as a visible escape such as `\\x1b`."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def command_line() -> str:
    """The command for a model's card. Going on with `--resume` ends with the same weights as one go."""
    return shlex.join(["suite", *(word for word in sys.argv[1:] if word != "--resume")])


def called() -> str:
    """What to type before a verb: `suite`, or the path that it was called by where it is not on the PATH."""
    by = sys.argv[0]
    return shlex.quote(by) if Path(by).name == "suite" and shutil.which("suite") is None else "suite"


def error(text: str) -> None:
    """Say what went wrong, on stderr; errors are never silent."""
    lines = [printable(line) for line in text.splitlines()]
    sys.stderr.write("error: " + "\n".join(lines) + "\n")


def note(text: str, quiet: bool) -> None:
    """Say on stderr what the results do not show by themselves; not if `quiet`."""
    if not quiet:
        sys.stderr.write("note: " + printable(text) + "\n")


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function that shows how far a command is; it is silent off a terminal, or if `quiet`.

    It raises KeyboardInterrupt if Ctrl-C was pressed and a library kept it to itself.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda text: interrupt.check()
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text("starting")) as status:

        def show(text: str) -> None:
            interrupt.check()
            status.update(Text(printable(text)))

        yield show


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_plan(content: Mapping[str, Any], as_json: bool) -> None:
    """What a command would do, on stdout: as YAML, or as one JSON document."""
    if as_json:
        print_json(content)
        return
    import yaml

    for line in yaml.safe_dump(dict(content), sort_keys=False, default_flow_style=None).splitlines():
        sys.stdout.write(printable(line) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Callable[[], Iterable[Sequence[str]]],
    *,
    right: Sequence[str] = (),
    tone: Callable[[Sequence[str]], str] = lambda row: "",
    count: int | None = None,
) -> None:
    """A table on stdout: in rich's style on a terminal, else in plain columns.

    Long cells lose their middle, but for those of a last column that is set to the left, such as sentences:
    nothing is padded for them.
    rows: called for each pass over the rows, so that a long table need not be held in memory.
    right: the columns that are set to the right, such as numbers.
    tone: the rich style of a row.
    count: how many rows there are, if known to be many.
    """
    last = len(columns) - 1 if columns[-1] not in right else len(columns)

    def shown(row: Sequence[str]) -> list[str]:
        return [cell if place == last else shortened(cell) for place, cell in enumerate(map(printable, row))]

    if sys.stdout.isatty() and (count or 0) <= MAX_RICH_ROWS:
        _print_rich(columns, ((shown(row), tone(row)) for row in rows()), right)
        return
    widths = [0] * len(columns)
    for row in chain([columns], rows()):
        widths = [max(width, len(cell)) for width, cell in zip(widths, shown(row), strict=True)]
    for row in chain([columns], rows()):
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, shown(row), widths, strict=True)
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def shortened(text: str) -> str:
    """The text with at most MAX_CELL characters. The middle goes, as names of files differ at their ends."""
    if len(text) <= MAX_CELL:
        return text
    kept = MAX_CELL - len(GAP)
    return text[: kept // 2] + GAP + text[kept // 2 - kept :]


def _print_rich(
    columns: Sequence[str], rows: Iterable[tuple[Sequence[str], str]], right: Sequence[str]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for cells, style in rows:
        table.add_row(*map(Text, cells), style=style)
    Console().print(table)
