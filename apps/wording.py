"""How the page words items and verdicts, as Markdown in which names are plain text. Free of Streamlit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from apps.items import Item, Mark, plain
from apps.store import Verdict

TONES = {
    **{"novel": "orange", "known": "blue", "normal": "gray", "failed": "violet", "unplaced": "violet"},
    **{"found": "blue", "absent": "orange"},
    **{"counted": "blue"},
    **{"abstained": "orange", "indeterminate": "orange"},
    **{"<=5 mm": "blue", "6-9 mm": "blue", ">=10 mm": "blue"},
}
WORDS = {"accept": "accepted", "unsure": "unsure"}


def titles(items: list[Item]) -> dict[int, str]:
    """What each item is called in the list, by its line; Streamlit tells equal labels not apart."""
    count = Counter(item.title for item in items)
    numbered = {item.line: f" ({item.line + 1})" if count[item.title] > 1 else "" for item in items}
    return {item.line: plain(item.title + numbered[item.line]) for item in items}


def caption(item: Item, verdict: Verdict | None, marks: Sequence[Mark], corrected: str) -> str:
    """What is said of an item: the verdict, else what the model said. marks, corrected: of the viewer."""
    if verdict is not None:
        mark = mark_of(verdict, marks)
        label = f": {plain(verdict.label)}" if verdict.verdict == "relabel" and not mark else ""
        return f":{'orange' if mark else 'green'}[{word(verdict, marks, corrected)}{label}]"
    if not item.prediction:
        return plain(item.decision)
    return f"{badge(item)} {plain(item.prediction)} {sure(item)}".rstrip()


def sure(item: Item) -> str:
    """How sure the model is, such as `87%`; empty if it does not say."""
    if item.certainty:
        return plain(item.certainty)
    return "" if item.probability is None else f"{item.probability:.0%}"


def word(verdict: Verdict, marks: Sequence[Mark], corrected: str) -> str:
    """The verdict in a word, such as `accepted`. corrected: that for another label."""
    mark = mark_of(verdict, marks)
    return mark.done if mark else WORDS.get(verdict.verdict, corrected)


def mark_of(verdict: Verdict, marks: Sequence[Mark]) -> Mark | None:
    """The mark that a verdict is, if it is one."""
    given = verdict.label if verdict.verdict == "relabel" else None
    return next((mark for mark in marks if mark.label == given), None)


def badge(item: Item) -> str:
    """The decision, in its colour."""
    return f":{TONES.get(item.decision, 'gray')}-badge[{plain(item.decision)}]"
