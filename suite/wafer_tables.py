"""What `suite wafer` prints on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite import results
from suite.terminal import print_table, printable

if TYPE_CHECKING:
    from pipelines.wafer.classify import RunSummary

COLUMNS = ("lot", "wafer", "slot", "defects", "class", "probability", "novelty", "threshold", "decision")
NUMBERS = ("slot", "defects", "probability", "novelty", "threshold")
TONES = {"novel": "bold dark_orange", "failed": "red", "normal": "dim"}
MAX_FAILURES = 20
Row = Mapping[str, Any]


def print_run(summary: RunSummary, klarf: Path | None) -> None:
    """One row per wafer, the reasons of what failed, and the counts."""
    print_table(
        COLUMNS,
        lambda: map(_cells, results.rows(summary.out)),
        right=NUMBERS,
        tone=lambda cells: TONES.get(cells[-1], ""),
        count=summary.counts["maps"],
    )
    _print_failures(summary)
    sys.stdout.write("\n" + printable(_counts(summary)) + "\n")
    if alarms := summary.counts["alarms"]:
        sys.stdout.write(f"Alarm: {alarms:,} of them are what --alarm-on names\n")
    results.print_where(summary.report, summary.out if summary.counts["ok"] else None)
    if klarf is not None:
        sys.stdout.write(f"KLARF: {printable(str(klarf))}\n")


def print_run_json(summary: RunSummary) -> None:
    """The run and its rows as one JSON document, written row by row."""
    head = {
        "out": str(summary.out),
        "report": str(summary.report),
        "seconds": summary.seconds,
        "counts": summary.counts,
    }
    sys.stdout.write(json.dumps(head)[:-1] + ', "results": [')
    for number, row in enumerate(results.rows(summary.out)):
        sys.stdout.write((",\n" if number else "\n") + json.dumps(row))
    sys.stdout.write("\n]}\n")


def print_plan(plan: Mapping[str, Any]) -> None:
    """What a dry run found: one line per fact, the config last."""
    facts = [(name, value) for name, value in plan.items() if name != "config"]
    facts += [(f"config.{name}", value) for name, value in plan["config"].items()]
    rows = [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for name, value in facts
    ]
    print_table(("would use", "value"), lambda: rows)


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Headline numbers, a row per class, and the confusion matrix; what is not there is left out."""
    numbers = [(name, short(value)) for name, value in metrics.items() if isinstance(value, int | float)]
    if numbers:
        print_table(("metric", "value"), lambda: numbers, right=("value",))
    per_class = metrics.get("per_class")
    if per_class:
        columns = ("class", "precision", "recall", "f1", "support")
        rows = [(name, *(short(one[column]) for column in columns[1:])) for name, one in per_class.items()]
        sys.stdout.write("\n")
        print_table(columns, lambda: rows, right=columns[1:])
    confusion = metrics.get("confusion")
    if confusion:
        labels: Sequence[str] = confusion["labels"]
        # Classes are numbered, since a column as wide as each name makes a table that no terminal holds.
        numbered = [str(number) for number in range(1, len(labels) + 1)]
        matrix = [
            (number, label, *map(str, line))
            for number, label, line in zip(numbered, labels, confusion["matrix"], strict=True)
        ]
        sys.stdout.write("\nConfusion matrix: a row per true class, a column per predicted one\n")
        print_table(("", "class", *numbered), lambda: matrix, right=("", *numbered))


def _cells(row: Row) -> tuple[str, ...]:
    failed = row["status"] != "ok"
    return (
        row["lot"],
        row["wafer"] or f"{Path(row['source']).name}#{row['map']}",
        row["slot"],
        "" if row["defects"] is None else str(row["defects"]),
        row["class"],
        "" if row["probability"] is None else f"{row['probability']:.3f}",
        "" if row["novelty"] is None else f"{row['novelty']:.2f}",
        "" if row["threshold"] is None else f"{row['threshold']:.2f}",
        "failed" if failed else row["decision"] or "unplaced",
    )


def _print_failures(summary: RunSummary) -> None:
    failed = summary.counts["failed"]
    if not failed:
        return
    sys.stdout.write("\nFailed:\n")
    shown = 0
    for row in results.rows(summary.out):
        if row["status"] != "ok":
            sys.stdout.write(printable(f"  {row['source']}#{row['map']}: {row['error']}") + "\n")
            shown += 1
            if shown == MAX_FAILURES:
                break
    if failed > shown:
        sys.stdout.write(f"  and {failed - shown:,} more, in results.csv\n")


def _counts(summary: RunSummary) -> str:
    counts = summary.counts
    parts = [f"{number:,} {name}" for name, number in counts["decision"].items()]
    if counts["unplaced"]:
        parts.append(f"{counts['unplaced']:,} read but without positions")
    if counts["failed"]:
        parts.append(f"{counts['failed']:,} failed")
    noun = "map" if counts["maps"] == 1 else "maps"
    return f"{counts['maps']:,} {noun}: {', '.join(parts)}" + results.skipped(summary.skipped, "no wafer map")


def short(value: float | None) -> str:
    """A number with four digits; empty for none."""
    return "" if value is None else f"{value:.4g}"
