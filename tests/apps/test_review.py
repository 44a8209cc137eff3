"""The logic of the page, run without a browser."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from apps.store import EXPORT, Store
from tests.apps.runs import small_run, wafer

PAGE = Path(__file__).resolve().parents[2] / "apps" / "review.py"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return small_run(tmp_path / "run")


@pytest.fixture
def page(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    yield opened(run, monkeypatch)


def opened(run: Path, monkeypatch: pytest.MonkeyPatch, address: dict[str, str] | None = None) -> AppTest:
    """address: names and values in the address of the page."""
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(run), "--reviewer", "Ann"])
    page = AppTest.from_file(str(PAGE), default_timeout=300)
    for name, value in (address or {}).items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def titles(page: AppTest) -> list[str]:
    return list(page.radio[0].options) if page.radio else []


def press(page: AppTest, key: str) -> None:
    """Click a button; key: without the item that it judges."""
    next(button for button in page.button if (button.key or "").split(" / ")[0] == key).click().run()
    assert not page.exception


def shown(page: AppTest) -> str:
    """The title of the item that is looked at."""
    return next(one.value for one in page.markdown if one.value.startswith("##### "))[6:]


def exported(run: Path) -> list[dict[str, str]]:
    with (run / EXPORT).open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_tab_that_is_loaded_again_goes_on_where_it_was(
    page: AppTest, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(page, "Next")
    page.text_input(key="reviewer").set_value("Bob").run()
    address = dict(page.query_params)
    assert address == {"item": "1", "reviewer": "Bob"}
    again = opened(run, monkeypatch, {"item": "1", "reviewer": "Bob"})
    assert shown(again) == shown(page) == "L0 W1"
    assert again.toast[0].value.startswith("Opened anew.")
    press(again, "accept")
    assert [one.reviewer for one in Store(run).latest().values()] == ["Bob"]


@pytest.mark.parametrize(
    "item", ["", "x", "-1", "1.5", "99999999", "9" * 5_000, "\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_an_address_of_no_item_begins_with_the_first(
    item: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(run, monkeypatch, {"item": item, "reviewer": "<b>" * 5_000})
    assert shown(page) == "L0 W0" and not page.toast
    press(page, "accept")
    assert [len(one.reviewer) for one in Store(run).latest().values()] == [100]


def test_the_queue_begins_with_the_least_certain(page: AppTest) -> None:
    assert titles(page)[:3] == ["L0 W0", "L0 W1", "L0 W2"]
    assert len(titles(page)) == 12
    assert shown(page) == "L0 W0"


def test_orders(page: AppTest) -> None:
    page.selectbox(key="order").select("most novel first").run()
    assert titles(page)[:2] == ["L0 W0", "L0 W1"]
    press(page, "Next")
    page.selectbox(key="state").select("all").run()
    assert shown(page) == "L0 W1"  # a filter leaves it
    page.selectbox(key="order").select("as in the run").run()
    assert len(titles(page)) == 14
    assert (titles(page)[0], titles(page)[-1]) == ("L0 W0 \\(1\\)", "L0 W0 \\(14\\)")  # told apart
    press(page, "Next")
    assert shown(page) == "L0 W1"


@pytest.mark.parametrize(
    ("kind", "key", "chosen", "wanted"),
    [
        ("multiselect", "classes", ["ring"], ["L0 W1", "L1 W0", "L1 W4"]),
        (
            "multiselect",
            "decisions",
            ["novel"],
            ["L0 W0", "L0 W1", "L0 W2", "L0 W3", "L0 W4"] + [f"L1 W{n}" for n in range(5)],
        ),
        ("text_input", "text", "l2 W1", ["L2 W1"]),
        ("text_input", "text", "nothing like it", []),
    ],
)
def test_filters(page: AppTest, kind: str, key: str, chosen: object, wanted: list[str]) -> None:
    getattr(page, kind)(key=key).set_value(chosen).run()
    assert titles(page) == wanted
    if not wanted:
        assert page.info[0].value == "Nothing here passes the filters."


def test_accept_goes_on_and_is_kept(page: AppTest, run: Path) -> None:
    page.text_input(key=f"note {_id(0)}").set_value("seen before").run()
    press(page, "accept")
    assert shown(page) == "L0 W1"
    assert "L0 W0" not in titles(page)
    (verdict,) = Store(run).latest().values()
    assert (verdict.verdict, verdict.label, verdict.note, verdict.reviewer, verdict.model) == (
        *("accept", "none", "seen before", "Ann", "tiny"),
    )
    assert (verdict.item, verdict.prediction, verdict.novelty) == (_id(0)[2], "none", 30.0)


def test_relabel_with_a_known_and_a_new_name(page: AppTest, run: Path) -> None:
    press(page, "class grid")
    page.text_input(key=f"new {_id(1)}").set_value(" half  ring ").run()
    press(page, "new")
    assert [one.label for one in Store(run).latest().values()] == ["grid", "half ring"]
    assert any(button.key == "class half ring / 2" for button in page.button)  # offered from now on
    press(page, "class scratch")  # what the model said of this map
    assert [one.verdict for one in Store(run).latest().values()] == ["relabel", "relabel", "accept"]


def test_a_name_that_is_not_allowed_is_explained_and_not_kept(page: AppTest, run: Path) -> None:
    page.text_input(key=f"new {_id(0)}").set_value("a/b").run()
    press(page, "new")
    assert "letters, digits" in page.error[0].value
    assert shown(page) == "L0 W0"
    assert Store(run).last() == 0


def test_undo_goes_back_to_the_item(page: AppTest, run: Path) -> None:
    press(page, "unsure")
    press(page, "accept")
    press(page, "undo")
    assert shown(page) == "L0 W1"
    assert [one.verdict for one in Store(run).latest().values()] == ["unsure"]
    press(page, "undo")
    assert shown(page) == "L0 W0"
    press(page, "undo")
    assert page.toast[0].value == "There is nothing of yours to undo."


def test_export(page: AppTest, run: Path) -> None:
    press(page, "accept")
    press(page, "class grid")
    press(page, "export")
    assert [(one["map"], one["verdict"], one["label"]) for one in exported(run)] == [
        ("0", "accept", "none"),
        ("1", "relabel", "grid"),
    ]
    assert page.toast[0].value.startswith("2 verdicts written to ")


def test_all_reviewed(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = opened(small_run(tmp_path / "two", 2), monkeypatch)
    press(page, "accept")
    press(page, "accept")
    assert page.success[0].value.startswith("All is reviewed.")
    page.selectbox(key="state").select("reviewed").run()
    assert titles(page) == ["L0 W0", "L0 W1"]
    press(page, "unsure")
    assert page.radio[0].proto.captions[0] == ":green[unsure]"


def test_a_verdict_of_another_process_is_seen(
    page: AppTest, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened(run, monkeypatch)
    press(other, "Next")
    press(other, "unsure")
    page.run()
    assert "L0 W1" not in titles(page)
    assert shown(page) == "L0 W0"


def test_failed_and_unplaced_maps_say_why_and_cannot_be_judged(page: AppTest) -> None:
    page.selectbox(key="state").select("all").run()
    page.multiselect(key="decisions").set_value(["failed"]).run()
    assert page.warning[0].value == "there are no rows"
    assert "accept" not in [button.key for button in page.button]
    page.multiselect(key="decisions").set_value(["unplaced"]).run()
    assert "does not say where they are" in page.warning[0].value


def test_a_damaged_drawing_is_one_message(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (run / "maps.jsonl").read_text().splitlines()
    lines[0] = '{"d":300,"n":1,"p":"not base64"}'
    (run / "maps.jsonl").write_text("\n".join(lines) + "\n")
    page = opened(run, monkeypatch)
    assert page.error[0].value.startswith(
        "This wafer map cannot be drawn: the drawing of this map is damaged"
    )
    press(page, "accept")
    assert not page.error


def test_damaged_rows_are_counted_and_the_rest_is_shown(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (run / "results.jsonl").open("a") as rows:
        rows.write('{"source": "x"}\n[]\nnot json\n{"torn": ')
    page = opened(run, monkeypatch)
    assert page.warning[0].value == "3 lines of the run are damaged and left out."
    assert len(titles(page)) == 12


def test_a_run_that_grows_is_read_again(page: AppTest, run: Path) -> None:
    rows = (run / "results.jsonl").read_text().splitlines()
    maps = (run / "maps.jsonl").read_text().splitlines()
    more = json.loads(rows[0]) | {"map": 77, "wafer": "W77", "probability": 0.01}
    with (run / "results.jsonl").open("a") as file:
        file.write(json.dumps(more) + "\n")
    with (run / "maps.jsonl").open("a") as file:
        file.write(maps[0] + "\n")
    page.run()
    assert titles(page)[0] == "L0 W77"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_folder_that_cannot_be_written_to_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.chmod(0o500)
    page = opened(run, monkeypatch)
    run.chmod(0o700)
    assert "verdicts cannot be kept" in page.error[0].value


def test_a_verdict_that_is_not_saved_stays_where_it_was(
    page: AppTest, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.common.errors import UserError

    def full(self: Store, verdict: object, detail: str) -> int:
        raise UserError("the disk is full")

    monkeypatch.setattr(Store, "add", full)
    press(page, "accept")
    assert page.error[0].value == "Not saved: the disk is full"
    assert shown(page) == "L0 W0"


def test_names_of_others_draw_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(tmp_path / "run", 2)
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    hostile = "![x](http://x.test/a) :red[b] $c$ <b>d</b> `e` \x1b[1m\u202e"
    torn = hostile + "\udce4"  # from a file name that is not UTF-8
    rows[0] |= {"lot": torn, "wafer": torn, "class": hostile, "source": torn}
    (run / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = opened(run, monkeypatch)
    escaped = "\\!\\[x\\]\\(http\\://x\\.test/a\\) \\:red\\[b\\] \\$c\\$ \\<b\\>d\\</b\\> \\`e\\`"
    assert titles(page)[0].startswith(escaped)
    press(page, "accept")
    assert [(one.source, one.prediction) for one in Store(run).latest().values()] == [(torn, hostile)]


def _id(number: int) -> tuple[str, str, str]:
    from pipelines.wafer.rows import item_hash

    made = wafer(number, die_level=number == 1)
    return str(made.source), str(made.position), item_hash(made)
