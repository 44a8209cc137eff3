"""Runs that are stopped again and again and go on with `--resume`, and what they come to."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from pipelines.common.runs import ROWS, RUN

from .child import Ended, run
from .compare import check_finished, check_stopped, is_torn, whole_lines
from .moments import Length, Moment
from .tasks import OUT, Task

How = Literal["kill", "ctrl-c"]
SIGNALS: Final = {"kill": signal.SIGKILL, "ctrl-c": signal.SIGINT}
WITH_WORKERS: Final = 0.25  # of the runs have a process that reads ahead
ONCE_MORE: Final = 0.5  # of the runs that were stopped are stopped again when they go on
UNDISTURBED: Final = "undisturbed"
INTERRUPTED: Final = 130
IGNORED: Final = "Exception ignored in"
SAID: Final = "--resume to go on"


@dataclass(slots=True)
class Counts:
    """stopped: signals that met a run. between: of these, after its first and before its last row. torn:
    within writing. swallowed: signals that a library kept to itself, for a while or for good. begun,
    finished: runs. with_workers: runs with a process that reads ahead."""

    stopped: int = 0
    between: int = 0
    torn: int = 0
    swallowed: int = 0
    begun: int = 0
    finished: int = 0
    with_workers: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def stop(
    task: Task, folder: Path, *, how: How, times: int, seed: int, progress: Callable[[Counts], None]
) -> Counts:
    """Stop runs of a task `times` times. folder: a new one, which gets inputs and runs."""
    begun, rng, counts = time.monotonic(), Random(seed), Counts()
    task.write_inputs(folder)
    lengths = {workers: undisturbed(task, folder, workers, counts) for workers in (0, 1)}
    while counts.stopped < times and not counts.problems:
        workers = int(rng.random() < WITH_WORKERS)
        _one_run(task, folder, rng, how, workers, lengths[workers], times, counts)
        progress(counts)
    counts.seconds = round(time.monotonic() - begun, 1)
    return counts


def command(task: Task, workers: int, *more: str) -> list[str]:
    """The words of a run."""
    return [*task.words, "--workers", str(workers), "--out", OUT, *more]


def undisturbed(task: Task, folder: Path, workers: int, counts: Counts) -> Length:
    """The length of an undisturbed run; the first one is kept, and must equal a second one."""
    shutil.rmtree(folder / OUT, ignore_errors=True)
    ended = run(command(task, workers), folder)
    if ended.length is None:
        raise RuntimeError(f"the undisturbed run ended with {ended.code}: {ended.said}")
    if (folder / UNDISTURBED).exists():
        counts.problems += check_finished(folder / OUT, folder / UNDISTURBED, task)
    else:
        (folder / OUT).rename(folder / UNDISTURBED)
    return ended.length


def _one_run(
    task: Task,
    folder: Path,
    rng: Random,
    how: How,
    workers: int,
    length: Length,
    times: int,
    counts: Counts,
) -> None:
    out, whole = folder / OUT, folder / UNDISTURBED
    shutil.rmtree(out, ignore_errors=True)
    counts.begun += 1
    counts.with_workers += workers
    before: list[bytes] = []
    more: list[str] = []
    while True:
        again = counts.stopped < times and (not more or rng.random() < ONCE_MORE)
        moment = length.draw(rng, torn=how == "kill") if again else Moment()
        record = _record(out)
        ended = run(command(task, workers, *more), folder, moment, SIGNALS[how])
        if not _was_stopped(ended, how):
            break
        counts.stopped += 1
        counts.between += is_between(out, whole)
        counts.torn += out.exists() and is_torn(out, task)
        counts.swallowed += IGNORED in ended.said
        problems = check_stopped(out, whole, task, before)
        if how == "ctrl-c":
            problems += unclear(ended, out, record)
        counts.problems += [f"{moment}, {workers} workers: {one}" for one in problems]
        before, more = whole_lines(out / ROWS), ["--resume"]
    if IGNORED in ended.said:
        counts.swallowed += 1
    elif "Traceback" in ended.said or ended.code not in (0, 3, 4):
        counts.problems.append(f"going on, it ended with {ended.code}: {ended.said}")
    counts.problems += [*check_stopped(out, whole, task, before), *check_finished(out, whole, task)]
    counts.finished += 1


def _was_stopped(ended: Ended, how: How) -> bool:
    """Whether the signal met the run; it may come after its end."""
    if how == "kill":
        return ended.code == -signal.SIGKILL
    return ended.length is None or ended.code == INTERRUPTED


def _record(out: Path) -> bytes:
    return (out / RUN).read_bytes() if (out / RUN).exists() else b""


def unclear(ended: Ended, out: Path, before: bytes) -> list[str]:
    """What is wrong with how a run says that it was interrupted, and how it goes on if it has begun.

    before: its `run.json` before that.
    """
    problems = []
    if ended.code != INTERRUPTED:
        problems.append(f"the exit code is {ended.code}")
    record = _record(out)
    has_begun = record != before and json.loads(record)["status"] != "finished"
    is_bare = "Traceback" in ended.said and IGNORED not in ended.said
    if is_bare or (has_begun and SAID not in ended.said):
        problems.append(f"it said: {ended.said}")
    return problems


def is_between(out: Path, whole: Path) -> bool:
    """Whether a run has some of its rows and not all."""
    return 0 < len(whole_lines(out / ROWS)) < len(whole_lines(whole / ROWS))
