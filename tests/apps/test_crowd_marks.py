"""Heads that are marked: steps, where marking begins, what the browser may say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.edits import Edits, Step
from apps.items import Run
from apps.store import Store, Verdict
from apps.viewers import crowd
from apps.viewers.crowd_marks import (
    after,
    as_detail,
    checked_steps,
    marks_of,
    model_points,
    run_points,
    saved_points,
)
from apps.viewers.crowd_view import read
from pipelines.common.errors import UserError
from pipelines.crowd.count.maps import CountMap
from tests.apps.crowd_runs import SIZE, counted, item_of

MESSAGE = {"tab": "t", "message": 3, "key": "0 h", "steps": [], "have": [], "look": None, "save": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(counted(tmp_path_factory.mktemp("marks"), film=False, points=True), crowd)


def step(*parts: Any) -> str:
    return json.dumps(parts)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([], []),
        ([step("add", 1, 2), step("add", 3, 4)], [(1, 2), (3, 4)]),
        ([step("begin", [[1, 2], [3, 4]]), step("remove", 1, 2)], [(3, 4)]),
        ([step("add", 1, 2), step("begin", [[5, 6]]), step("add", 7, 8)], [(5, 6), (7, 8)]),
        ([step("add", 1, 2), step("add", 1, 2), step("remove", 1, 2)], [(1, 2)]),
        ([step("remove", 1, 2)], []),  # by another window, already
        ([step("begin", [[1, 2]]), step("begin", [])], []),
    ],
)
def test_points_after_steps(steps: list[str], wanted: list[tuple[float, float]]) -> None:
    assert after(steps) == wanted


def test_what_the_browser_sends_is_checked() -> None:
    sent = [[0, "begin", [[0, 0], [128, 96]]], [1, "add", 1.25, 2], [2, "remove", 1.25, 2]]
    steps = checked_steps(sent, "t", *SIZE)
    assert [(one.tab, one.number) for one in steps] == [("t", 0), ("t", 1), ("t", 2)]
    assert after([one.edit for one in steps]) == [(0, 0), (128, 96)]


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [[0, "add", 1]],
        [[0, "add", 1, 2, 3]],
        [[-1, "add", 1, 2]],
        [[2**63, "add", 1, 2]],
        [[0.5, "add", 1, 2]],
        [[0, "drop", 1, 2]],
        [[0, "add", 128.01, 2]],
        [[0, "add", -0.01, 2]],
        [[0, "add", math.nan, 2]],
        [[0, "add", True, 2]],
        [[0, "add", "1", 2]],
        [[0, "begin", 1]],
        [[0, "begin", [[1]]]],
        [[0, "begin", [["<b>", 2]]]],
        [[0, "add", 1, 2]] * 10_001,
    ],
)
def test_other_steps_are_refused(sent: object) -> None:
    with pytest.raises(ValueError, match="the page sent"):
        checked_steps(sent, "t", *SIZE)


@pytest.mark.parametrize(
    "changed",
    [
        {"tab": 1},
        {"key": None},
        {"message": "3"},
        {"steps": {}},
        {"steps": [["0 h"]]},
        {"steps": [["0 h", "1", "add", 1, 2]]},
    ],
)
def test_other_messages_are_passed_over(changed: dict[str, object]) -> None:
    assert read(MESSAGE) is not None
    assert read(MESSAGE | changed) is None
    assert read("x") is None


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"box": [0, 0, 10, 10], "pixels": 0},
        {"box": [0, 0, 10, 10], "pixels": 1e9},
        {"box": [10, 0, 10, 10], "pixels": 100},
        {"box": [0, 0, math.inf, 10], "pixels": 100},
        {"box": [0, 0, "10", 10], "pixels": 100},
    ],
)
def test_a_part_that_is_none_is_not_looked_at(look: dict[str, object]) -> None:
    found = read(MESSAGE | {"look": look})
    assert found is not None and found.box is None
    found = read(MESSAGE | {"look": {"box": [0, 0, 10.5, 10], "pixels": 100}})
    assert found is not None and found.box == (0, 0, 10.5, 10)


def test_marking_begins_with_the_list_of_the_run(run: Run, tmp_path: Path) -> None:
    item = item_of(run, "scene1.png")
    store = Store(tmp_path)
    listed = run_points(run, run.row(item.row))
    begun = marks_of(item, store, "Ann", listed)
    assert len(begun.points) == int(item.prediction) > 0
    assert (begun.own, begun.origin) == (False, "as the model placed them")
    assert all(0 <= x <= SIZE[0] and 0 <= y <= SIZE[1] for x, y in begun.points)
    Edits(store).add(item.id, "Ann", [Step("t", 0, step("begin", [[1, 2]]))])
    assert marks_of(item, store, "Ann", listed).points == ((1, 2),)
    assert marks_of(item, store, "Bob", listed).points == begun.points  # each marks alone


def test_a_verdict_of_another_that_is_newer_goes_before_ones_steps(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = item_of(run, "scene1.png")
    store = Store(tmp_path)
    Edits(store).add(item.id, "Ann", [Step("t", 0, step("begin", [[1, 2]]))])
    monkeypatch.setattr("apps.store.now", lambda: "2999-01-01T00:00:00+00:00")
    verdict = Verdict(*item.id, "m", item.prediction, None, "relabel", "1", reviewer="Bob")
    store.add(verdict, as_detail([(5.0, 6.0)], *SIZE))
    found = marks_of(item, store, "Ann", [])
    assert (found.points, found.own, found.origin) == (((5, 6),), False, "as saved")
    store.undo("Bob")
    assert marks_of(item, store, "Ann", []).points == ((1, 2),)


def test_a_damaged_list_is_said(run: Run) -> None:
    item = item_of(run, "scene0.png")
    row = dict(run.row(item.row))
    path = run.path / "points" / "scene0.csv"
    kept = path.read_text()
    assert run_points(run, row)
    path.write_text("x,y\n1,nan\n3,4\n")
    assert run_points(run, row) == [(3, 4)]
    for damaged in ("x,z\n1,2\n", "x,y\n1,?\n", "x,y\n1\n"):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"scene0\.csv is damaged"):
            run_points(run, row)
    path.write_text(kept)
    row["name"] = "../../inputs/heads"
    assert run_points(run, row) == []  # nothing outside the run is read
    with pytest.raises(UserError, match="damaged"):
        saved_points('{"heads": [[1]]}')


def test_the_models_heads_lie_in_the_image_in_the_file() -> None:
    counts = np.zeros((4, 6), np.float32)
    counts[1, 2] = counts[3, 5] = 1.0
    # The image was counted at half its size.
    points = model_points(CountMap(counts, 8, 32, 48), 96, 64)
    assert np.abs(np.array(sorted(points)) - [(40, 24), (88, 56)]).max() < 3
