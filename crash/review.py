"""`python -m crash.review`: two reviewers give verdicts at once and are killed again and again; none is lost.

Each is a process that adds verdicts to one store, on the same items. It notes what the store has confirmed,
and when it is started anew it goes on after the last one that is in the store, as a page does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from apps.store import DATABASE, Store, Verdict

from .ending import ended

REVIEWERS: Final = ("Ann", "Bob")
ITEMS: Final = 500
LONGEST_SECONDS: Final = 0.5  # until a reviewer is killed


@dataclass(slots=True)
class Counts:
    """verdicts: in the store. confirmed: that the store had said it keeps. kills: of processes that wrote."""

    verdicts: int = 0
    confirmed: int = 0
    kills: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def review(folder: Path, *, verdicts: int, seed: int) -> Counts:
    """Let the reviewers give `verdicts` in all, into the store of `folder`, and look at what it holds."""
    begun, rng, counts = time.monotonic(), Random(seed), Counts()
    each = verdicts // len(REVIEWERS)
    writers = {name: _start(folder, name, each) for name in REVIEWERS}
    due = {name: time.monotonic() + rng.uniform(0, LONGEST_SECONDS) for name in REVIEWERS}
    while writers:
        time.sleep(0.002)
        for name, process in list(writers.items()):
            if time.monotonic() >= due[name]:
                os.kill(process, signal.SIGKILL)
            ended, status = os.waitpid(process, os.WNOHANG)
            if not ended:
                continue
            if os.waitstatus_to_exitcode(status) == 0:
                del writers[name]
                continue
            counts.kills += os.waitstatus_to_exitcode(status) == -signal.SIGKILL
            if os.waitstatus_to_exitcode(status) > 0:
                counts.problems.append(f"{name} ended with {os.waitstatus_to_exitcode(status)}")
                del writers[name]
                continue
            writers[name] = _start(folder, name, each)
            due[name] = time.monotonic() + rng.uniform(0, LONGEST_SECONDS)
    _check(folder, each, counts)
    counts.seconds = round(time.monotonic() - begun, 1)
    return counts


def verdict_of(name: str, number: int) -> Verdict:
    """The verdict with a number, from 0, of a reviewer."""
    source = f"{number % ITEMS}.csv"
    return Verdict(source, "0", "h", "m", "ring", 0.5, "relabel", f"{name} {number}", "", name)


def _start(folder: Path, name: str, each: int) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        store = Store(folder)
        with store.open() as database:
            done = database.execute("SELECT count(*) FROM verdicts WHERE reviewer = ?", (name,)).fetchone()[0]
        confirmed = os.open(folder / f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number in range(done, each):
            store.add(verdict_of(name, number))
            os.write(confirmed, b"%d\n" % number)
        code = 0
    finally:
        os._exit(code)


def _check(folder: Path, each: int, counts: Counts) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        rows = database.execute("SELECT id, name, label, reviewer FROM verdicts ORDER BY id").fetchall()
        if (said := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            counts.problems.append(f"the database is damaged: {said}")
    counts.verdicts = len(rows)
    for name in REVIEWERS:
        given = [int(label.split()[1]) for _, _, label, reviewer in rows if reviewer == name]
        if given != list(range(each)):
            counts.problems.append(f"the verdicts of {name} are not each there once, in their order")
        told = folder / f"{name}.txt"
        confirmed = {int(line) for line in told.read_text().splitlines()} if told.exists() else set()
        counts.confirmed += len(confirmed)
        if lost := confirmed - set(given):
            counts.problems.append(f"{len(lost)} verdicts of {name} were confirmed and are lost")
    last = {name: label for _, name, label, _ in rows}
    latest = {json.dumps(verdict.id[:2]): verdict.label for verdict in Store(folder).latest().values()}
    if latest != last:
        counts.problems.append("the verdict that counts is not the latest one, for some items")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.review", description=__doc__)
    parser.add_argument("--verdicts", type=int, default=10_000, help="in all (10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--json", type=Path, help="a file that gets a line of counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = review(Path(folder), verdicts=given.verdicts, seed=given.seed)
    print(
        f"{counts.verdicts:,} verdicts of {len(REVIEWERS)} reviewers, {counts.kills:,} kills,"
        f" {counts.confirmed:,} confirmed, in {counts.seconds:.0f} s; {len(counts.problems):,} problems"
    )
    return ended(counts.problems, {"seed": given.seed, **asdict(counts)}, given.json)


if __name__ == "__main__":
    sys.exit(main())
