"""What a reviewer says of a polyp: frames put in or out, boxes, the size, reasons. Free of Streamlit.

It grows by steps, each kept at once; what is left after the last one is saved with a verdict. Boxes are x0,
y0, x1, y1 in px of the upright frame.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from apps.edits import Edits, Step
from apps.items import Item
from apps.store import Store
from apps.viewers.polyp_case import SizedFrame
from pipelines.common.errors import UserError
from pipelines.polyp.data import Box
from pipelines.polyp.data.sizes import MAX_MM

BEGIN, FRAME, SIZE, REASONS = "begin", "frame", "size", "reasons"
NO_LESION: Final = "none"
REASON_LIST: Final = (
    *("box off the lesion", "wrong lesion", "blurred", "partly hidden", "too near or too far"),
    *("scale looks wrong", "near a threshold"),
)
MAX_STEPS: Final = 2_000  # that a browser may send at once
MAX_SIDE: Final = 65_535  # px


@dataclass(frozen=True, slots=True)
class FrameMark:
    """use: whether the frame is in; None: as in the run. box: NO_LESION, or None: as in the run."""

    use: bool | None = None
    box: Box | str | None = None

    def is_in(self, frame: SizedFrame) -> bool:
        """Whether the frame counts: it has a box, and is in."""
        return self.box_of(frame) is not None and (frame.used if self.use is None else self.use)

    def box_of(self, frame: SizedFrame) -> Box | None:
        """Where the lesion is; None if the frame shows none."""
        if self.box is None:
            return frame.box
        return None if isinstance(self.box, str) else self.box


@dataclass(frozen=True, slots=True)
class Marks:
    """mm: the right size, None: as in the run; bound: it is at least that. frames: by name, those that were
    changed. reasons: of REASON_LIST."""

    mm: float | None = None
    bound: bool = False
    frames: Mapping[str, FrameMark] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def of(self, frame: SizedFrame) -> FrameMark:
        return self.frames.get(frame.name, FrameMark())

    def changes(self, frames: Sequence[SizedFrame]) -> bool:
        """Whether other frames or boxes count than in the run, so that its size is not of these."""
        return any(
            mark.is_in(one) != one.used or (one.used and mark.box_of(one) != one.box)
            for one in frames
            if (mark := self.frames.get(one.name)) is not None
        )

    @property
    def empty(self) -> bool:
        return self == Marks()


@dataclass(frozen=True, slots=True)
class Shown:
    """own: whether the marks come of steps of this reviewer. origin: in words, if they do not."""

    marks: Marks
    own: bool
    origin: str = ""


def marks_of(item: Item, store: Store, reviewer: str) -> Shown:
    """What is said of an item: by the reviewer's steps, or by the verdict that counts if it is newer."""
    steps, since = Edits(store).of(item.id, reviewer)
    detail, time = store.detail(item.id)
    if detail and (not steps or time > since):
        return Shown(saved(detail), own=False, origin="as saved")
    return Shown(after(steps), own=bool(steps))


def after(steps: Sequence[str]) -> Marks:
    """The marks after steps, each a JSON list: `["begin", {...}]`, `["frame", name, use, box]`, `["size", mm,
    bound]` or `["reasons", [...]]`."""
    found = Marks()
    for text in steps:
        kind, *rest = json.loads(text)
        if kind == BEGIN:
            found = _marks(rest[0])
        elif kind == FRAME:
            name, mark = rest[0], _frame_mark(rest[1], rest[2])
            frames = {**found.frames, name: mark}
            if mark == FrameMark():
                del frames[name]
            found = replace(found, frames=frames)
        elif kind == SIZE:
            found = replace(found, mm=rest[0], bound=rest[1])
        else:
            found = replace(found, reasons=tuple(rest[0]))
    return found


