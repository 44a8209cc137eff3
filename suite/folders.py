"""The folder that a command writes its run to, and the names of folders with data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from pathlib import Path

from pipelines.common.errors import UserError


def new_folder(name: str) -> Path:
    """A folder in `runs` that is not there yet, by name, date and time."""
    stamped = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    candidates = (Path("runs", stamped if number == 1 else f"{stamped}-{number}") for number in count(1))
    return next(folder for folder in candidates if not folder.exists())


def run_folder(
    out: Path | None, task: str, *, resume: bool, overwrite: bool, retry_failed: bool = False
) -> Path:
    """The folder of a run: `out`, or a new one named after the task.

    Raises UserError if no run may be written there.
    """
    from pipelines.common.runs import check_target

    if retry_failed and not resume:
        raise UserError("--retry-failed goes with --resume")
    if resume and out is None:
        raise UserError("--resume needs --out with the folder of the run to continue")
    target = out or new_folder(task)
    check_target(target, resume=resume, overwrite=overwrite)
    return target


def names_of(data: Sequence[Path]) -> list[str]:
    """What data sets are called: their folders' names. Raises UserError if two have the same."""
    names = [one.resolve().name for one in data]
    if len(set(names)) < len(names):
        raise UserError(f"two of the data sets have one name ({', '.join(names)}): rename one of the folders")
    return names
