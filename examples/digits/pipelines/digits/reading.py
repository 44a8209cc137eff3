"""What a process that reads ahead does; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.digits.data import Picture, PictureError, read_picture


@dataclass(frozen=True, slots=True)
class Read:
    """A picture that was read, or why it could not be."""

    path: Path
    picture: Picture | None
    error: str = ""


def read(path: Path) -> Iterator[Read]:
    """The one part of an item, read in whatever process the runner likes."""
    try:
        yield Read(path, read_picture(path))
    except PictureError as error:
        yield Read(path, None, str(error))


def lost(path: Path, taken: int, why: str) -> Read:
    """What stands for a picture whose process died."""
    return Read(path, None, why)
