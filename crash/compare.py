"""What the folder of a stopped run may hold, and what that of a run that went on must hold."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pipelines.common.runs import REPORT, ROWS, RUN, TABLE
from pipelines.wafer.latents import LATENTS, read_latents

from .tasks import Task

# Times, in rows and in `run.json`, and the memory that is foreseen, which hangs on what the process holds.
VARYING: Final = ("started", "ended", "seconds", "memory")
ROUNDING: Final = 1e-4  # relative, and of numbers below 1 absolute
_TOLD: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\bin [\d.,]+ s\b|[\d,]+ MiB")
_NUMBER: Final = re.compile(r"(\d+\.\d+(?:e-?\d+)?)")
HALF_WRITTEN: Final = ".new-"  # in the names of files that are not whole yet


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that have an end; none if there is no file."""
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


def is_torn(run: Path, task: Task) -> bool:
    """Whether the run was stopped within writing: a line without its end, a line more of the companion than
    rows, a temporary file, or a file of an item that has no row."""
    counts = []
    for name in (ROWS, task.companion):
        data = (run / name).read_bytes() if (run / name).exists() else b""
        if data and not data.endswith(b"\n"):
            return True
        counts.append(data.count(b"\n"))
    return counts[0] != counts[1] or any(HALF_WRITTEN in path.name for path in run.rglob("*"))


def check_stopped(run: Path, undisturbed: Path, task: Task, before: list[bytes]) -> list[str]:
    """What is wrong with the rows of a run that was stopped; nothing is.

    before: the rows that were whole when it was stopped the last time, which must still be there.
    """
    lines = whole_lines(run / ROWS)
    if lines[: len(before)] != before:
        return [f"of {len(before)} rows that were finished, some are gone or have changed"]
    wanted = {_key(row, task): row for row in map(json.loads, whole_lines(undisturbed / ROWS))}
    found, problems = set(), []
    for line in lines:
        row = json.loads(line)
        key = _key(row, task)
        if key in found:
            problems.append(f"{key} has two rows")
        found.add(key)
        if not _equal(_still(row), _still(wanted.get(key, {})), task):
            problems.append(f"the row of {key} differs from that of an undisturbed run")
        for name in task.files(row):
            if not (run / name).exists():
                problems.append(f"{name} is not there, and its row is")
            elif (run / name).read_bytes() != (undisturbed / name).read_bytes():
                problems.append(f"{name} differs from that of an undisturbed run, and its row is there")
    if len(whole_lines(run / task.companion)) < len(lines):
        problems.append(f"{task.companion} has fewer lines than there are rows")
    return problems


def check_finished(run: Path, undisturbed: Path, task: Task) -> list[str]:
    """How a run that was stopped and went on differs from an undisturbed one, but for times."""
    names, wanted = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in (run, undisturbed)
    )
    problems = [f"{name} is missing" for name in sorted(wanted - names)]
    problems += [f"{name} is left over" for name in sorted(names - wanted)]
    for name in sorted(names & wanted):
        read = _READ.get(name, Path.read_bytes)
        if not _equal(read(run / name), read(undisturbed / name), task):
            problems.append(f"{name} differs from that of an undisturbed run")
    return problems


def _equal(one: Any, other: Any, task: Task) -> bool:
    return bool(one == other) or (task.rounding and _close(one, other))


def _close(one: Any, other: Any) -> bool:
    """Whether values are the same but for rounding; of texts, the numbers in them."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)
    if isinstance(one, str) and isinstance(other, str):
        parts, others = _NUMBER.split(one), _NUMBER.split(other)
        return parts[::2] == others[::2] and all(map(_close_text, parts[1::2], others[1::2]))
    return bool(one == other)


def _close_text(one: str, other: str) -> bool:
    """Numbers may differ by one in the last of the digits that both show."""
    digits = min(len(text.partition("e")[0].partition(".")[2]) for text in (one, other))
    last = 1.01 * 10.0**-digits if "e" not in one + other else 0.0
    return math.isclose(float(one), float(other), rel_tol=ROUNDING, abs_tol=last)


def _key(row: dict[str, Any], task: Task) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in task.key)


def _still(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in VARYING}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [_still(json.loads(line)) for line in path.read_bytes().splitlines()]


def _record(path: Path) -> dict[str, Any]:
    return _still(json.loads(path.read_bytes()))


def _table(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [_still(row) for row in csv.DictReader(file)]


def _report(path: Path) -> str:
    return _TOLD.sub("VARYING", path.read_text(encoding="utf-8"))


def _latents(path: Path) -> dict[Any, tuple[str, list[float]]]:
    """As they are read: a line may come twice after a kill, and the later one counts."""
    return {key: (item, vector.tolist()) for key, (item, vector) in read_latents(path.parent).items()}


_READ: Final[dict[str, Callable[[Path], Any]]] = {
    ROWS: _rows,
    RUN: _record,
    TABLE: _table,
    REPORT: _report,
    LATENTS: _latents,
}
