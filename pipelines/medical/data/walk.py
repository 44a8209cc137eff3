"""The files of a folder, whatever it contains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.runs import is_run


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is not read, and why. named: whether the user asked for this very file or folder, so that
    to leave it out is a failure."""

    path: Path
    reason: str
    named: bool = False


def walk(top: Path) -> Iterator[tuple[Path, list[Path], list[SkippedFile]]]:
    """Each folder from `top` down, sorted by name: the folder, its files, and what in it is not followed.

    What begins with a dot is hidden and not mentioned. Run folders below `top` are not entered. Links to
    folders are not followed, so that no loop and no way out arises; links to files are, if the file lies
    below `top`.
    """
    root = top.resolve()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            skipped = SkippedFile(folder, f"the folder cannot be read: {error.strerror}", folder == top)
            yield folder, [], [skipped]
            continue
        files, other, folders = [], [], []
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                reason = _why_not(path, root)
                if reason:
                    other.append(SkippedFile(path, reason))
                else:
                    files.append(path)
            elif entry.is_dir(follow_symlinks=False) and is_run(path):
                other.append(SkippedFile(path, "a run folder, whose masks are no images"))
            elif entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif entry.is_file(follow_symlinks=False):
                files.append(path)
            else:
                other.append(SkippedFile(path, "neither a file nor a folder"))
        yield folder, files, other
        waiting.extend(reversed(folders))


def _why_not(link: Path, root: Path) -> str:
    """Why a link is not followed; empty if it is."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: Python 3.12 and older on a link to itself
        return "a link that leads nowhere"
    if not target.is_relative_to(root):
        return "a link that leads out of the folder"
    return "" if target.is_file() else "a link to a folder, which is not followed"
