"""Boxes and masks that a user gives beside the frames: a table, a folder of VOC annotations, or of masks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pipelines.common.errors import UserError
from pipelines.common.media.folders import entries_of, natural, some
from pipelines.common.media.images import is_image_name
from pipelines.common.media.video import is_video_name
from pipelines.common.whole import whole_number
from pipelines.polyp.data import Box, FrameRef, Listed, PolypError
from pipelines.polyp.data.sources import frame_time
from pipelines.polyp.data.tables import Row, read_table
from pipelines.polyp.data.voc import read_voc

NAMES: Final = ("image", "frame", "name", "file", "filename")
IDS: Final = ("polyp", "polyp_id", "id", "unique_id")
CORNERS: Final = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"))
MASK_ENDING: Final = "_mask"


@dataclass(frozen=True, slots=True)
class Mark:
    """One box or mask of one frame. id: of the polyp, or empty. upright, label_size: as in `FrameRef`."""

    id: str = ""
    box: Box | None = None
    mask: Path | None = None
    label_size: tuple[int, int] | None = None
    upright: bool = True
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Marks:
    """What is given, by the names of frames.

    source: for messages. named: by names of images without their ending, with or without folders before.
    numbered: by name of the video, or empty, and number of the frame. notes: in words for the user.
    """

    source: Path
    named: dict[str, list[Mark]] = field(default_factory=dict)
    numbered: dict[tuple[str, int], list[Mark]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _used: dict[str | tuple[str, int], Path] = field(default_factory=dict)

    def of_images(self, refs: Sequence[FrameRef]) -> dict[str, Listed]:
        """Frames by id of their polyp; those of none, and those without a mark, under the empty id.

        Where all marks have ids, frames without a mark are in none. Raises UserError if one mark fits frames
        of two folders.
        """
        return _by_id((ref, self._of_image(ref)) for ref in refs)

    def of_video(self, path: Path) -> dict[str, Listed]:
        """Frames of a video that have a mark, by id of their polyp; see `of_images`."""
        found: dict[int, list[Mark]] = {}
        for (video, number), marks in self.numbered.items():
            if video in ("", path.name, path.stem):
                self._use((video, number), path)
                found.setdefault(number, []).extend(marks)
        pattern = re.compile(rf"{re.escape(path.stem)}(?:_|/(?:.*\D)?)(\d+)")
        for name, marks in self.named.items():
            match = pattern.fullmatch(name)
            if match is not None:
                self._use(name, path)
                found.setdefault(int(match[1]), []).extend(marks)
        return _by_id(
            (FrameRef(f"{path.stem}_{number}", video=path, number=number), found[number])
            for number in sorted(found)
        )

    def unused(self) -> list[str]:
        """Notes, and marks that fit no frame."""
        bare = [str(name) for name in self.named if name not in self._used]
        bare += [
            f"{video} {number}".strip()
            for video, number in self.numbered
            if (video, number) not in self._used
        ]
        missing = some(sorted(bare, key=natural), f"names in {self.source.name} fit no frame") if bare else ""
        return [*self.notes, *([missing] if missing else [])]

    def _of_image(self, ref: FrameRef) -> list[Mark]:
        if ref.image is None:
            return []
        parts = ref.image.absolute().with_suffix("").parts
        for count in range(min(len(parts) - 1, 4), 0, -1):
            name = "/".join(parts[-count:])
            if name in self.named:
                self._use(name, ref.image.parent)
                return self.named[name]
        time = frame_time(ref.image.stem)
        if time is not None and time == int(time):
            for video in (ref.image.parent.name, ""):
                if (video, int(time)) in self.numbered:
                    self._use((video, int(time)), ref.image.parent)
                    return self.numbered[video, int(time)]
        return []

    def _use(self, name: str | tuple[str, int], place: Path) -> None:
        before = self._used.setdefault(name, place)
        if before != place:
            shown = name if isinstance(name, str) else f"frame {name[1]}"
            raise UserError(
                f"{self.source}: {shown} fits frames of {before} and of {place}: put the folder before the"
                " names of images, or add a column video with the name of the video"
            )


def read_marks(boxes: Path | None, masks: Path | None) -> Marks | None:
    """Boxes or masks; None if neither is given. Raises UserError."""
    if boxes is not None and masks is not None:
        raise UserError("--boxes and --masks both say where the lesion is: give one of them")
    given = boxes or masks
    if given is None:
        return None
    if not given.exists():
        raise UserError(f"there is no {given}")
    if masks is not None:
        return _mask_folder(masks)
    return _voc_folder(given) if given.is_dir() else _table(given)


def _table(path: Path) -> Marks:
    rows, notes = read_table(path)
    found = Marks(path, notes=list(notes))
    columns = list(rows[0]) if rows else []
    name = next((one for one in NAMES if one in columns), "")
    id = next((one for one in IDS if one in columns and one != name), "")
    corners = next((some for some in CORNERS if set(some) <= set(columns)), None)
    if not name or corners is None:
        raise UserError(
            f"{path} is no table of boxes: it needs the columns image or frame, and x0, y0, x1, y1 (or xmin,"
            f" ymin, xmax, ymax), and has {', '.join(columns) or 'no line'}"
        )
    nameless = 0
    for row in rows:
        mark = _of_row(row, row.get(id, ""), corners)
        text = row[name]
        if not text:
            nameless += 1
        elif (number := whole_number(text)) is not None:
            found.numbered.setdefault((_plain(row.get("video", "")), number), []).append(mark)
        else:
            found.named.setdefault(_plain(text), []).append(mark)
    if nameless:
        found.notes.append(f"{path.name}: {nameless} lines name no frame, and are left out")
    return found


def _of_row(row: Row, id: str, corners: Sequence[str]) -> Mark:
    texts = [row[one] for one in corners]
    try:
        x0, y0, x1, y1 = (float(one) for one in texts)
    except ValueError:
        return Mark(id, notes=(f"its box, {', '.join(texts)}, is no four numbers, and is left out",))
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        return Mark(id, notes=("its box has corners that are no numbers, and is left out",))
    return Mark(id, (x0, y0, x1, y1))


def _voc_folder(folder: Path) -> Marks:
    found = Marks(folder)
    for name, path in _files(folder, lambda one: one.suffix.lower() == ".xml").items():
        try:
            annotation = read_voc(path)
        except PolypError as error:
            found.named[name] = [Mark(notes=(f"{error}; it is left out",))]
            continue
        found.named[name] = [
            Mark(one.id, one.box, None, annotation.size, False, annotation.notes)
            for one in annotation.lesions
        ]
    if not found.named:
        raise UserError(f"{folder} holds no VOC annotations (.xml)")
    return found


def _mask_folder(folder: Path) -> Marks:
    if not folder.is_dir():
        raise UserError(f"--masks needs a folder of images, and {folder} is a file")
    files = _files(folder, is_image_name)
    if not files:
        raise UserError(f"{folder} holds no images")
    named = {name.removesuffix(MASK_ENDING): [Mark(mask=path, upright=False)] for name, path in files.items()}
    return Marks(folder, named)


def _files(folder: Path, wanted: Callable[[Path], bool]) -> dict[str, Path]:
    """Files in a folder and in those in it, by name without the ending, with the inner folder before it."""
    entries = entries_of(folder)
    found = {path.stem: path for path in entries.files if wanted(path)}
    for inner in entries.folders.values():
        found |= {f"{inner.name}/{path.stem}": path for path in entries_of(inner).files if wanted(path)}
    return found


def _plain(name: str) -> str:
    """A name without the ending of images and videos."""
    if not name:
        return ""
    path = Path(name.replace("\\", "/"))
    known = is_image_name(path) or is_video_name(path)
    return path.with_suffix("").as_posix() if known else path.as_posix()


def _by_id(marked: Iterable[tuple[FrameRef, list[Mark]]]) -> dict[str, Listed]:
    frames: dict[str, list[FrameRef]] = {}
    loose: list[FrameRef] = []  # of no id, and without a mark
    some_loose_mark = False
    twice: list[str] = []
    for ref, marks in marked:
        if not marks:
            loose.append(ref)
        for id in dict.fromkeys(one.id for one in marks):
            own = [one for one in marks if one.id == id]
            others = tuple(one.box for one in marks if one.id != id and one.box is not None)
            if id and len(own) > 1:
                twice.append(ref.name)
            some_loose_mark = some_loose_mark or not id
            (frames.setdefault(id, []) if id else loose).append(_with(ref, own, others))
    if not frames or some_loose_mark:
        frames[""] = loose
    notes = (some(twice, "frames have several boxes of the same polyp; the first is taken"),) if twice else ()
    return {id: Listed(tuple(own), notes) for id, own in frames.items()}


def _with(ref: FrameRef, own: Sequence[Mark], others: tuple[Box, ...]) -> FrameRef:
    """The frame with the marks of one polyp."""
    first = own[0]
    notes = (*ref.notes, *(note for one in own for note in one.notes))
    ref = replace(ref, label_size=first.label_size, upright=first.upright, notes=notes)
    if not first.id and len(own) > 1:
        boxes = tuple(one.box for one in own if one.box is not None)
        return replace(ref, others=boxes)
    return replace(ref, box=first.box, mask=first.mask, others=others)
