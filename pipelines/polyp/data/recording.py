"""Recordings with a VOC annotation for each frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from pipelines.common.media.folders import entries_of, natural

from .record import Box, DepthFile, FailedFrame, FrameListing, FrameRef, PolypError
from .sources import Beside, by_stem, frame_time, images_in, unmatched
from .voc import read_voc


@dataclass(frozen=True, slots=True)
class VocFrames:
    """A recording with a VOC annotation for each frame, of which those of one polyp are taken.

    polyp: `unique_id` of the objects that count; None for all frames, with all lesions as `others`.
    """

    images: Path
    annotations: Path
    beside: Beside
    polyp: str | None
    fps: float | None = None

    def ids(self) -> list[str]:
        """Ids of all polyps that are annotated in the recording. Raises PolypError as `find` does."""
        found = self._everything()
        return sorted({name for one in found.frames for name, _ in one.lesions if name}, key=natural)

    def find(self) -> FrameListing:
        """The frames. Annotations of a recording are read once for all its polyps.

        Raises PolypError if a folder cannot be read.
        """
        everything = self._everything()
        if self.polyp is None:
            frames = tuple(
                replace(one.frame, others=tuple(box for _, box in one.lesions)) for one in everything.frames
            )
            return FrameListing(frames, everything.failed, everything.notes)
        found, notes = [], []
        for one in everything.frames:
            own = [box for name, box in one.lesions if name == self.polyp]
            if not own:
                continue
            if len(own) > 1:
                notes.append(f"{one.frame.name} has {len(own)} boxes of the same polyp; the first is taken")
            others = tuple(box for name, box in one.lesions if name != self.polyp)
            found.append(replace(one.frame, box=own[0], others=others))
        return FrameListing(tuple(found), everything.failed, (*everything.notes, *notes))

    def _everything(self) -> _All:
        stamp = _stamp(self.images, self.annotations)
        return _recording(self.images, self.annotations, self.beside, self.fps, stamp)


@dataclass(frozen=True, slots=True)
class _Labelled:
    frame: FrameRef
    lesions: tuple[tuple[str, Box], ...]


@dataclass(frozen=True, slots=True)
class _All:
    frames: tuple[_Labelled, ...]
    failed: tuple[FailedFrame, ...]
    notes: tuple[str, ...]


def _stamp(*folders: Path) -> tuple[int, ...]:
    """Changes when files come or go, so that what was read before is not taken for what is there now."""
    try:
        return tuple(folder.stat().st_mtime_ns for folder in folders if folder.exists())
    except OSError as error:
        raise PolypError(f"{folders[0]} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=4)
def _recording(
    images: Path, annotations: Path, beside: Beside, fps: float | None, stamp: tuple[int, ...]
) -> _All:
    labels = (
        {path.stem: path for path in entries_of(annotations).files if path.suffix.lower() == ".xml"}
        if annotations.exists()
        else {}
    )
    masks, depths = by_stem(beside.masks, ""), by_stem(beside.depths, "")
    frames, failed, bare = [], [], []
    pictures = images_in(images)
    for path in pictures:
        label = labels.pop(path.stem, None)
        if label is None:
            bare.append(path.stem)
            continue
        try:
            found = read_voc(label)
        except PolypError as error:
            failed.append(FailedFrame(path.stem, str(error)))
            continue
        number, depth = frame_time(path.stem), depths.get(path.stem)
        frame = FrameRef(
            path.stem,
            path,
            seconds=number / fps if fps and number is not None else None,
            label_size=found.size,
            mask=masks.get(path.stem),
            depth=DepthFile(depth, beside.depth_mm) if depth else None,
            notes=found.notes,
        )
        frames.append(_Labelled(frame, tuple((one.id, one.box) for one in found.lesions)))
    return _All(tuple(frames), tuple(failed), tuple(unmatched(bare, sorted(labels, key=natural))))
