"""The images and videos among files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.common.models import CONFIG, TENSORS
from pipelines.common.runs import is_run

from .images import is_image_name
from .layouts import natural
from .video import is_video_name

Kind = Literal["image", "video"]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to count people in; not yet opened. kind: by its name; `image` for a named file of any other."""

    path: Path
    kind: Kind


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file or folder that is left out, and why. named: whether the user asked for this very one."""

    path: Path
    reason: str
    named: bool = False


def find_inputs(paths: Iterable[str | Path]) -> Iterator[InputFile | SkippedFile]:
    """Images and videos in the order of the paths, and in folders in the order of their names, numbers as
    numbers.

    A folder stands for all files in it and in the folders below it whose names end as those of images or
    videos. What begins with a dot is passed over, run folders and model folders below it are not entered.
    Links to folders are not followed, and links to files only if the file lies in the folder. Nothing comes
    twice.
    """
    seen: set[Path] = set()
    for path in map(Path, paths):
        for item in _in_folder(path) if path.is_dir() else [_named(path)]:
            if isinstance(item, InputFile):
                real = item.path.resolve()
                if real in seen:
                    continue
                seen.add(real)
            yield item


def _named(path: Path) -> InputFile | SkippedFile:
    if not os.path.lexists(path):
        return SkippedFile(path, "there is no such file or folder", named=True)
    return InputFile(path, "video" if is_video_name(path) else "image")


def _in_folder(top: Path) -> Iterator[InputFile | SkippedFile]:
    root = top.resolve()
    waiting, some = [top], False
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(folder.iterdir(), key=lambda path: natural(path.name))
        except OSError as error:
            yield SkippedFile(folder, f"the folder cannot be read: {error.strerror}", named=folder == top)
            some = True
            continue
        folders = []
        for path in entries:
            if path.name.startswith("."):
                continue
            if path.is_symlink() and not _leads_inside(path, root):
                yield SkippedFile(path, "a link to a folder, out of the folder or to nowhere")
            elif path.is_dir() and is_run(path):
                yield SkippedFile(path, "a run folder, whose pictures are no images to count")
            elif path.is_dir() and _is_model(path):
                yield SkippedFile(path, "a model folder")
            elif path.is_dir():
                folders.append(path)
            elif is_video_name(path) or is_image_name(path):
                some = True
                yield InputFile(path, "video" if is_video_name(path) else "image")
            else:
                yield SkippedFile(path, "its name is not that of an image or a video")
        waiting.extend(reversed(folders))
    if not some:
        yield SkippedFile(top, "the folder holds no images and no videos", named=True)


def _is_model(folder: Path) -> bool:
    return (folder / TENSORS).is_file() and (folder / CONFIG).is_file()


def _leads_inside(link: Path, root: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: Python 3.12 and older on a link to itself
        return False
    return target.is_file() and target.is_relative_to(root)
