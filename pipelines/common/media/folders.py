"""What lies in a folder, in an order that people expect, and names in lists that must not lead out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from pipelines.common.errors import InputError

MAX_NAME: Final = 1_000  # characters of a name in a list, folders before it included
MAX_DIGITS: Final = 1_000  # of a number within a name that are compared
MAX_PART: Final = 255  # bytes of a file's own name: more has no file system


@dataclass(frozen=True, slots=True)
class Entries:
    """Files and folders of one folder, in natural order; what is hidden is left out."""

    folder: Path
    files: tuple[Path, ...]
    folders: dict[str, Path]  # by name in small letters


def entries_of(folder: Path) -> Entries:
    """What lies in a folder. Links to folders are not followed, so that no loop arises. Raises InputError."""
    try:
        found = sorted(folder.iterdir(), key=lambda path: natural(path.name))
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    found = [path for path in found if not path.name.startswith(".")]
    folders = {path.name.lower(): path for path in found if path.is_dir() and not path.is_symlink()}
    return Entries(folder, tuple(path for path in found if path.is_file()), folders)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts IMG_2 before IMG_10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(one[:MAX_DIGITS]), one) if one.isdecimal() else (1, 0, one) for one in parts)


def inside(folder: Path, name: str) -> Path | None:
    """The file that a list names, or None if the name leads out of the folder."""
    name = name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    odd = not name or "\0" in name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()
    long = len(name) > MAX_NAME or any(len(one.encode(errors="surrogatepass")) > MAX_PART for one in parts)
    if odd or long or ".." in parts:
        return None
    return folder / name


def some(names: list[str], what: str) -> str:
    """`3 label files have no image: a, b, c`, for notes: at most five names."""
    more = ", ..." if len(names) > 5 else ""
    return f"{len(names)} {what}: {', '.join(names[:5])}{more}"
