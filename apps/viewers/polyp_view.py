"""The component that shows a polyp's size and frames and takes corrections: what the browser gets and says.

`polyp_view.js` and its parts draw; `component` has what it shares with others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import streamlit as st

from apps.items import visible
from apps.viewers import polyp_marks as marking
from apps.viewers.component import Heard, component, hear
from apps.viewers.polyp_case import SizedFrame
from apps.viewers.polyp_pictures import Picture
from pipelines.polyp.data.sizes import MAX_MM
from pipelines.polyp.metrics.bins import LARGE_MM, SMALL_MM

COMPONENT: Final = "polyp view"
PARTS: Final = "stage", "polyp_size", "polyp_strip", "polyp_stage", "polyp_panel"
_component = component("polyp_view", "polyp", PARTS)


@dataclass(frozen=True, slots=True)
class Message(Heard):
    """Also: look: number of the frame that is looked at. seen: of the first frame that the strip shows.
    again: whether to size the polyp again."""

    look: int
    seen: int
    again: bool


@dataclass(frozen=True, slots=True)
class Size:
    """mm, low, high: None without one. decision, reason: as in the run. scale: where it came from, in words.
    chances: of being small and large. true: the known size and whether it is a bound. curve: see `curve_of`.
    trained: whether the model is known to have been trained on this polyp or its patient.
    """

    mm: float | None
    low: float | None
    high: float | None
    decision: str
    reason: str
    chances: tuple[float | None, float | None]
    scale: str
    true: tuple[float | None, bool]
    curve: Sequence[tuple[float, float]]
    trained: bool


@dataclass(frozen=True, slots=True)
class Again:
    """What the model says of the frames and boxes as they are now. told: in words. mm: None without a size.
    of: the marks that it is of."""

    told: str
    mm: float | None
    of: marking.Marks


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be seen. frames: in order. pictures: by the number of the frame, those that were read.
    large: numbers of frames that are sent large. look: the number of the frame to begin with. can_size:
    whether the model may be asked again; again: its answer. own, origin: as `marking.Shown` has them.
    tab, answered, have: of the message that was heard last; acked: the last step of that window that is kept.
    """

    key: str
    title: str
    size: Size
    frames: Sequence[SizedFrame]
    pictures: Mapping[int, Picture]
    large: Sequence[int]
    look: int
    marks: marking.Marks
    own: bool
    origin: str
    can_size: bool
    again: Again | None
    tab: str
    answered: int
    have: frozenset[str]
    acked: int


def draw(shown: Shown, heard: Callable[[Message], None]) -> None:
    """Draw the component. heard: gets what the browser says, before the next drawing."""

    def told() -> None:
        message = read(st.session_state[COMPONENT].told)
        if message is not None:
            heard(message)

    _component(key=COMPONENT, data=_data(shown), on_told_change=told)


def read(given: object) -> Message | None:
    """A message of the browser; None if it is none."""
    heard = hear(given)
    if heard is None or not isinstance(given, dict):
        return None
    look, seen = given.get("look"), given.get("seen")
    if type(look) is not int or type(seen) is not int:
        return None
    return Message(
        **heard,
        look=look,
        seen=seen,
        again=given.get("again") is True,
    )


def _data(shown: Shown) -> dict[str, Any]:
    again = shown.again if shown.again is not None and shown.again.of == shown.marks else None
    return {
        "key": shown.key,
        "title": visible(shown.title),
        "size": asdict(shown.size)
        | {"reason": visible(shown.size.reason), "scale": visible(shown.size.scale)},
        "thresholds": [SMALL_MM, LARGE_MM],
        "mostMm": MAX_MM,
        "frames": [_frame(one) for one in shown.frames],
        "pictures": {
            str(number): _picture(one, number in shown.large, shown.have)
            for number, one in shown.pictures.items()
        },
        "look": shown.look,
        "marks": marking.as_json(shown.marks),
        "reasons": marking.REASON_LIST,
        "own": shown.own,
        "origin": shown.origin,
        "canSize": shown.can_size,
        "again": None if again is None else {"told": again.told, "mm": again.mm},
        "tab": shown.tab,
        "answered": shown.answered,
        "acked": shown.acked,
    }


def _frame(one: SizedFrame) -> dict[str, Any]:
    return {
        "name": one.name,
        "shown": visible(one.name),
        "width": one.width,
        "height": one.height,
        "box": one.box,
        "used": one.used,
        "reason": visible(one.reason),
        "mm": one.mm,
        "told": _told(one),
    }


def _told(one: SizedFrame) -> str:
    """What the frame alone says, and how good it is."""
    if one.mm is None or one.low is None or one.high is None:
        return ""
    told = [f"alone {one.mm:.1f} mm ({one.low:.1f} to {one.high:.1f})", f"weight {one.weight:.2f}"]
    if one.sharpness is not None:
        told.append(f"sharpness {one.sharpness:.3g}")
    if one.score is not None:
        told.append(f"finder {one.score:.0%}")
    return " · ".join(told)


def _picture(one: Picture, large: bool, have: frozenset[str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "thumb": None if not one.id or f"{one.id} thumb" in have else one.thumb,
        "large": None if not one.id or not large or one.id in have else one.large,
        "box": one.box,
        "outline": one.outline if large else [],
        "error": one.error,
    }
