"""What a run that has ended shows in the terminal: its rows, what failed, and notes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.common.runs import ROWS
from suite import terminal

if TYPE_CHECKING:
    from pipelines.common.summary import RunSummary

MAX_LISTED = 20  # failures, and notes


def rows(out: Path) -> Iterator[dict[str, Any]]:
    """The rows of the run in the folder `out`, one at a time."""
    with (out / ROWS).open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def print_json(summary: RunSummary, **more: Any) -> None:
    """A run with its rows as one JSON document. more: further keys of it."""
    terminal.print_json(
        {
            "out": str(summary.out),
            "report": str(summary.report),
            "seconds": round(summary.seconds, 3),
            "counts": summary.counts,
            **more,
            "results": list(rows(summary.out)),
        }
    )


def print_failures(out: Path) -> None:
    """The first reasons of what failed, as errors, and how many more there are."""
    failed = [row for row in rows(out) if row["status"] != "ok"]
    for row in failed[:MAX_LISTED]:
        terminal.error(f"{row['source']}: {row['error']}")
    if len(failed) > MAX_LISTED:
        terminal.error(f"and {len(failed) - MAX_LISTED:,} more, in results.csv")


def print_notes(notes: Sequence[str], quiet: bool) -> None:
    """The first notes, and how many more there are."""
    for text in notes[:MAX_LISTED]:
        terminal.note(text, quiet)
    if len(notes) > MAX_LISTED:
        terminal.note(f"and {len(notes) - MAX_LISTED:,} more, in the report", quiet)
