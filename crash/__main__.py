"""`python -m crash TASK ...`: stop runs of a task or of all, let them go on, and compare them with others."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from pipelines.common.runner.threads import one_thread

from .ending import ended

HOWS: Final = ("kill", "ctrl-c", "full")


def main(arguments: list[str] | None = None) -> int:
    one_thread()  # before anything is imported that starts threads, which a fork would lose
    from .space import NOT_PERMITTED, fill
    from .stop import Counts, stop
    from .tasks import TASKS, load

    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("task", nargs="*", help=f"of {', '.join(TASKS)}; default: all")
    parser.add_argument("--how", choices=HOWS, default="kill", help="how they are stopped (kill)")
    parser.add_argument("--times", type=int, default=100, help="for each task (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--json", type=Path, help="a file that gets a line of counts for each task")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.task) - set(TASKS)):
        parser.error(f"there is no task {', '.join(unknown)}; there are {', '.join(TASKS)}")

    def progress(counts: Counts) -> None:
        if sys.stderr.isatty():
            print(f"\r{counts.stopped:,} of {given.times:,}", end="", file=sys.stderr, flush=True)

    code, is_full = 0, given.how == "full"
    for name in given.task or TASKS:
        load(TASKS[name])
        with tempfile.TemporaryDirectory() as folder:
            place, task = Path(folder) / name, TASKS[name]
            options = {"times": given.times, "seed": given.seed, "progress": progress}
            try:
                counts = (
                    fill(task, place, **options) if is_full else stop(task, place, how=given.how, **options)
                )
            except OSError as error:
                if str(error) != NOT_PERMITTED:
                    raise
                print(NOT_PERMITTED, file=sys.stderr)
                return 2
        print(
            f"{name}: {given.how} {counts.stopped:,} times in {counts.seconds:.0f} s, {counts.between:,}"
            f" between the first and the last row, {counts.torn:,} within writing; {counts.finished:,} runs"
            f" went on to the end, {counts.with_workers:,} with a process that reads;"
            f" {len(counts.problems):,} problems",
            flush=True,
        )
        about = {"task": name, "how": given.how, "seed": given.seed, **counts.plain()}
        code |= ended(counts.problems, about, given.json)
    return code


if __name__ == "__main__":
    sys.exit(main())
