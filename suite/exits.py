"""How a command ends: the exit codes, the same for every task.

    0    all done
    1    a bug: an error that nobody foresaw, with its traceback
    2    wrong usage or config, or nothing usable in the input; the message says what is allowed
    3    some items failed; the rest are done and saved
    4    the run is fine and found what the user asked to be alarmed about
    130  interrupted with Ctrl-C; the message says how to resume

A run that both failed in part and found an alarm ends with 4: an alarm is what somebody waits for, and
the failed items stand in the results.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pipelines.common.errors import UserError
from suite.terminal import error

OK, BUG, USAGE, SOME_FAILED, ALARM, INTERRUPTED = 0, 1, 2, 3, 4, 130
FULL = (errno.ENOSPC, errno.EDQUOT)  # a disk or a quota: with more space, the run can go on


@contextmanager
def exits(*, when_interrupted: str = "") -> Iterator[None]:
    """Turn errors that are the user's to mend, and Ctrl-C, into a message and an exit code."""
    try:
        yield
    except UserError as problem:
        error(str(problem))
        raise typer.Exit(USAGE) from None
    except BrokenPipeError:
        raise  # whoever read our output has gone, as `head` does: not worth a word
    except OSError as problem:
        if problem.filename is None and problem.strerror is None:
            raise
        text = ": ".join(str(part) for part in (problem.filename, problem.strerror) if part)
        error(text + (f"; {when_interrupted}" if when_interrupted and problem.errno in FULL else ""))
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        error("interrupted" + (f"; {when_interrupted}" if when_interrupted else ""))
        raise typer.Exit(INTERRUPTED) from None
