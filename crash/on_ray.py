"""`python -m crash.on_ray`: counts on a Ray cluster of this machine are killed with it, and go on.

They are compared to a count without Ray in one thread, as an actor has one: rows and maps are to be the same.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from pipelines.common.runs import ROWS
from pipelines.crowd.generate.dataset import write_dataset

from .compare import check_finished, check_stopped, whole_lines
from .ending import ended
from .tasks import TASKS

CROWD: Final = TASKS["crowd"]
IMAGES: Final = 80
STUCK_SECONDS: Final = 300.0
ON_RAY: Final = ("--runner", "ray", "--workers", "2")


@dataclass(slots=True)
class Counts:
    """kills: that met a run. between: of these, with some of the rows there and not all."""

    kills: int = 0
    between: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def kill_runs(folder: Path, *, times: int, seed: int, images: int = IMAGES) -> Counts:
    """Kill runs on Ray `times` times, each of which then goes on to its end. folder: a new one."""
    begun, rng, counts = time.monotonic(), Random(seed), Counts()
    write_dataset(folder / "in", images=images, seed=seed)
    _start(folder, "whole", "--workers", "0").wait(STUCK_SECONDS)
    for number in range(times):
        out = folder / f"run{number}"
        run = _start(folder, out.name, *ON_RAY)
        if _await_rows(run, out, rng.randrange(images)):
            os.killpg(run.pid, signal.SIGKILL)
            counts.kills += 1
        run.wait(STUCK_SECONDS)
        kept = whole_lines(out / ROWS)
        counts.between += 0 < len(kept) < images
        code = _start(folder, out.name, *ON_RAY, "--resume").wait(STUCK_SECONDS)
        counts.problems += [f"run {number}: {one}" for one in differs(out, folder / "whole", kept, code)]
    counts.seconds = round(time.monotonic() - begun, 1)
    return counts


def _start(folder: Path, out: str, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "suite", *CROWD.words, "--quiet", "--out", out, *more]
    place = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with (folder / f"{out}.log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=folder, env=place, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _await_rows(run: subprocess.Popen[bytes], out: Path, wanted: int) -> bool:
    """Whether the run goes on when it has so many rows, or just before the first."""
    until = time.monotonic() + STUCK_SECONDS
    while run.poll() is None and time.monotonic() < until:
        if (out / ROWS).exists() and len(whole_lines(out / ROWS)) >= wanted:
            return True
        time.sleep(0.01)
    return False


def differs(out: Path, whole: Path, kept: list[bytes], code: int) -> list[str]:
    """What is wrong with a run that went on. kept: its rows after the kill. code: with which it ended."""
    ended_well = [] if code == 0 else [f"going on, it ended with {code}"]
    return [*ended_well, *check_stopped(out, whole, CROWD, kept), *check_finished(out, whole, CROWD)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.on_ray", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="(20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--images", type=int, default=IMAGES, help=f"to count each time ({IMAGES})")
    parser.add_argument("--json", type=Path, help="a file that gets a line of counts")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        counts = kill_runs(Path(folder), times=given.times, seed=given.seed, images=given.images)
    print(
        f"{counts.kills:,} kills, {counts.between:,} between the first and the last row,"
        f" in {counts.seconds:.0f} s; {len(counts.problems):,} problems"
    )
    return ended(counts.problems, {"seed": given.seed, **asdict(counts)}, given.json)


if __name__ == "__main__":
    sys.exit(main())
