"""What every benchmark shares: fair timing, the record of the machine, sections that resume, the JSON."""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cache import replace_file
from pipelines.common.hardware import environment, suite_version

Row = dict[str, Any]
Summary = dict[str, Any]
Say = Callable[[str], None]

PLAIN_WIDTH = 140
MOST_CALLS = 1000


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call over its repeats."""

    median: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        return cls(statistics.median(seconds), min(seconds), max(seconds), len(seconds))

    def columns(self) -> Row:
        """As the columns of a row."""
        return {
            "seconds": self.median,
            "seconds_min": self.low,
            "seconds_max": self.high,
            "repeats": self.repeats,
        }


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    warm_up: int = 1,
    least_seconds: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time each call `repeats` times, in turn, after `warm_up` rounds that are not counted.

    In turn, so that whatever else the machine does in the meantime falls on all of them; the one that begins
    changes from round to round. A call shorter than `least_seconds` in the last warm-up is made as often as
    fills them each time, and the seconds are those of one.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    times = dict.fromkeys(names, 1)
    for number in range(warm_up + repeats):
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            started = clock()
            for _ in range(times[name]):
                calls[name]()
            spent = clock() - started
            if number >= warm_up:
                seconds[name].append(spent / times[name])
            elif number == warm_up - 1 and spent < least_seconds:
                times[name] = min(MOST_CALLS, math.ceil(least_seconds / max(spent, 1e-9)))
    return {name: Timing.of(spent) for name, spent in seconds.items()}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a benchmark: its rows, and what the summary says of it."""

    rows: list[Row]
    summary: Summary


class Sections:
    """The finished sections of a run, kept beside its JSON so that a run that was broken off goes on.

    settings: what the figures depend on; sections of other settings, or of another machine, are dropped.
    """

    def __init__(self, target: Path, settings: Mapping[str, Any], *, say: Say = print) -> None:
        self.target = target
        self.say = say
        self.environment: dict[str, Any] = {**environment(), "suite": suite_version(), **settings}
        self.partial = target.with_name(f"{target.name}.partial")
        self.done: dict[str, Section] = {}
        if self.partial.exists():
            kept = json.loads(self.partial.read_text(encoding="utf-8"))
            if kept["environment"] == self.environment:
                self.done = {name: Section(**section) for name, section in kept["sections"].items()}

    def run(self, name: str, measure: Callable[[], Section]) -> Section:
        """The section `name`, measured unless an earlier run with the same settings has."""
        if name in self.done:
            self.say(f"{name}: from the run before")
            return self.done[name]
        self.say(f"{name} ...")
        started = time.perf_counter()
        self.done[name] = measure()
        self.say(f"{name}: {time.perf_counter() - started:.0f} s")
        sections = {key: {"rows": one.rows, "summary": one.summary} for key, one in self.done.items()}
        self._write(self.partial, {"environment": self.environment, "sections": sections})
        return self.done[name]

    def finish(self) -> dict[str, Any]:
        """Write the JSON of all sections: `environment`, `rows` (each with its `section`), `summary`."""
        report = {
            "environment": self.environment,
            "rows": [{"section": name, **row} for name, one in self.done.items() for row in one.rows],
            "summary": {key: value for one in self.done.values() for key, value in one.summary.items()},
        }
        self._write(self.target, report)
        self.partial.unlink(missing_ok=True)
        return report

    @staticmethod
    def _write(path: Path, content: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """A table of each section's rows, then the summary; off a terminal on lines long enough for both."""
    if console is None:
        console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    sections = dict.fromkeys(row["section"] for row in report["rows"])
    for section in sections:
        rows = [row for row in report["rows"] if row["section"] == section]
        columns = [name for name in dict.fromkeys(key for row in rows for key in row) if name != "section"]
        table = Table(title=section, title_justify="left")
        for name in columns:
            number = any(isinstance(row.get(name), int | float) for row in rows)
            table.add_column(name, justify="right" if number else "left")
        for row in rows:
            table.add_row(*(shown(row.get(name)) for name in columns))
        console.print(table)
    table = Table(title="summary", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in report["summary"].items():
        table.add_row(name, shown(value))
    console.print(table)


def shown(value: object) -> str:
    """A value as a person reads it in a table: four digits, thousands apart."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
