"""Where frames are: folders of images, and video files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.common.media.folders import entries_of, natural, some
from pipelines.common.media.images import is_image_name
from pipelines.common.media.video import Video

from .record import DepthFile, FrameListing, FrameRef, PolypError

MAX_FRAMES: Final = 10_000_000  # of one video: the longest examinations have some 100,000
_LAST_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


def images_in(folder: Path) -> list[Path]:
    """Images of a folder in order of time: by the number after the last `_`, or by their names without one.

    Raises PolypError if the folder cannot be read.
    """
    return sorted((path for path in entries_of(folder).files if is_image_name(path)), key=in_time)


def in_time(path: Path) -> tuple[float, tuple[tuple[int, int, str], ...]]:
    """A key that sorts frames by the number at the end of their names: 001-001_2 before 001-001_10."""
    found = frame_time(path.stem)
    return (-1.0 if found is None else found, natural(path.stem))


def frame_time(stem: str) -> float | None:
    """The number after the last `_` of a frame's name, whole or with a fraction; None if there is none.

    An `_` at the very end does not count: the names of Polyp-Size are `video_1.25_`.
    """
    last = stem.rstrip("_").rpartition("_")[2]
    return float(last) if _LAST_NUMBER.fullmatch(last) else None


@dataclass(frozen=True, slots=True)
class Beside:
    """Folders with an image for each frame, found by the frame's stem. depth_mm: what one step is worth."""

    masks: Path | None = None
    depths: Path | None = None
    depth_mm: float = 0.01


@dataclass(frozen=True, slots=True)
class FolderFrames:
    """All images of some folders, one after the other, as frames of one polyp.

    in_seconds: the number at the end of a name is a time in seconds.
    """

    folders: tuple[Path, ...]
    beside: Beside = Beside()
    in_seconds: bool = False

    def find(self) -> FrameListing:
        """The frames. Raises PolypError if a folder cannot be read or none holds an image."""
        frames = []
        for folder in self.folders:
            masks = by_stem(self.beside.masks, folder.name)
            depths = by_stem(self.beside.depths, folder.name)
            prefix = f"{folder.name}/" if len(self.folders) > 1 else ""
            for path in images_in(folder):
                depth = depths.get(path.stem)
                frames.append(
                    FrameRef(
                        prefix + path.stem,
                        path,
                        seconds=frame_time(path.stem) if self.in_seconds else None,
                        mask=masks.get(path.stem),
                        depth=DepthFile(depth, self.beside.depth_mm) if depth else None,
                    )
                )
        if not frames:
            raise PolypError(f"{', '.join(map(str, self.folders))}: there is no image in it")
        return FrameListing(tuple(frames))


def by_stem(top: Path | None, inner: str) -> dict[str, Path]:
    """Images by stem in `top/inner`, or in `top` if there is no such folder in it; empty without `top`."""
    if top is None:
        return {}
    folder = top / inner if (top / inner).is_dir() else top
    try:
        return {path.stem: path for path in entries_of(folder).files if is_image_name(path)}
    except PolypError:
        return {}


@dataclass(frozen=True, slots=True)
class ClipFrames:
    """Frames of a video file, all of one polyp."""

    path: Path

    def find(self) -> FrameListing:
        """A frame for each that the file states. Raises PolypError if it cannot be opened or decoded."""
        with Video(self.path) as video:
            count = video.frame_count
            if count is None or count > MAX_FRAMES:  # the file does not say, so they are counted
                count = sum(1 for _ in video.frames())
            frames = tuple(
                FrameRef(
                    f"{self.path.stem}_{number}", video=self.path, number=number, seconds=number / video.fps
                )
                for number in range(count)
            )
            return FrameListing(frames, notes=tuple(video.notes))


def unmatched(bare: list[str], orphans: list[str]) -> Iterator[str]:
    """Notes of frames without labels and of labels without a frame."""
    if bare:
        yield some(bare, "frames have no annotation, and are left out")
    if orphans:
        yield some(orphans, "annotations have no frame")
