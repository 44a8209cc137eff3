"""Filters, orders, and which item comes next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.items import Item, Mark
from apps.store import Verdict, VerdictKind
from apps.worklist import ORDERS, STATES, Filters, arrange, neighbour, states

ITEM = Item(
    line=0,
    row=0,
    source="a.csv",
    map="0",
    hash="h",
    title="A",
    group="L",
    prediction="ring",
    decision="known",
    probability=0.9,
    novelty=5.0,
    threshold=20.0,
    model="m",
    text="lot a\nring",
)
ITEMS = [
    ITEM,
    replace(ITEM, line=1, map="1", probability=0.3, novelty=50.0, decision="novel", text="lot b\nring"),
    replace(
        ITEM, line=2, map="2", probability=0.3, prediction="none", decision="normal", text="lot ab\nnone"
    ),
    # Of another model, whose scores lie elsewhere.
    replace(ITEM, line=3, map="3", probability=0.6, novelty=500.0, threshold=480.0, text="lot c\nring"),
    replace(
        ITEM,
        line=4,
        map="4",
        hash="",
        prediction="",
        decision="failed",
        probability=None,
        novelty=None,
        threshold=None,
        text="lot d",
    ),
]


def lines(filters: Filters, keep: int | None = None, **verdicts: VerdictKind) -> list[int]:
    """The lines that `arrange` gives; verdicts: by `m` and the item's line."""
    given = {
        ITEMS[int(name[1:])].id: Verdict(
            *ITEMS[int(name[1:])].id, "m", "ring", 5.0, kind, "" if kind == "unsure" else "ring"
        )
        for name, kind in verdicts.items()
    }
    return [item.line for item in arrange(ITEMS, given, filters, keep)]


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("least certain first", [1, 2, 3, 0, 4]),
        ("most novel first", [1, 3, 0, 2, 4]),  # by how far above its own threshold
        ("as in the run", [0, 1, 2, 3, 4]),
    ],
)
def test_orders(order: str, wanted: list[int]) -> None:
    assert lines(Filters(order=order, state="all")) == wanted
    assert set(ORDERS) >= {order}


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ("to review", [3]),
        ("reviewed", [0, 1, 2]),
        ("accepted", [0]),
        ("relabelled", [1]),
        ("unsure", [2]),
        ("all", [0, 1, 2, 3, 4]),
    ],
)
def test_states(state: str, wanted: list[int]) -> None:
    found = lines(Filters(order="as in the run", state=state), m0="accept", m1="relabel", m2="unsure")
    assert found == wanted
    assert state in STATES


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"decisions": ["novel", "failed"]}, [1, 4]),
        ({"classes": ["none"]}, [2]),
        ({"classes": ["none"], "decisions": ["novel"]}, []),
        ({"text": "LOT A"}, [0, 2]),
        ({"text": "ring b"}, [1]),  # every word, in any order
        ({"text": "  "}, [0, 1, 2, 3, 4]),
    ],
)
def test_filters(changed: dict[str, object], wanted: list[int]) -> None:
    assert lines(Filters(order="as in the run", state="all", **changed)) == wanted  # type: ignore[arg-type]


def test_an_item_that_is_looked_at_stays_after_its_verdict() -> None:
    assert lines(Filters(), m1="accept") == [2, 3, 0]
    assert lines(Filters(), keep=1, m1="accept") == [1, 2, 3, 0]
    assert lines(Filters(text="lot c"), keep=1, m1="accept") == [3]  # but the other filters hold


@pytest.mark.parametrize(
    ("line", "step", "wanted"),
    [(5, 1, 3), (5, -1, 5), (9, 1, 9), (3, -1, 5), (3, 0, 3), (None, 1, 5), (77, 1, 5)],
)
def test_neighbours(line: int | None, step: int, wanted: int) -> None:
    assert neighbour([5, 3, 9], line, step) == wanted


def test_an_empty_queue_has_no_neighbour() -> None:
    assert neighbour([], 3, 1) is None


def test_marks_are_states_in_place_of_classes() -> None:
    marks = (Mark("reject", "rejected", "X"), Mark("flag", "flagged", "F"))
    assert list(states(marks)) == ["to review", "reviewed", "accepted", "rejected", "flagged", "all"]
    said = {
        ITEMS[number].id: Verdict(*ITEMS[number].id, "m", "ring", None, "relabel", label)
        for number, label in enumerate(("reject", "flag", "reject"))
    }
    found = arrange(ITEMS, said, Filters("as in the run", "rejected"), marks=marks)
    assert [item.line for item in found] == [0, 2]
    assert states(()) is STATES


def test_labels_of_ones_own_are_a_state_beside_marks() -> None:
    marks = (Mark("reject", "rejected", "X"),)
    assert list(states(marks, "corrected")) == [
        *("to review", "reviewed", "accepted", "corrected", "rejected", "all"),
    ]
    said = {
        ITEMS[number].id: Verdict(*ITEMS[number].id, "m", "7", None, "relabel", label)
        for number, label in enumerate(("reject", "9", "7"))
    }
    filters = Filters("as in the run", "corrected")
    found = arrange(ITEMS, said, filters, marks=marks, corrected="corrected")
    assert [item.line for item in found] == [1, 2]


def test_the_most_doubtful_come_first() -> None:
    items = [replace(ITEM, line=line, doubt=doubt) for line, doubt in enumerate((0.5, 2.0, None, 0.1))]
    items[2] = replace(items[2], probability=None)
    found = arrange(items, {}, Filters(state="all"))
    assert [item.line for item in found] == [1, 0, 3, 2]
