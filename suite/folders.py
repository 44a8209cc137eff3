"""Where results go if the user names no folder."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from pathlib import Path


def new_folder(name: str) -> Path:
    """A folder in `runs` that is not there yet, by name, date and time."""
    stamped = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    candidates = (Path("runs", stamped if number == 1 else f"{stamped}-{number}") for number in count(1))
    return next(folder for folder in candidates if not folder.exists())
