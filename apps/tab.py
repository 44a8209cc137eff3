"""What one tab of the review page keeps: in its session, and in its address, which outlives a server.

Of the session: `line`, the item to look at; `drawn`, the one that was drawn and has got no verdict since;
`said`, a message of the last action; `refiltered`, whether the filters were changed since the last drawing.
"""

from __future__ import annotations

import re
from collections.abc import Container

import streamlit as st

from apps.items import Item
from apps.store import MAX_REVIEWER


def go_on(lines: Container[int]) -> None:
    """Go where the tab was, after it was loaded again or its server was started anew. lines: of all items.

    In the second case the tab shows what it showed, and the first key pressed there only tells the new
    server that the tab is there.
    """
    if "line" in st.session_state:
        return
    asked = _parameter("item")
    place = int(asked) if re.fullmatch("[0-9]{1,9}", asked) else None
    if place in lines:
        go(place)
        say("note", "Opened anew. A key that was pressed just before is not saved.")


def line() -> int | None:
    """The line of the item to look at, None before the first drawing."""
    found: int | None = st.session_state.get("line")
    return found


def go(place: int | None) -> None:
    """Look at the item of this line next; at the first one if it is None."""
    st.session_state["line"] = place


def draws(place: int | None) -> None:
    """Note that the item of this line is drawn, here and in the address of the page."""
    st.session_state["line"] = st.session_state["drawn"] = place
    for name, value in (("item", place), ("reviewer", reviewer())):
        if value in (None, ""):
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != str(value):
            st.query_params[name] = str(value)


def is_drawn(item: Item) -> bool:
    """Whether the item is the one that is looked at, and has got no verdict since it was drawn.

    The browser keeps the buttons of the last item, and what was chosen in the queue, until a drawing ends. A
    key that is pressed before presses both buttons: without this the last item would get that verdict too.
    If it is not the one, that one stays the item to look at.
    """
    drawn = st.session_state.get("drawn")
    if drawn is not None and drawn != item.line:
        go(drawn)
    return bool(drawn == item.line)


def judged(following: int | None) -> None:
    """Note that the drawn item has got its verdict. following: the line of the next, None without one."""
    go(following)
    st.session_state["drawn"] = None


def say(kind: str, text: str) -> None:
    """Show a message with the next drawing. kind: `error` or `note`."""
    st.session_state["said"] = (kind, text)


def said() -> tuple[str, str]:
    """The kind and the text of the message to show, once; empty if there is none."""
    kind, text = st.session_state.pop("said", ("", ""))
    return kind, text


def refilter() -> None:
    """Note that the filters were changed."""
    st.session_state["refiltered"] = True


def reorder() -> None:
    """Note another order, which begins with its first item."""
    refilter()
    go(None)


def was_refiltered() -> bool:
    """Whether the filters were changed since this was asked."""
    return bool(st.session_state.pop("refiltered", False))


def reviewer() -> str:
    """The name in the field, without blanks around it."""
    return str(st.session_state.get("reviewer", "")).strip()


def reviewer_of_address() -> str:
    """The name that the address of the page holds."""
    return _parameter("reviewer", MAX_REVIEWER)


def _parameter(name: str, longest: int = 20) -> str:
    return str(st.query_params.get(name, ""))[:longest].strip()
