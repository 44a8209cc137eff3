"""The component that shows an image with its layers and takes clicks: what the browser gets and says.

`crowd_view.js` draws. The browser names its window, counts its steps, and sends those that are not yet
acknowledged with every message, so that none is lost if a message is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from apps.items import visible
from apps.viewers.crowd_marks import Point
from apps.viewers.crowd_pictures import Box, Part
from pipelines.crowd.count.pictures import ZONE_COLOURS
from pipelines.crowd.zones import Zone

COMPONENT: Final = "crowd view"
COLOURS: Final = tuple("#{:02x}{:02x}{:02x}".format(*colour) for colour in ZONE_COLOURS)
MOST_PIXELS: Final = 8192  # that a browser may say its canvas is wide
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "crowd_view",
    html='<div class="crowd"></div>',
    css=(_HERE / "crowd_view.css").read_text(encoding="utf-8"),
    js=(_HERE / "crowd_view.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """What the browser said. tab: its window. number: of the message. key: of the item that it shows. steps:
    not yet checked, each with the key of its item in front. have: pictures that need not be sent again. box,
    pixels: the part that is looked at, and how many px it has across on the screen. save, offer: whether to
    save, and to offer the model's heads."""

    tab: str
    number: int
    key: str
    steps: tuple[tuple[str, list[Any]], ...]
    have: frozenset[str]
    box: Box | None
    pixels: int
    save: bool
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
    if not isinstance(given, dict):
        return None
    texts = [given.get(name) for name in ("tab", "key")]
    number, steps, look = given.get("message"), given.get("steps"), given.get("look")
    if not all(isinstance(one, str) for one in texts) or type(number) is not int:
        return None
    if not isinstance(steps, list) or not all(_is_step(one) for one in steps):
        return None
    have = given.get("have")
    box, pixels = _look(look) if isinstance(look, dict) else (None, 0)
    return Message(
        tab=str(texts[0]),
        number=number,
        key=str(texts[1]),
        steps=tuple((one[0], one[1:]) for one in steps),
        have=frozenset(one for one in have if isinstance(one, str))
        if isinstance(have, list)
        else frozenset(),
        box=box,
        pixels=pixels,
        save=given.get("save") is True,
        offer=given.get("offer") is True,
    )


def _is_step(one: object) -> bool:
    return isinstance(one, list) and len(one) > 1 and isinstance(one[0], str) and type(one[1]) is int


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
