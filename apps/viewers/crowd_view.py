"""The component that shows an image with its layers and takes clicks: what the browser gets and says.

`crowd_view.js` and its stage draw; `component` has what it shares with others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from apps.items import visible
from apps.viewers.component import Heard, component, hear
from apps.viewers.crowd_marks import Point
from apps.viewers.crowd_pictures import Box, Part
from pipelines.crowd.count.pictures import ZONE_COLOURS
from pipelines.crowd.zones import Zone

COMPONENT: Final = "crowd view"
COLOURS: Final = tuple("#{:02x}{:02x}{:02x}".format(*colour) for colour in ZONE_COLOURS)
MOST_PIXELS: Final = 8192  # that a browser may say its canvas is wide
PARTS: Final = "stage", "crowd_stage"
_component = component("crowd_view", "crowd", PARTS)


@dataclass(frozen=True, slots=True)
class Message(Heard):
    """Also: box, pixels: the part that is looked at, and how many px it has across on the screen. offer:
    whether to offer the model's heads."""

    box: Box | None
    pixels: int
    offer: bool


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is to be seen. width, height: of the image in px. native: px that can be had of each of them, 1
    or less. zones: with what is said of each. points: the marked heads; own, origin: as `Marks` has them.
    predicted: the heads that the run lists, None without. offer: the model's heads, if they were asked for.
    tab, answered, have: of the message that was heard last; acked: the last step of that window that is kept.
    """

    key: str
    title: str
    width: int
    height: int
    native: float
    count: str
    interval: str
    pictures: dict[str, Part]
    zones: Sequence[tuple[Zone, str]]
    points: Sequence[Point]
    own: bool
    origin: str
    predicted: Sequence[Point] | None
    can_begin: bool
    offer: Sequence[Point] | None
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
    look = given.get("look")
    box, pixels = _look(look) if isinstance(look, dict) else (None, 0)
    return Message(
        **heard,
        box=box,
        pixels=pixels,
        offer=given.get("offer") is True,
    )


def _look(look: dict[str, Any]) -> tuple[Box | None, int]:
    box, pixels = look.get("box"), look.get("pixels")
    if type(pixels) is not int or not 0 < pixels <= MOST_PIXELS or not isinstance(box, list) or len(box) != 4:
        return None, 0
    if not all(type(one) in (int, float) and abs(one) < 1e6 for one in box):
        return None, 0
    left, top, right, bottom = (float(one) for one in box)
    return ((left, top, right, bottom), pixels) if left < right and top < bottom else (None, 0)


def _data(shown: Shown) -> dict[str, Any]:
    return {
        "key": shown.key,
        "title": visible(shown.title),
        "width": shown.width,
        "height": shown.height,
        "native": shown.native,
        "count": shown.count,
        "interval": shown.interval,
        "pictures": {
            name: {"id": one.id, "box": one.box, "url": None if one.id in shown.have else one.url}
            for name, one in shown.pictures.items()
        },
        "zones": [
            {
                "name": visible(zone.name),
                "told": told,
                "colour": COLOURS[number % len(COLOURS)],
                "rings": [ring.round(2).reshape(-1).tolist() for ring, _ in zone.rings()],
            }
            for number, (zone, told) in enumerate(shown.zones)
        ],
        "points": _flat(shown.points),
        "own": shown.own,
        "origin": shown.origin,
        "predicted": None if shown.predicted is None else _flat(shown.predicted),
        "canBegin": shown.can_begin,
        "offer": None if shown.offer is None else _flat(shown.offer),
        "tab": shown.tab,
        "answered": shown.answered,
        "acked": shown.acked,
    }


def _flat(points: Sequence[Point]) -> list[float]:
    return [one for point in points for one in point]
