"""The polyps of a run: from data sets, folders of frames, images and videos."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipelines.common.errors import UserError
from pipelines.common.media.folders import entries_of, natural
from pipelines.common.media.images import is_image_name
from pipelines.common.media.video import is_video_name
from pipelines.common.models import CONFIG, TENSORS
from pipelines.common.runs import is_run
from pipelines.polyp.data import FrameRef, Listed, Polyp, PolypError, read_dataset
from pipelines.polyp.data.sources import ClipFrames, FolderFrames
from pipelines.polyp.size.marks import Marks

LONGEST: Final = 60  # characters of a polyp's name in names of files
_UNSAFE: Final = re.compile(r"[^\w-]+")


@dataclass(frozen=True, slots=True)
class Item:
    """A polyp to size. source: the data set, folder, image or video that was named or found. name: of its
    files, unique in the run. labelled: it comes from a data set, whose own boxes and masks count. trained_on:
    the model is known to have been trained on it, or on another polyp of its patient."""

    polyp: Polyp
    source: str
    name: str
    labelled: bool
    trained_on: bool = False


@dataclass(slots=True)
class Inputs:
    """items: in order. skipped: files and folders that are left out, and why. notes: for the user."""

    items: list[Item] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, polyp: Polyp, source: Path, labelled: bool) -> None:
        """One more polyp, unless the same was named before."""
        number = len(self.items) + 1
        key = polyp.id, str(source)
        if key in self._seen:
            self.notes.append(f"{source}: {polyp.id} comes twice, and is taken once")
            return
        self._seen.add(key)
        name = f"{number:04d}-{_UNSAFE.sub('_', polyp.id)[:LONGEST].strip('_')}"
        self.items.append(Item(polyp, str(source), name, labelled))


def list_items(paths: Sequence[Path], marks: Marks | None, layout: str = "") -> Inputs:
    """The polyps in data sets, folders, images and videos; no image is opened.

    A folder in a known layout is read as that, unless boxes or masks are given (`marks`). In other folders
    each folder of images is one polyp and each video one; so is each image that is named by itself. With
    marks that have ids, each id is. layout: the only one to look for. Raises UserError for a path that is not
    there and if a folder is not of the layout that is asked for.
    """
    found = Inputs()
    singles: dict[Path, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise UserError(f"there is no {path}")
        if path.is_file() and not is_video_name(path):
            singles.setdefault(path.parent, []).append(path)
        elif path.is_file():
            _video(path, marks, found)
        elif marks is not None or not _dataset(path, layout, found):
            _folder(path, marks, found)
    for folder, images in singles.items():
        _images(folder, images, marks, found)
    if marks is not None:
        found.notes += marks.unused()
    return found


def list_data_sets(paths: Sequence[Path], layout: str = "") -> Inputs:
    """The polyps of data sets. Raises UserError for a path that is none."""
    found = Inputs()
    for path in paths:
        _dataset(path, layout, found, must=True)
    return found


def _dataset(path: Path, layout: str, found: Inputs, *, must: bool = False) -> bool:
    """Whether a folder is a data set; its polyps are added then. must: it is an error if it is none."""
    try:
        dataset = read_dataset(path, layout=layout)
    except PolypError:
        if layout or must:
            raise
        return False
    found.notes.append(f"{path} is read as a data set of the layout {dataset.layout}")
    found.notes += [f"{path}: {note}" for note in dataset.notes]
    for polyp in dataset.polyps:
        found.add(polyp, path, labelled=True)
    return True


def _folder(top: Path, marks: Marks | None, found: Inputs) -> None:
    some = False
    for folder, images, videos in _walk(top, found):
        some = some or bool(images or videos)
        if images:
            name = folder.relative_to(top).as_posix() if folder != top else folder.resolve().name
            frames = FolderFrames((folder,))
            _add(name, folder, frames, marks, found)
        for video in videos:
            _video(video, marks, found)
    if not some:
        found.skipped.append((str(top), "the folder holds no images and no videos"))


def _walk(top: Path, found: Inputs) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Folders with their images and videos, in the order of their names; run and model folders are not
    entered."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        if is_run(folder) or ((folder / TENSORS).is_file() and (folder / CONFIG).is_file()):
            found.skipped.append((str(folder), "a run folder or a model folder"))
            continue
        try:
            entries = entries_of(folder)
        except PolypError as error:
            found.skipped.append((str(folder), str(error)))
            continue
        images = [path for path in entries.files if is_image_name(path)]
        videos = [path for path in entries.files if is_video_name(path)]
        others = [one for one in entries.files if one not in images and one not in videos]
        found.skipped += [(str(path), "its name is not that of an image or a video") for path in others]
        yield folder, images, videos
        waiting += sorted(entries.folders.values(), key=lambda path: natural(path.name), reverse=True)


def _video(path: Path, marks: Marks | None, found: Inputs) -> None:
    if marks is None:
        found.add(Polyp(path.stem, ClipFrames(path)), path, labelled=False)
        return
    for id, frames in marks.of_video(path).items():
        found.add(Polyp(id or path.stem, frames), path, labelled=True)


def _images(folder: Path, images: Sequence[Path], marks: Marks | None, found: Inputs) -> None:
    """Images that were named one by one."""
    refs = [FrameRef(path.stem, path) for path in images]
    if marks is None:
        for path, ref in zip(images, refs, strict=True):
            found.add(Polyp(path.stem, Listed((ref,))), path, labelled=False)
        return
    for id, frames in marks.of_images(refs).items():
        if id:
            found.add(Polyp(id, frames), folder, labelled=True)
            continue
        for ref in frames.frames:
            path = ref.image or folder
            found.add(Polyp(path.stem, Listed((ref,), frames.notes)), path, labelled=True)


def _add(name: str, folder: Path, frames: FolderFrames, marks: Marks | None, found: Inputs) -> None:
    if marks is None:
        found.add(Polyp(name, frames), folder, labelled=False)
        return
    for id, listed in marks.of_images(frames.find().frames).items():
        found.add(Polyp(id or name, listed), folder, labelled=True)
