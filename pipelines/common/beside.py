"""Two files whose lines go together, from which lines are taken out so that a kill never parts the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pipelines.common.files import sync_folder


def keep_lines(rows: Path, companions: Path, keep: Callable[[bytes], bool]) -> int:
    """Take out the lines of `rows` that are not to be kept, and those at their places in `companions`.

    Returns how many. A last line of `rows` that is torn goes too.
    Both are written anew beside the old ones. Until the new rows take their place nothing has happened, and
    from then on everything: `settle` completes either after a kill.
    """
    settle(rows, companions)
    removed = 0
    new_rows, new_companions = _beside(rows), _beside(companions)
    with (
        new_rows.open("wb") as kept_rows,  # there before the other, which says that nothing is decided yet
        new_companions.open("wb") as kept_companions,
        rows.open("rb") as old_rows,
        companions.open("rb") as old_companions,
    ):
        for row, companion in zip(old_rows, old_companions, strict=False):
            if not row.endswith(b"\n") or not companion.endswith(b"\n"):
                break
            if keep(row):
                kept_rows.write(row)
                kept_companions.write(companion)
            else:
                removed += 1
        for file in (kept_companions, kept_rows):
            file.flush()
            os.fsync(file.fileno())
    new_rows.replace(rows)
    sync_folder(rows.parent)
    new_companions.replace(companions)
    return removed


def settle(rows: Path, companions: Path) -> None:
    """Complete what a kill may have left of `keep_lines`."""
    new_rows, new_companions = _beside(rows), _beside(companions)
    if new_rows.exists():
        new_companions.unlink(missing_ok=True)
        new_rows.unlink()
    elif new_companions.exists():
        new_companions.replace(companions)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.kept")
