"""Which items are looked at, and in which order. Free of Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from apps.items import Item, Mark
from apps.store import ItemId, Verdict

ORDERS: dict[str, Callable[[Item], tuple[float, int]]] = {
    "least certain first": lambda item: (_certainty(item), item.line),
    "most novel first": lambda item: (-_excess(item), item.line),
    "as in the run": lambda item: (0, item.line),
}
STATES: dict[str, Callable[[Item, Verdict | None], bool]] = {
    "to review": lambda item, verdict: verdict is None and item.reviewable,
    "reviewed": lambda item, verdict: verdict is not None,
    "accepted": lambda item, verdict: verdict is not None and verdict.verdict == "accept",
    "relabelled": lambda item, verdict: verdict is not None and verdict.verdict == "relabel",
    "unsure": lambda item, verdict: verdict is not None and verdict.verdict == "unsure",
    "all": lambda item, verdict: True,
}


def states(marks: Sequence[Mark], corrected: str = "") -> dict[str, Callable[[Item, Verdict | None], bool]]:
    """STATES for items that are accepted or marked, and not given a class. corrected: of the viewer."""
    if not marks:
        return STATES
    kept = {name: STATES[name] for name in ("to review", "reviewed", "accepted")}
    if corrected:
        kept[corrected] = _otherwise({mark.label for mark in marks})
    return kept | {mark.done: _labelled(mark.label) for mark in marks} | {"all": STATES["all"]}


@dataclass(frozen=True, slots=True)
class Filters:
    """What is shown; nothing chosen means everything. order, state: of ORDERS, of `states`. text: to find."""

    order: str = "least certain first"
    state: str = "to review"
    decisions: Collection[str] = ()
    classes: Collection[str] = ()
    text: str = ""


def arrange(
    items: Iterable[Item],
    verdicts: Mapping[ItemId, Verdict],
    filters: Filters,
    keep: int | None = None,
    marks: Sequence[Mark] = (),
    corrected: str = "",
) -> list[Item]:
    """The items that pass the filters, in their order; see `passing`."""
    return passing(ordered(items, filters.order), verdicts, filters, keep, marks, corrected)


def ordered(items: Iterable[Item], order: str) -> list[Item]:
    """All items in an order of ORDERS. Of a large run that takes longer than to filter them, and it never
    changes."""
    return sorted(items, key=ORDERS[order])


def passing(
    items: Iterable[Item],
    verdicts: Mapping[ItemId, Verdict],
    filters: Filters,
    keep: int | None = None,
    marks: Sequence[Mark] = (),
    corrected: str = "",
) -> list[Item]:
    """The items that pass the filters, in the order in which they come. marks, corrected: of the viewer.

    keep: the line of an item that is shown whatever its verdict, so that it stays while one looks at it.
    """
    wanted, words = states(marks, corrected)[filters.state], filters.text.lower().split()
    return [
        item
        for item in items
        if (item.line == keep or wanted(item, verdicts.get(item.id)))
        and (not filters.decisions or item.decision in filters.decisions)
        and (not filters.classes or item.prediction in filters.classes)
        and (not words or all(word in item.text for word in words))
    ]


def neighbour(lines: Sequence[int], line: int | None, step: int) -> int | None:
    """The line `step` places after `line`, or the last one that way; the first if `line` is not in the queue.

    None in an empty queue.
    """
    if not lines:
        return None
    if line not in lines:
        return lines[0]
    return lines[min(max(lines.index(line) + step, 0), len(lines) - 1)]


def _labelled(label: str) -> Callable[[Item, Verdict | None], bool]:
    return lambda item, verdict: (
        verdict is not None and verdict.verdict == "relabel" and verdict.label == label
    )


def _otherwise(labels: Collection[str]) -> Callable[[Item, Verdict | None], bool]:
    return lambda item, verdict: (
        verdict is not None and verdict.verdict == "relabel" and verdict.label not in labels
    )


def _certainty(item: Item) -> float:
    """The lower, the earlier; what the model says nothing of is last."""
    if item.doubt is not None:
        return -item.doubt
    return 2.0 if item.probability is None else item.probability


def _excess(item: Item) -> float:
    """How far the novelty lies above the threshold: scores of several models compare by this only."""
    return float("-inf") if item.novelty is None else item.novelty - (item.threshold or 0.0)
