"""The page on counted images, run without a browser, and what it exports."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from apps.edits import Edits
from apps.items import Desk, Item, Run
from apps.store import EXPORT, Store
from apps.viewers import crowd, crowd_case
from apps.viewers.crowd_marks import saved_points
from apps.viewers.crowd_retrain import IMAGES, LIST, RETRAIN, write_data
from apps.viewers.crowd_view import Message, read
from pipelines.common.errors import UserError
from pipelines.crowd.count.rows import item_hash
from pipelines.crowd.data import read_case, read_dataset
from pipelines.crowd.data.record import LabelledImage
from pipelines.crowd.train.run import train
from tests.apps.crowd_runs import SIZE, corrected, counted, item_of
from tests.apps.test_review import PAGE, press, shown, titles
from tests.pipelines.crowd.train.builders import small


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return counted(tmp_path_factory.mktemp("crowd"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(run), "--reviewer", "Ann"])
    page = AppTest.from_file(str(PAGE), default_timeout=120).run()
    assert not page.exception
    return page


def change_rows(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    for row in rows:
        change(row)
    (run / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_an_image_and_a_frame_are_an_item_each(run: Path) -> None:
    items = Run(run, crowd).items
    assert {item.title for item in items if item.reviewable} == {
        *("scene0.png", "scene1.png", "scene2.png"),
        *("film.avi, frame 0", "film.avi, frame 2", "film.avi, frame 4"),
    }
    (failed,) = (item for item in items if not item.reviewable)
    assert (failed.title, failed.decision) == ("torn.png", "failed")
    row = Run(run, crowd).row(item_of(Run(run, crowd), "scene0.png").row)
    item = item_of(Run(run, crowd), "scene0.png")
    assert item.doubt == pytest.approx((row["high"] - row["low"]) / max(row["count"], 1))
    assert item.certainty == f"({row['low']:,.0f} to {row['high']:,.0f})"
    assert len({item.id for item in items}) == len(items) == 7


def test_least_certain_first_and_largest_first_without_intervals(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(run, monkeypatch)
    doubts = {item.title: item.doubt or 0 for item in Run(run, crowd).items if item.reviewable}
    order = sorted(doubts, key=lambda title: -doubts[title])
    assert [title.replace("\\", "") for title in titles(page)] == order
    other = counted(tmp_path / "other", calibrated=False, film=False)
    page = opened(other, monkeypatch)
    counts = [int(item_of(Run(other, crowd), title.replace("\\", "")).prediction) for title in titles(page)]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) > 1
    assert "Class" not in [one.label for one in page.multiselect]


def test_accept_reject_and_a_typed_count(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    first = shown(page)
    assert "Unsure" not in [button.label for button in page.button]
    press(page, "accept")
    press(page, "reject")
    line = next(one.key or "" for one in page.number_input).split()[-1]
    page.number_input(key=f"count {line}").set_value(1234)  # of a form: kept when that is sent
    next(one for one in page.button if one.label == "Save this count").click().run()
    assert not page.exception
    said = list(Store(run).latest().values())
    assert [(one.verdict, one.label) for one in said] == [
        *(("accept", said[0].prediction), ("relabel", "reject"), ("relabel", "1234")),
    ]
    assert {one.reviewer for one in said} == {"Ann"}
    page.selectbox(key="state").select("corrected").run()
    assert page.radio[0].proto.captions[0] == ":green[corrected: 1234]"
    page.selectbox(key="state").select("accepted").run()
    assert shown(page) == first
    press(page, "undo")
    assert "corrected" in page.toast[0].value
    assert len(Store(run).latest()) == 2


def test_an_empty_field_saves_no_count(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    next(one for one in page.button if one.label == "Save this count").click().run()
    assert not page.exception and Store(run).last() == 0


def test_what_is_said_of_a_broken_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "maps" / "scene1.npz").unlink()
    (run / "maps" / "scene2.npz").write_bytes(b"PK")
    page = opened(run, monkeypatch)
    for name, wanted in (("scene1", "its map is gone"), ("scene2", "its map is damaged")):
        page.text_input(key="text").set_value(name).run()
        assert wanted in page.warning[0].value
        assert not page.error  # it is shown, to be marked
    page.selectbox(key="state").select("all").run()
    page.text_input(key="text").set_value("torn").run()
    assert "cut short" in page.warning[0].value


def test_a_damaged_list_of_heads_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "points").mkdir()
    (run / "points" / "scene1.csv").write_text("x,y\n1,?\n")
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("scene1").run()
    assert "scene1.csv is damaged" in page.warning[0].value and not page.error


def test_an_image_that_has_changed_is_not_shown(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(made.parent, other)
    change_record(other)
    change_rows(
        other / "run", lambda row: row.update(source=str(other / "inputs" / Path(row["source"]).name))
    )
    source = other / "inputs" / "scene0.png"
    pixels = cv2.imread(str(source))
    assert pixels is not None
    pixels[0, 0] = 255 - pixels[0, 0]
    cv2.imwrite(str(source), pixels)
    run = Run(other / "run", crowd)
    with pytest.raises(UserError, match="has changed since the run"):
        crowd_case.read_seen(run, run.row(item_of(run, "scene0.png").row))
    change_rows(other / "run", lambda row: row.update(item="0" * 24) if row["frame"] == 2 else None)
    run = Run(other / "run", crowd)
    with pytest.raises(UserError, match="frame 2 is another one"):
        crowd_case.read_seen(run, run.row(item_of(run, "film.avi, frame 2").row))


def change_record(folder: Path) -> None:
    path = folder / "run" / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"inputs": [str(folder / "inputs")]}))


def test_a_frame_is_the_one_that_was_counted(run: Path) -> None:
    found = Run(run, crowd)
    for number in (0, 2, 4):
        row = found.row(item_of(found, f"film.avi, frame {number}").row)
        assert item_hash(crowd_case.read_seen(found, row).pixels) == row["item"]


@pytest.mark.parametrize("name", ["../inputs/heads", "/etc/passwd", "..", ""])
def test_nothing_outside_the_run_and_its_inputs_is_read(run: Path, name: str) -> None:
    def lead_out(row: dict[str, Any]) -> None:
        row.update(name=name, source="/etc/passwd")

    change_rows(run, lead_out)
    found = Run(run, crowd)
    row = found.row(0)
    with pytest.raises(UserError, match="does not lie in the inputs"):
        crowd_case.read_seen(found, row)
    with pytest.raises(UserError, match="its map is gone"):
        crowd_case.read_counts(found, row)


def test_names_of_others_draw_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "folder/![x](x.test) :red[b]\n<b>d `e` \u202e\udce4.png"

    def rename(row: dict[str, Any]) -> None:
        row.update(source=hostile, zones={hostile: 1.0}, notes=[hostile])

    change_rows(run, rename)
    page = opened(run, monkeypatch)
    assert titles(page)[0].startswith("\\!\\[x\\]\\(x\\.test\\) \\:red\\[b\\]\\\\n\\<b\\>d \\`e\\`")
    press(page, "accept")
    assert [one.source for one in Store(run).latest().values()] == [hostile]


def said(item: Item, *steps: list[Any], tab: str = "t", save: bool = False) -> Message:
    key = f"{item.line} {item.hash}"
    given = {"tab": tab, "message": 1, "key": key, "steps": [[key, *one] for one in steps], "save": save}
    message = read(given)
    assert message is not None
    return message


def heard(run: Run, message: Message) -> list[tuple[str, str, str]]:
    """What a message leads to: verdicts as title, label and detail."""
    given: list[tuple[str, str, str]] = []
    desk = Desk(Store(run.path), "Ann", lambda item, label, detail: given.append((item.title, label, detail)))
    for name in (crowd.SAVED, crowd.REFUSED, "said"):
        st.session_state.pop(name, None)
    crowd._heard(run, desk, message)
    return given


def test_clicks_are_kept_and_saved_as_a_verdict(run: Path) -> None:
    found = Run(run, crowd)
    item = item_of(found, "scene0.png")
    assert heard(found, said(item, [0, "begin", []], [1, "add", 3.5, 4.25])) == []
    assert Edits(Store(run)).of(item.id, "Ann")[0] == ['["begin",[]]', '["add",3.5,4.25]']
    # Sent again with the next click, since no answer came: it counts once.
    ((title, label, detail),) = heard(found, said(item, [1, "add", 3.5, 4.25], [2, "add", 9, 9], save=True))
    assert (title, label) == ("scene0.png", "2")
    assert saved_points(detail) == [(3.5, 4.25), (9, 9)]
    assert json.loads(detail)["width"] == SIZE[0]
    assert st.session_state[crowd.SAVED] is True


def test_a_late_click_is_for_the_image_that_was_seen(run: Path) -> None:
    found = Run(run, crowd)
    item = item_of(found, "scene0.png")
    message = read({"tab": "t", "message": 1, "key": f"{item.line} other", "steps": [], "save": True})
    assert message is not None and heard(found, message) == []
    for key in ("", "x h", "-1 h", "99 h", f"{10**20} h"):
        message = read({"tab": "t", "message": 1, "key": key, "steps": [[key, 0, "add", 1, 2]], "save": True})
        assert message is not None and heard(found, message) == []
        assert "of another image" in st.session_state["said"][1]
    assert Edits(Store(run)).last("t") == -1


def test_a_step_that_is_none_is_said_and_not_asked_for_again(run: Path) -> None:
    found = Run(run, crowd)
    item = item_of(found, "scene0.png")
    assert heard(found, said(item, [7, "add", 500, 1], save=True)) == []
    assert "not in the image" in st.session_state["said"][1]
    assert crowd._acked(Desk(Store(run), "Ann", lambda *_: None), "t") == 7
    # What came with it is kept.
    key = f"{item.line} {item.hash}"
    both = [["9 gone", 8, "add", 1, 2], [key, 9, "add", 1, 2]]
    message = read({"tab": "u", "message": 1, "key": key, "steps": both, "save": True})
    assert message is not None and heard(found, message) == []
    assert Edits(Store(run)).of(item.id, "Ann")[0] == ['["add",1.0,2.0]']


def test_the_export_is_a_data_set(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corrected(run, "scene0.png", [(3.25, 4.5), (100.0, 90.0)])
    corrected(run, "scene2.png", [])
    corrected(run, "film.avi, frame 2", [(10.0, 20.0)])
    corrected(run, "scene1.png", label="41")
    page = opened(run, monkeypatch)
    press(page, "export")
    told = page.toast[0].value.replace("\\", "")
    assert "4 verdicts written" in told
    assert "3 images with 3 heads to train on in retrain/heads.csv" in told
    assert "1 count without marked heads is in that table only" in told
    with (run / EXPORT).open(newline="") as lines:
        assert {row["label"] for row in csv.DictReader(lines)} == {"0", "1", "2", "41"}

    data = read_dataset(run / RETRAIN)
    assert (data.layout, data.notes) == ("csv", ())
    cases = {case.name: read_case(case) for case in data.cases}
    heads = {}
    for name, one in cases.items():
        assert isinstance(one, LabelledImage) and one.heads is not None
        heads[name] = one.heads.points.tolist()
    assert heads == {
        "images/scene0": [[3.25, 4.5], [100, 90]],
        "images/scene2": [],
        "images/film/000002": [[10, 20]],
    }
    frame = cases["images/film/000002"]
    found = Run(run, crowd)
    assert isinstance(frame, LabelledImage)
    row = found.row(item_of(found, "film.avi, frame 2").row)
    assert item_hash(frame.picture.pixels) == row["item"]


@pytest.mark.slow
def test_a_network_is_trained_on_an_export(run: Path, tmp_path: Path) -> None:
    corrected(run, "scene0.png", [(30.0, 40.0), (100.0, 90.0)])
    corrected(run, "scene2.png", [])
    corrected(run, "film.avi, frame 2", [(10.0, 20.0)])
    write_data(Run(run, crowd), Store(run).latest())
    cases = {"corrections": read_dataset(run / RETRAIN).cases}
    metrics = train(cases, tmp_path / "better", small(held_out=0))
    assert (metrics["images"], metrics["people"], metrics["left_out"]) == (3, 3, [])


def test_an_export_is_repeated_and_changes_no_original(made: Path, run: Path) -> None:
    source = made.parent / "inputs" / "scene0.png"
    before = source.read_bytes()
    corrected(run, "scene0.png", [(3.0, 4.0)])
    found = Run(run, crowd)
    for _ in range(2):
        assert write_data(found, Store(run).latest()).startswith("1 image with 1 head ")
    Store(run).undo("")
    assert write_data(found, Store(run).latest()).startswith("0 images ")
    assert (run / RETRAIN / LIST).read_text() == "image,x,y\n"
    assert source.read_bytes() == before
    assert not list((run / RETRAIN / IMAGES).glob(".*"))


def test_what_cannot_be_exported_is_said(run: Path) -> None:
    corrected(run, "scene0.png", [(3.0, 4.0)])
    corrected(run, "scene1.png", [(3.0, 4.0)])
    change_rows(run, lambda row: row.update(bytes=1) if row["source"].endswith("scene0.png") else None)
    told = write_data(Run(run, crowd), Store(run).latest())
    assert told.startswith("1 image with 1 head ")
    assert "scene0.png is left out: its file has changed since the run" in told
    assert write_data(Run(run, crowd), {}).startswith("0 images")


def test_nothing_marked_makes_no_folder(run: Path) -> None:
    assert write_data(Run(run, crowd), {}) == ""
    corrected(run, "scene0.png", label="7")
    told = write_data(Run(run, crowd), Store(run).latest())
    assert told == "1 count without marked heads is in that table only"
    assert not (run / RETRAIN).exists()
