"""Steps of a review of a polyp: what they come to, which are refused, and what counts of what was said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.edits import Edits, Step
from apps.items import Item
from apps.store import Store, Verdict
from apps.viewers.polyp_case import SizedFrame
from apps.viewers.polyp_items import item_of, label_of
from apps.viewers.polyp_marks import (
    NO_LESION,
    REASON_LIST,
    FrameMark,
    Marks,
    after,
    as_detail,
    checked_steps,
    marks_of,
    saved,
)
from pipelines.common.errors import UserError

FRAME = SizedFrame("a", 100, 80, (10.0, 10.0, 40.0, 30.0), 7.0, 6.0, 8.0, 0.5, 4.0, None, True, "", "")
FRAMES = (
    FRAME,
    replace(FRAME, name="b", used=False, reason="it is blurred"),
    replace(FRAME, name="c", box=None),
)
ROW: dict[str, Any] = {
    **{"polyp": "p", "source": "s", "status": "ok", "item": "h", "model": "m", "patient": "", "video": ""},
    **{"mm": 7.04, "low": 6.0, "high": 8.0, "decision": "6-9 mm"},
}


def dumped(*steps: list[Any]) -> list[str]:
    return [json.dumps(one) for one in steps]


def test_the_last_step_counts_and_nothing_is_left_of_what_was_taken_back() -> None:
    box = [1, 2, 30, 40]
    steps = dumped(["frame", "a", False, None], ["frame", "b", True, box], ["size", 9.5, True])
    found = after(steps)
    assert found == Marks(9.5, True, {"a": FrameMark(False), "b": FrameMark(True, (1, 2, 30, 40))})
    back = dumped(["frame", "a", None, None], ["frame", "b", None, None], ["size", None, False])
    assert after(steps + back).empty
    begun = dumped(["begin", {"mm": 3, "bound": False, "frames": {"c": [None, "none"]}, "reasons": []}])
    assert after(steps + begun) == Marks(3.0, False, {"c": FrameMark(None, NO_LESION)})


def test_which_frames_count() -> None:
    assert [FrameMark().is_in(one) for one in FRAMES] == [True, False, False]
    assert FrameMark(True).is_in(FRAMES[1]) and not FrameMark(True).is_in(FRAMES[2])
    assert not FrameMark(None, NO_LESION).is_in(FRAME)
    assert FrameMark(True, (0.0, 0.0, 9.0, 9.0)).is_in(FRAMES[2])
    assert not Marks(5.0, reasons=REASON_LIST[:1]).changes(FRAMES)
    for name, mark in (("a", FrameMark(False)), ("a", FrameMark(None, (0.0, 0.0, 9.0, 9.0)))):
        assert Marks(frames={name: mark}).changes(FRAMES)
    # A box of a frame that does not count changes nothing of the size.
    assert not Marks(frames={"b": FrameMark(None, (0.0, 0.0, 9.0, 9.0))}).changes(FRAMES)


@pytest.mark.parametrize(
    "step",
    [
        [1, "frame", "nobody", True, None],
        [1, "frame", "a", 1, None],
        [1, "frame", "a", True, [0, 0, 101, 10]],
        [1, "frame", "a", True, [5, 0, 5, 10]],
        [1, "frame", "a", True, [0, 0, 10]],
        [1, "frame", "a", True, [0, 0, 10, float("nan")]],
        [1, "frame", "a", True, "somewhere"],
        [1, "frame", ["a"], True, None],
        [1, "size", 0, False],
        [1, "size", 201, False],
        [1, "size", float("inf"), False],
        [1, "size", True, False],
        [1, "size", "7", False],
        [1, "size", 7, None],
        [1, "reasons", ["because"]],
        [1, "reasons", "blurred"],
        [1, "reasons", [["blurred"]]],
        [1, "begin", []],
        [1, "begin", {"mm": None, "bound": False, "frames": {"a": [True]}, "reasons": []}],
        [1, "begin", {"mm": None, "bound": False, "frames": {}, "reasons": None}],
        [1, "begin", {"mm": -1, "bound": False, "frames": {}, "reasons": []}],
        [1, "paint", 2, 3],
        [-1, "size", 7, False],
        [1.5, "size", 7, False],
        [1],
    ],
)
def test_a_step_that_is_none_is_refused(step: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"the page sent|a size is"):
        checked_steps([step], "t", FRAMES)
    with pytest.raises(ValueError, match="no steps"):
        checked_steps([[1, "size", 7, False]], "", FRAMES)


def test_steps_are_kept_in_short() -> None:
    sent = [[3, "frame", "a", True, [0.04, 1, 20.06, 30]], [4, "reasons", [REASON_LIST[2], REASON_LIST[0]]]]
    assert checked_steps(sent, "t", FRAMES) == [
        Step("t", 3, '["frame","a",true,[0.0,1.0,20.1,30.0]]'),
        Step("t", 4, json.dumps(["reasons", [REASON_LIST[0], REASON_LIST[2]]], separators=(",", ":"))),
    ]


def test_the_newer_of_steps_and_verdict_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, item = Store(tmp_path), item_of(0, 0, ROW)
    assert marks_of(item, store, "Ann").marks.empty
    times = iter(f"2026-01-01T00:00:0{number}+00:00" for number in range(9))
    monkeypatch.setattr("apps.edits.now", lambda: next(times))
    monkeypatch.setattr("apps.store.now", lambda: next(times))
    Edits(store).add(item.id, "Ann", checked_steps([[0, "size", 8, False]], "t", FRAMES))
    found = marks_of(item, store, "Ann")
    assert (found.marks.mm, found.own) == (8.0, True)
    assert marks_of(item, store, "Bert").marks.empty
    verdict = Verdict(*item.id, "m", item.prediction, None, "relabel", "9 mm")
    store.add(verdict, as_detail(Marks(9.0)))
    for who in ("Ann", "Bert"):
        found = marks_of(item, store, who)
        assert (found.marks.mm, found.own, found.origin) == (9.0, False, "as saved")
    store.undo("")
    assert marks_of(item, store, "Ann").marks.mm == 8.0


def test_details_come_back_and_damaged_ones_are_said() -> None:
    marks = Marks(15.0, True, {"a": FrameMark(False, (0.0, 1.0, 2.5, 3.0)), "b": FrameMark(None, NO_LESION)})
    marks = replace(marks, reasons=REASON_LIST[:2])
    assert saved(as_detail(marks)) == marks
    assert as_detail(Marks()) == "" and saved("").empty
    for text in ("[]", "{}", '{"mm": "x", "bound": 0, "frames": {}, "reasons": []}', "{"):
        with pytest.raises(UserError, match="damaged"):
            saved(text)


def test_labels() -> None:
    item: Item = item_of(0, 0, ROW)
    assert (item.prediction, item.certainty) == ("7.0 mm", "(6.0 to 8.0)")
    assert label_of(Marks(), item) == "7.0 mm"
    assert label_of(Marks(7.25), item) == "7.25 mm"
    assert label_of(Marks(15.0, True), item) == ">=15 mm"
    assert item_of(0, 0, ROW | {"mm": None, "decision": "abstained"}).prediction == "abstained"
    with pytest.raises(ValueError, match="no such decision"):
        item_of(0, 0, ROW | {"decision": "<b>"})
