"""Frames whose boxes lie in a text or an annotation of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.common.media.folders import natural, some
from pipelines.common.media.limits import MAX_LABEL_BYTES, read_bytes

from .record import Box, FrameListing, FrameRef, PolypError
from .sources import images_in, unmatched
from .voc import read_voc


@dataclass(frozen=True, slots=True)
class SunFrames:
    """A case of SUN: a folder of images, and a text with a line for each: name, then boxes with a class."""

    folder: Path
    annotation: Path

    def find(self) -> FrameListing:
        """The frames that have a line. Raises PolypError if the folder or the text cannot be read."""
        boxes, notes = read_sun(self.annotation)
        frames, bare = [], []
        for path in images_in(self.folder):
            found = boxes.pop(path.name, None)
            if found is None:
                bare.append(path.name)
            else:
                frames.append(with_boxes(FrameRef(path.stem, path), found))
        return FrameListing(tuple(frames), notes=(*notes, *unmatched(bare, sorted(boxes, key=natural))))


def read_sun(path: Path) -> tuple[dict[str, list[Box]], list[str]]:
    """Boxes by image of a text of SUN, and notes. Lines are `name xmin,ymin,xmax,ymax,class ...`.

    Lines that are none are left out with a note. Raises PolypError with the path and the reason.
    """
    try:
        text = read_bytes(path, MAX_LABEL_BYTES, may_be_empty=True).decode("utf-8-sig", "replace")
    except PolypError as error:
        raise PolypError(f"{path}: {error}") from error
    found: dict[str, list[Box]] = {}
    wrong = []
    for line, words in enumerate((one.split() for one in text.splitlines()), start=1):
        if not words:
            continue
        try:
            boxes = [_corners(one) for one in words[1:]]
        except ValueError:
            wrong.append(str(line))
            continue
        found.setdefault(words[0], boxes)
    return found, [f"{path.name}: {some(wrong, 'lines are no boxes and are left out')}"] if wrong else []


def _corners(text: str) -> Box:
    x0, y0, x1, y1 = (float(one) for one in text.split(",")[:4])
    return x0, y0, x1, y1


@dataclass(frozen=True, slots=True)
class VocStill:
    """One image with its VOC annotation: a still picture, of a polyp that no other is known of."""

    image: Path
    annotation: Path

    def find(self) -> FrameListing:
        """The one frame. Raises PolypError if the annotation cannot be read."""
        found = read_voc(self.annotation)
        boxes = [one.box for one in found.lesions]
        frame = FrameRef(self.image.stem, self.image, label_size=found.size, notes=found.notes)
        return FrameListing((with_boxes(frame, boxes),))


def with_boxes(frame: FrameRef, boxes: list[Box]) -> FrameRef:
    """The frame of a still picture: one box is the polyp's; of several, which have no ids, none is."""
    if len(boxes) == 1:
        return replace(frame, box=boxes[0])
    return replace(frame, others=tuple(boxes))


@dataclass(frozen=True, slots=True)
class TextStill:
    """A still picture with a text of boxes, as PolypGen's: the last four numbers of each line are corners."""

    frame: FrameRef
    text: Path

    def find(self) -> FrameListing:
        """The one frame. Raises PolypError if the text cannot be read."""
        try:
            text = read_bytes(self.text, MAX_LABEL_BYTES, may_be_empty=True).decode("utf-8-sig", "replace")
        except PolypError as error:
            raise PolypError(f"{self.text}: {error}") from error
        boxes, wrong = [], []
        for number, line in enumerate(text.replace(",", " ").splitlines(), start=1):
            words = line.split()[-4:]
            if not words:
                continue
            try:
                x0, y0, x1, y1 = (float(one) for one in words)
                boxes.append((x0, y0, x1, y1))
            except ValueError:
                wrong.append(str(number))
        notes = (f"{self.text.name}: {some(wrong, 'lines are no boxes and are left out')}",) if wrong else ()
        return FrameListing((with_boxes(replace(self.frame, notes=notes), boxes),))
