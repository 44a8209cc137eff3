"""When a run is stopped: after some time, before one of its file operations, or within one of its writes."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from .tasks import OUT

Kind = Literal["never", "time", "call", "torn"]
WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CALLS: Final = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
AFTER_FIRST: Final = 0.85  # of the moments in time lie after the first row was written


@dataclass(frozen=True, slots=True)
class Moment:
    """kind: `time`, after `value` seconds; `call`, before the operation on a file of the run with the number
    `value`; `torn`, when the write with the number `value` is forced to the disk, of which the share `part`
    has not reached it."""

    kind: Kind = "never"
    value: float = 0.0
    part: float = 0.0


@dataclass(frozen=True, slots=True)
class Length:
    """How long an undisturbed run is: seconds in all and before its first row, file operations, and writes
    that are forced to the disk."""

    seconds: float
    first: float
    calls: int
    syncs: int

    def draw(self, rng: Random, *, torn: bool) -> Moment:
        """A moment anywhere in the run. torn: whether writes may be cut."""
        kind: Kind = rng.choice(("time", "time", "call", "torn" if torn else "call"))
        if kind == "call":
            return Moment(kind, rng.randrange(self.calls))
        if kind == "torn":
            return Moment(kind, rng.randrange(self.syncs), rng.random())
        if rng.random() < AFTER_FIRST:
            return Moment(kind, rng.uniform(self.first, self.seconds))
        return Moment(kind, rng.uniform(0, self.first))


@dataclass(slots=True)
class Hook:
    """Counts what this process does to the files of the run, and stops its process group at the moment.

    Python tells of calls before they are made. A write that a kill cuts, or of which a power cut leaves a
    part, is made by cutting off what was written to a file since it was last forced to the disk.
    """

    moment: Moment
    number: signal.Signals
    begun: float = 0.0
    calls: int = 0
    syncs: int = 0
    first: float = 0.0
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)

    def install(self) -> None:
        """From here on, in this process."""
        self.begun = time.monotonic()
        sys.addaudithook(self._heard)
        setattr(os, "fsync", self._syncing(os.fsync))  # noqa: B010  as the types of both differ

    def length(self) -> dict[str, Any]:
        """The fields of `Length`."""
        seconds = time.monotonic() - self.begun
        return {"seconds": seconds, "first": self.first, "calls": self.calls, "syncs": self.syncs}

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & WRITES:
                return
        elif event not in CALLS:
            return
        if not _in_run(arguments[0]):
            return
        if event == "open":
            self._opened(*arguments)
        if not self.first and os.fspath(arguments[0]).endswith("results.jsonl"):
            self.first = time.monotonic() - self.begun
        now = self.moment.kind == "call" and self.calls == self.moment.value
        self.calls += 1
        if now:
            os.killpg(0, self.number)

    def _opened(self, path: Any, mode: object, flags: int) -> None:
        """What a file holds when it is opened has reached the disk."""
        file = Path(os.fsdecode(path))
        if file.exists():
            about = file.stat()
            self.sizes[about.st_dev, about.st_ino] = 0 if flags & os.O_TRUNC else about.st_size

    def _syncing(self, sync: Callable[[Any], None]) -> Callable[[Any], None]:
        def synced(handle: Any) -> None:
            about = os.fstat(handle)
            if stat.S_ISDIR(about.st_mode):  # of which nothing can be half-written
                sync(handle)
                return
            before = self.sizes.get((about.st_dev, about.st_ino), 0)
            now = self.moment.kind == "torn" and self.syncs == self.moment.value
            self.syncs += 1
            if now:
                lost = round(self.moment.part * max(0, about.st_size - before))
                os.ftruncate(handle, about.st_size - lost)
                os.killpg(0, self.number)
            sync(handle)
            self.sizes[about.st_dev, about.st_ino] = about.st_size

        return synced


def _in_run(path: object) -> bool:
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        return False
    return Path(os.path.relpath(text)).parts[0] == OUT
