"""Runs into a file system that is too small: how they end, and whether they go on once there is space."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

from pipelines.common.runs import ROWS

from .child import Ended, run
from .compare import check_finished, check_stopped, is_torn, whole_lines
from .stop import SAID, UNDISTURBED, Counts, command, is_between, undisturbed
from .tasks import OUT, Task

PAGE: Final = 4096
ENOUGH: Final = 256 * 2**20
USAGE: Final = 2
FULL: Final = "No space left on device"
NOT_PERMITTED: Final = (
    "no file system can be mounted here: run this as root, or with `unshare -rm` before the command"
)


def fill(task: Task, folder: Path, *, times: int, seed: int, progress: Callable[[Counts], None]) -> Counts:
    """Let `times` runs of a task end for want of space, at random sizes of the file system.

    folder: a new one, which gets inputs and runs. Raises OSError if no file system can be mounted.
    """
    begun, rng, counts = time.monotonic(), Random(seed), Counts()
    task.write_inputs(folder)
    undisturbed(task, folder, 0, counts)
    needed = sum(
        -(-path.stat().st_size // PAGE) for path in (folder / UNDISTURBED).rglob("*") if path.is_file()
    )
    while counts.stopped < times and not counts.problems:
        _one_run(task, folder, 1 + rng.randrange(needed), counts)
        progress(counts)
    counts.seconds = round(time.monotonic() - begun, 1)
    return counts


def _one_run(task: Task, folder: Path, pages: int, counts: Counts) -> None:
    out, whole = folder / OUT, folder / UNDISTURBED
    with mounted(out, pages * PAGE):
        counts.begun += 1
        ended = run(command(task, 0), folder)
        if FULL in ended.said:
            counts.stopped += 1
            counts.between += is_between(out, whole)
            counts.torn += is_torn(out, task)
            problems = [*check_stopped(out, whole, task, []), *_unclear(ended)]
            before = whole_lines(out / ROWS)
            _mount("-o", f"remount,size={ENOUGH}", str(out))
            ended = run(command(task, 0, "--resume"), folder)
            problems += check_stopped(out, whole, task, before)
            counts.problems += [f"{pages} pages: {one}" for one in problems]
        if "Traceback" in ended.said or ended.length is None:
            counts.problems.append(f"{pages} pages: it ended with {ended.code}: {ended.said}")
        counts.problems += [f"{pages} pages: {one}" for one in check_finished(out, whole, task)]
        counts.finished += 1


def _unclear(ended: Ended) -> list[str]:
    if ended.code != USAGE or "Traceback" in ended.said or SAID not in ended.said:
        return [f"it ended with {ended.code} and said: {ended.said}"]
    return []


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` bytes in memory, at a folder that is made for it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(NOT_PERMITTED)
