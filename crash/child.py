"""One run of a task: a fork of this process, which has imported everything, in its own process group."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .moments import Hook, Length, Moment

LOG, LENGTH = "log.txt", "length.json"
STUCK_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Ended:
    """code: of the exit, or the number of the signal below 0. said: on both streams."""

    code: int
    said: str
    length: Length | None


def run(
    words: Sequence[str],
    folder: Path,
    moment: Moment = Moment(),  # noqa: B008
    number: signal.Signals = signal.SIGKILL,
) -> Ended:
    """Run the command in `folder`, and send its process group a signal at the moment.

    What is left of the group when the first process has ended is killed.
    """
    (folder / LENGTH).unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    ready, tell = os.pipe()
    process = os.fork()
    if not process:
        _child(words, folder, Hook(moment, number), tell)
    os.close(tell)
    os.read(ready, 1)  # the clock starts when the command does
    os.close(ready)
    code = _wait(process, moment, number)
    _kill_group(process)
    said = (folder / LOG).read_text(encoding="utf-8", errors="replace") if (folder / LOG).exists() else ""
    length = json.loads((folder / LENGTH).read_text()) if (folder / LENGTH).exists() else None
    return Ended(code, said, length and Length(**length))


def _child(words: Sequence[str], folder: Path, hook: Hook, tell: int) -> None:
    from suite.cli import main

    code = 1
    try:
        os.setpgid(0, 0)
        # A shell starts what it runs in the background with Ctrl-C ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.argv = ["suite", *words]
        hook.install()
        os.write(tell, b"!")
        code = _code(main)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what comes now did not meet the run
        sys.stdout.flush()
        new = Path(f"{LENGTH}.new")
        new.write_text(json.dumps(hook.length()))
        new.replace(LENGTH)  # whole or absent, should the process be killed here
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _wait(process: int, moment: Moment, number: signal.Signals) -> int:
    begun, due = time.monotonic(), moment.kind == "time"
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        spent = time.monotonic() - begun
        if due and spent >= moment.value:
            os.killpg(process, number)
            due = False
        if spent > STUCK_SECONDS:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.001)


def _kill_group(process: int) -> None:
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        return
