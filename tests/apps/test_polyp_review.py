"""The page on sized polyps, run without a browser: what is said, the queue, verdicts, and what is kept."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from apps.edits import Edits
from apps.items import Desk, Item, Run
from apps.store import Store
from apps.viewers import polyp, polyp_case
from apps.viewers.polyp_again import ask_again, can_ask
from apps.viewers.polyp_marks import FrameMark, Marks, saved
from apps.viewers.polyp_view import Message, read
from pipelines.common.errors import UserError
from pipelines.polyp.aggregate import SCORES
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.run import size
from tests.apps.polyp_runs import change_rows, item_of, judged, sized
from tests.apps.test_review import PAGE, press, shown, titles
from tests.pipelines.polyp.size.made import TIMES, load, save_model, write_dataset


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sized(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    for name in (polyp.SAVED, polyp.REFUSED, polyp.AGAIN, polyp.HEARD, polyp.LOOK, "said"):
        st.session_state.pop(name, None)


def opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(run), "--reviewer", "Ann"])
    page = AppTest.from_file(str(PAGE), default_timeout=300).run()
    assert not page.exception
    return page


def test_a_polyp_is_an_item(run: Path) -> None:
    found = Run(run, polyp)
    assert {one.title: one.decision for one in found.items} == {
        **{f"polyp{number}": "6-9 mm" for number in range(3)},
        **{"torn": "abstained", "bare": "failed"},
    }
    item = item_of(found, "polyp0")
    assert (item.prediction, item.group) == ("7.0 mm", "patient0")
    assert item_of(found, "torn").prediction == "abstained" and item_of(found, "torn").reviewable
    assert not item_of(found, "bare").reviewable
    assert len(polyp_case.read_sized(found, item.row).frames) == 3


def test_what_is_said_on_every_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    wanted = "**Not a medical device.** The model learnt from rendered polyps."
    assert any(wanted in one.value for one in page.markdown)
    page.selectbox(key="state").select("reviewed").run()  # nothing to show
    assert any(wanted in one.value for one in page.markdown)
    record = json.loads((run / "run.json").read_text())
    for model in ({"data": "<b>:red[x]"}, {}, None):
        (run / "run.json").write_text(json.dumps(record | {"model": model}))
        told = polyp.banner(record | {"model": model})
        assert "Not a medical device" in told and "<b>" not in told and ":red[" not in told


def test_abstained_then_indeterminate_then_the_widest_interval(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["polyp"] == "polyp1":
            row["decision"] = "indeterminate"
        if row["polyp"] == "polyp2":
            row["high"] = 20.0

    change_rows(run, change)
    page = opened(run, monkeypatch)
    assert titles(page) == ["torn", "polyp1", "polyp2", "polyp0"]
    page.multiselect(key="decisions").select("indeterminate").run()
    assert titles(page) == ["polyp1"]
    page.multiselect(key="decisions").set_value([]).run()
    page.text_input(key="text").set_value("patient2").run()
    assert titles(page) == ["polyp2"]


def test_accept_reject_and_unsure(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    assert shown(page) == "torn"
    press(page, "accept")
    press(page, "unsure")
    press(page, "reject")
    said = [(one.verdict, one.label) for one in Store(run).latest().values()]
    assert said == [("accept", "abstained"), ("relabel", "unsure"), ("relabel", "reject")]
    page.selectbox(key="state").select("unsure").run()
    assert page.radio[0].proto.captions[0] == ":orange[unsure]"
    press(page, "undo")
    assert len(Store(run).latest()) == 2


def test_what_failed_is_shown_with_its_reason(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(run, monkeypatch)
    page.selectbox(key="state").select("all").run()
    page.text_input(key="text").set_value("bare").run()
    assert "no frame of it has a box or a mask" in page.warning[0].value


def test_frames_that_are_gone_leave_the_sizes_to_be_judged(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"inputs": [str(tmp_path / "gone")]}))
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("polyp0").run()
    assert "frames cannot be read" in page.warning[0].value and not page.error
    press(page, "accept")
    assert [one.label for one in Store(run).latest().values()] == ["7.0 mm"]


def test_damaged_frames_are_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = item_of(Run(run, polyp), "polyp0")
    lines = (run / "frames.jsonl").read_text().splitlines()
    lines[item.row] = '{"shares": null, "frames": [{"frame": "x"}]}'
    (run / "frames.jsonl").write_text("\n".join(lines) + "\n")
    page = opened(run, monkeypatch)
    page.text_input(key="text").set_value("polyp0").run()
    assert "the list of its frames is damaged" in page.error[0].value


def test_names_of_others_draw_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "![x](x.test) :red[b]\n<b>d `e` \u202e"

    def rename(row: dict[str, Any]) -> None:
        row.update(polyp=hostile, patient=hostile, video=hostile, notes=[hostile], boxes_from=hostile)

    change_rows(run, rename)
    page = opened(run, monkeypatch)
    assert titles(page)[0].startswith("\\!\\[x\\]\\(x\\.test\\) \\:red\\[b\\]\\\\n\\<b\\>d \\`e\\`")
    press(page, "accept")
    assert [one.map for one in Store(run).latest().values()] == [hostile]


def key_of(item: Item) -> str:
    return f"{item.line} {item.hash}"


def said(item: Item, *steps: list[Any], tab: str = "t", **more: Any) -> Message:
    given = {"tab": tab, "message": 1, "key": key_of(item), "look": 0, "seen": 0}
    message = read(given | {"steps": [[key_of(item), *one] for one in steps]} | more)
    assert message is not None
    return message


def heard(run: Run, message: Message) -> list[tuple[str, str, str]]:
    """What a message leads to: verdicts as title, label and detail."""
    given: list[tuple[str, str, str]] = []
    polyp._heard(run, desk_of(run, given), message)
    return given


def desk_of(run: Run, given: list[tuple[str, str, str]]) -> Desk:
    return Desk(Store(run.path), "Ann", lambda item, label, detail: given.append((item.title, label, detail)))


def test_steps_are_kept_and_saved_as_a_verdict(run: Path) -> None:
    found = Run(run, polyp)
    item = item_of(found, "polyp0")
    names = [one.name for one in polyp_case.read_sized(found, item.row).frames]
    assert heard(found, said(item, [0, "frame", names[0], False, None])) == []
    steps = [
        [1, "frame", names[1], None, [10, 10, 60, 50.5]],
        [2, "size", 4, True],
        [3, "reasons", ["blurred"]],
    ]
    ((title, label, detail),) = heard(found, said(item, *steps, save=True))
    assert (title, label) == ("polyp0", ">=4 mm")
    frames = {names[0]: FrameMark(False), names[1]: FrameMark(None, (10, 10, 60, 50.5))}
    assert saved(detail) == Marks(4.0, True, frames, ("blurred",))
    assert st.session_state[polyp.SAVED] is True
    # What the page's own buttons say goes with the frames, and with no size but the one that is accepted.
    kept = saved(polyp.kept(found, item, desk_of(found, []), item.prediction))
    assert kept == Marks(frames=frames, reasons=("blurred",))


def test_accept_keeps_frames_and_reasons(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Run(run, polyp)
    item = item_of(found, "torn")
    heard(found, said(item, [0, "frame", "torn", None, "none"], [1, "size", 9, False]))
    press(opened(run, monkeypatch), "accept")
    detail, _ = Store(run).detail(item.id)
    assert saved(detail) == Marks(frames={"torn": FrameMark(None, "none")})


def test_a_late_step_is_for_the_polyp_that_was_seen(run: Path) -> None:
    found = Run(run, polyp)
    item = item_of(found, "polyp0")
    for key in (f"{item.line} other", "", "x h", "99 h", f"{10**20} h"):
        steps = [[key, 0, "size", 4, False]]
        assert heard(found, said(item, key=key, steps=steps, save=True)) == []
        assert "of another polyp" in st.session_state["said"][1]
    assert Edits(Store(run)).last("t") == -1


def test_a_step_that_is_none_is_said_and_not_asked_for_again(run: Path) -> None:
    found = Run(run, polyp)
    item = item_of(found, "polyp0")
    assert heard(found, said(item, [7, "size", 500, False], save=True)) == []
    assert "at most 200 mm" in st.session_state["said"][1]
    assert polyp._acked(desk_of(found, []), "t") == 7


@pytest.mark.parametrize(
    "change",
    [
        {"tab": 1},
        {"key": None},
        {"message": "1"},
        {"look": 1.5},
        {"seen": None},
        {"steps": None},
        {"steps": [["k"]]},
        {"steps": [[1, 2]]},
        {"steps": [["k", True]]},
    ],
)
def test_what_is_no_message_is_passed_over(change: dict[str, Any]) -> None:
    given = {"tab": "t", "message": 1, "key": "k", "look": 0, "seen": 0, "steps": []}
    assert read(given) is not None
    assert read(given | change) is None and read([]) is None


@pytest.mark.parametrize("camera", [True, False])
def test_a_polyp_asked_of_again_has_the_interval_of_its_frames(tmp_path: Path, camera: bool) -> None:
    """Without a camera, scores of polyps that were seen without one count."""
    scores = {SCORES["camera"]: TIMES, SCORES["nothing"]: 2 * TIMES}
    inputs = write_dataset(tmp_path / "inputs", [7.0])
    if not camera:
        (inputs / "calibration.json").unlink()
    predictor = load(save_model(tmp_path / "model", calibration=scores))
    assert isinstance(predictor.config, SizeConfig)
    size([inputs], predictor=predictor, config=predictor.config, out=tmp_path / "run")
    found = Run(tmp_path / "run", polyp)
    row = found.row(item_of(found, "polyp0").row)
    sized = polyp_case.read_sized(found, item_of(found, "polyp0").row)
    sources = polyp_case.find_sources(found, row, sized, polyp_case.list_polyps(found))
    asked = Marks(frames={one.name: FrameMark(True) for one in sized.frames})
    told, _ = ask_again(found, sized.frames, sources, asked)
    low, high = (float(one) for one in re.findall(r"[(]([\d.]+) to ([\d.]+)[)]", told)[0])
    assert (low, high) == pytest.approx((row["low"], row["high"]), abs=0.1)
    assert np.log(high / low) == pytest.approx((1 if camera else 2) * 0.35, rel=0.2)


def test_a_polyp_is_sized_again(run: Path) -> None:
    found = Run(run, polyp)
    item = item_of(found, "polyp0")
    frames = polyp_case.read_sized(found, item.row).frames
    sources = polyp_case.find_sources(
        found, found.row(item.row), polyp_case.read_sized(found, item.row), polyp_case.list_polyps(found)
    )
    assert can_ask(found, frames)
    told, mm = ask_again(found, frames, sources, Marks(frames={frames[0].name: FrameMark(False)}))
    assert mm == pytest.approx(7.0, rel=0.02) and "from 2 frames, 6-9 mm" in told
    with pytest.raises(UserError, match="no frame is in"):
        ask_again(found, frames, sources, Marks(frames={one.name: FrameMark(False) for one in frames}))
    # The page gets the answer, and why there is none.
    heard(found, said(item, [0, "frame", frames[0].name, False, None], again=True))
    assert st.session_state[polyp.AGAIN][1].mm == mm
    found.record["model"]["sha256"] = "another"
    heard(found, said(item, again=True))
    assert "has changed since the run" in st.session_state[polyp.AGAIN][1].told
    found.record["model_folder"] = "/gone"
    assert not can_ask(found, frames)


def test_a_verdict_is_shown_to_all(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(run, "polyp0", "4.5 mm", Marks(4.5))
    page = opened(run, monkeypatch)
    page.selectbox(key="state").select("corrected").run()
    assert page.radio[0].proto.captions[0] == ":green[corrected: 4\\.5 mm]"
