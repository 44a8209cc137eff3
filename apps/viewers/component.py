"""Components that take corrections in the browser: how they are made, and what every message of theirs has.

The browser names its window, counts its steps, and sends those that are not yet acknowledged with every
message, so that none is lost if a message is. `component.js` does that part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from apps.items import Item, Run

MOST_HAVE: Final = 10_000  # ids of pictures that a browser may say it has
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Heard:
    """What every message says. tab: the window. number: of the message. key: of the item that it shows.
    steps: not yet checked, each with the key of its item in front. have: pictures that need not be sent
    again. save: whether to save."""

    tab: str
    number: int
    key: str
    steps: tuple[tuple[str, list[Any]], ...]
    have: frozenset[str]
    save: bool


def component(name: str, style: str, parts: Sequence[str] = ()) -> Any:
    """The component of `<name>.css` and of one module, in an element of the class `style`. The module is
    `component.js`, the scripts that `parts` names, in this order, and `<name>.js`."""
    scripts = [_HERE / f"{one}.js" for one in ("component", *parts, name)]
    return st.components.v2.component(
        name,
        html=f'<div class="{style}"></div>',
        css=(_HERE / f"{name}.css").read_text(encoding="utf-8"),
        js="".join(one.read_text(encoding="utf-8") for one in scripts),
    )


def key_of(item: Item) -> str:
    """What the browser calls the item: a late click is for the one that was seen, or for none."""
    return f"{item.line} {item.hash}"


def item_with(run: Run, key: str) -> Item | None:
    """The item of that key that can be reviewed, if the run still has it."""
    line = key.split(" ")[0]
    item = run.by_line.get(int(line)) if line.isdecimal() and len(line) < 12 else None
    return item if item is not None and key_of(item) == key and item.reviewable else None


def hear(given: object) -> dict[str, Any] | None:
    """The fields of `Heard` in a message; None if it is none."""
    if not isinstance(given, dict):
        return None
    tab, number, key, steps, have = (given.get(one) for one in ("tab", "message", "key", "steps", "have"))
    if not isinstance(tab, str) or not isinstance(key, str) or type(number) is not int:
        return None
    if not isinstance(steps, list) or not all(_is_step(one) for one in steps):
        return None
    texts = have[:MOST_HAVE] if isinstance(have, list) else []
    return {
        "tab": tab,
        "number": number,
        "key": key,
        "steps": tuple((one[0], one[1:]) for one in steps),
        "have": frozenset(one for one in texts if isinstance(one, str)),
        "save": given.get("save") is True,
    }


def _is_step(one: object) -> bool:
    return isinstance(one, list) and len(one) > 1 and isinstance(one[0], str) and type(one[1]) is int
