"""What a run that has ended shows in the terminal: its rows, what failed, and notes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

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


def print_where(report: Path, run: Path | None) -> None:
    """Where the report is, and how to review the run. run: None if nothing of it can be reviewed."""
    typer.echo(f"Report: {terminal.printable(str(report))}")
    if run is not None:
        typer.echo(terminal.printable(f"Review: {terminal.called()} review {shlex.quote(str(run))}"))


def print_model(model: Path, use: str, option: str = "--model") -> None:
    """Where a new model is, and the command that takes it. use: that command without its option."""
    typer.echo(f"Model: {terminal.printable(str(model))}")
    typer.echo(terminal.printable(f"Use it: {terminal.called()} {use} {option} {shlex.quote(str(model))}"))


def skipped(number: int, being: str = "") -> str:
    """How many files were skipped, after a comma; nothing if there are none. being: why."""
    if not number:
        return ""
    return f", {number:,} {'file' if number == 1 else 'files'} skipped" + (
        f", being {being}" if being else ""
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