def checked_steps(sent: Sequence[Sequence[Any]], tab: str, frames: Sequence[SizedFrame]) -> list[Step]:
    """What a browser sent as steps of a window, each `[number, kind, ...]`. Raises ValueError."""
    if not tab or len(sent) > MAX_STEPS:
        raise ValueError("the page sent no steps")
    names = {one.name: one for one in frames}
    steps = []
    for one in sent:
        if len(one) < 3 or type(one[0]) is not int or not 0 <= one[0] < 2**53:
            raise ValueError("the page sent a step without a number")
        number, kind, *rest = one
        if kind == BEGIN and len(rest) == 1:
            edit: list[Any] = [kind, as_json(_checked_marks(rest[0], names))]
        elif kind == FRAME and len(rest) == 3:
            edit = [kind, *_checked_frame(rest, names)]
        elif kind == SIZE and len(rest) == 2:
            edit = [kind, *_checked_size(*rest)]
        elif kind == REASONS and len(rest) == 1:
            edit = [kind, _checked_reasons(rest[0])]
        else:
            raise ValueError("the page sent a step of an unknown kind")
        steps.append(Step(tab, number, json.dumps(edit, separators=(",", ":"))))
    return steps


def as_json(marks: Marks) -> dict[str, Any]:
    """Marks as the browser has them, and as a verdict keeps them."""
    found = asdict(marks)
    found["frames"] = {name: [mark.use, mark.box] for name, mark in marks.frames.items()}
    return found


def as_detail(marks: Marks) -> str:
    """What is kept with a verdict; empty if nothing was said."""
    return "" if marks.empty else json.dumps(as_json(marks), separators=(",", ":"))


def without_size(marks: Marks) -> Marks:
    """Marks that leave the size as it is in the run."""
    return replace(marks, mm=None, bound=False)


def saved(detail: str) -> Marks:
    """The marks of a verdict; none if it has none. Raises UserError if they are damaged."""
    if not detail:
        return Marks()
    try:
        return _marks(json.loads(detail))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"what was said of this polyp is damaged: {error}") from error


def _marks(given: Mapping[str, Any]) -> Marks:
    frames = {str(name): _frame_mark(use, box) for name, (use, box) in given["frames"].items()}
    mm = given["mm"]
    return Marks(None if mm is None else float(mm), bool(given["bound"]), frames, tuple(given["reasons"]))


def _frame_mark(use: bool | None, box: Any) -> FrameMark:
    if box is None or box == NO_LESION:
        return FrameMark(use, box)
    x0, y0, x1, y1 = (float(one) for one in box)
    return FrameMark(use, (x0, y0, x1, y1))


def _checked_marks(given: object, names: Mapping[str, SizedFrame]) -> Marks:
    if not isinstance(given, dict) or not isinstance(given.get("frames"), dict):
        raise ValueError("the page sent no marks to begin with")
    frames = {}
    for name, mark in given["frames"].items():
        if not isinstance(mark, list) or len(mark) != 2:
            raise ValueError("the page sent a frame that is none")
        frames[name] = _frame_mark(*_checked_frame([name, *mark], names)[1:])
    mm, bound = _checked_size(given.get("mm"), given.get("bound"))
    return Marks(mm, bound, frames, tuple(_checked_reasons(given.get("reasons"))))


def _checked_frame(rest: Sequence[Any], names: Mapping[str, SizedFrame]) -> list[Any]:
    name, use, box = rest
    if not isinstance(name, str) or name not in names:
        raise ValueError("the page sent a frame that this polyp does not have")
    if use is not None and not isinstance(use, bool):
        raise ValueError("the page sent no answer to whether a frame is in")
    if box is None or box == NO_LESION:
        return [name, use, box]
    width, height = names[name].width or MAX_SIDE, names[name].height or MAX_SIDE
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise ValueError("the page sent a box that is none")
    if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
        raise ValueError("the page sent a box that does not lie in its frame")
    return [name, use, [round(float(one), 1) for one in box]]


def _checked_size(mm: object, bound: object) -> tuple[float | None, bool]:
    if not isinstance(bound, bool) or not (mm is None or _is_number(mm)):
        raise ValueError("the page sent a size that is none")
    if mm is None:
        return None, False
    assert isinstance(mm, int | float)
    if not 0 < mm <= MAX_MM:
        raise ValueError(f"a size is above 0 and at most {MAX_MM:g} mm")
    return round(float(mm), 2), bound


def _checked_reasons(given: object) -> list[str]:
    if not isinstance(given, Collection) or isinstance(given, str | bytes):
        raise ValueError("the page sent no reasons")
    if any(one not in REASON_LIST for one in given):
        raise ValueError("the page sent a reason that is not on the list")
    return [one for one in REASON_LIST if one in given]


def _is_number(one: object) -> bool:
    return type(one) in (int, float) and math.isfinite(one)  # type: ignore[arg-type]
