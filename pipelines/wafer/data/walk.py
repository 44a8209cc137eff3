"""The files of a folder, whatever it contains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .record import FailedMap, SkippedFile


def walk(folder: Path) -> Iterator[Path | FailedMap | SkippedFile]:
    """Every file below a folder, sorted by name, folder by folder.

    A link to a folder is not followed, so that no loop and no way out arises; a link to a file is followed
    only if the file lies in the folder, and then skipped, because the file itself is found too.
    """
    root = folder.resolve()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield FailedMap(current, 0, f"the folder cannot be read: {error.strerror}")
            continue
        folders = []
        for entry in entries:
            path = current / entry.name
            if entry.is_symlink():
                yield SkippedFile(path, _why_not(path, root))
            elif entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                yield SkippedFile(path, "neither a file nor a folder")
        waiting.extend(reversed(folders))


def _why_not(link: Path, root: Path) -> str:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: Python 3.12 and older on a link to itself
        return "a link that leads nowhere"
    if target.is_relative_to(root):
        return "a link to what is read anyway, in the same folder"
    return "a link that leads out of the folder"
