"""The page in a real browser: keys, filters, export, a killed server, a refit, and how maps are drawn."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from apps.store import DATABASE, EXPORT, Store
from benchmarks.review.browser import IDLE, PAINTED, TITLE, changed
from benchmarks.review.serving import Served, serve
from pipelines.wafer.data.record import FAIL
from pipelines.wafer.train import train
from tests.apps.runs import small_run, wafer
from tests.browser import PATIENCE_MS, opened
from tests.pipelines.wafer import tiny

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
# How bright the wafer is, above the middle of the map.
BRIGHT = """
const host = [...document.querySelectorAll("*")].find(one => one.shadowRoot?.querySelector(".alone canvas"));
const canvas = host?.shadowRoot.querySelector(".alone canvas");
const bright = () => canvas?.getContext("2d").getImageData(canvas.width / 2, 20, 1, 1).data[0];
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of three classes, with its training maps as examples."""
    folder = tmp_path_factory.mktemp("model")
    data = tiny.write_defects(folder / "defects.npz", tiny.DEFECT_SIZES)
    train(data, folder / "toy", tiny.settings(tiny.COORDINATES))
    return folder / "toy"


@pytest.fixture(scope="module")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of twelve maps, in a folder of its own, with what it was made from."""
    folder = tmp_path_factory.mktemp("review")
    sizes = {"normal": 4, "center": 4, "ring": 4}
    data = tiny.write_defects(folder / "maps.npz", sizes, seed=7, labelled=False)
    suite("wafer", "classify", data, "--model", model, "--out", folder / "run")
    return folder / "run"


def suite(*words: str | Path) -> None:
    command = [sys.executable, "-m", "suite", *map(str, words), "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def served(run: Path) -> Iterator[Served]:
    with serve(run) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    outside: list[str] = []
    page.on("request", lambda request: None if _is_local(request.url) else outside.append(request.url))
    page.goto(served.url)
    yield page
    page.close()
    assert outside == [], "the page reached out of this machine"


@pytest.mark.slow
def test_a_review_from_the_first_key_to_the_refitted_model(
    page: Page, run: Path, served: Served, model: Path, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    page.get_by_text("0 of 12 reviewed").wait_for()
    page.get_by_label("wafer map", exact=False).first.wait_for()
    page.get_by_text("Nearest training maps").wait_for()

    # Keys that a person types into a field are no verdicts.
    find = page.get_by_label("Find")
    find.press_sequentially("au1z")
    find.press("Enter")
    page.get_by_text("Nothing here passes the filters.").wait_for()
    assert Store(run).last() == 0
    find.fill("npz#3")
    find.press("Enter")
    page.get_by_role("heading", name="maps.npz#3").wait_for()
    page.get_by_text("page 1 of 1").wait_for()
    settle(page)
    wait_for_radios(page, 1)

    # A note, then a class by its key, and undo.
    page.get_by_label("Note").fill("as the tool said")
    page.get_by_label("Note").press("Enter")
    leave_field(page)
    wanted = next(name for name in ("center", "normal", "ring") if name != rows[3]["class"])
    page.keyboard.press(str(["center", "normal", "ring"].index(wanted) + 1))
    page.get_by_text("1 of 12 reviewed").wait_for()
    find.fill("")
    find.press("Enter")
    page.get_by_role("button", name="Accept").wait_for()
    leave_field(page)
    page.keyboard.press("a")
    page.get_by_text("2 of 12 reviewed").wait_for()
    settle(page)
    page.keyboard.press("z")
    page.get_by_text("1 of 12 reviewed").wait_for()
    settle(page)

    # A class of one's own, from then on a key away.
    for count in range(2, 6):
        if count == 2:
            page.get_by_label("A new class").fill("Half")
            page.get_by_label("A new class").press("Enter")
            page.get_by_role("button", name="Relabel", exact=True).click()
        else:
            page.keyboard.press("4")
        page.get_by_text(f"{count} of 12 reviewed").wait_for()
        settle(page)

    # The filter shows what was relabelled; export; the verdicts are in the file.
    choose(page, "Show", "relabelled")
    page.get_by_text("page 1 of 1").wait_for()
    settle(page)
    wait_for_radios(page, 5)
    page.get_by_role("button", name="Export").click()
    page.get_by_text("5 verdicts written").wait_for()
    with (run / EXPORT).open(newline="") as lines:
        told = list(csv.DictReader(lines))
    assert sorted(row["label"] for row in told) == sorted([wanted, *["Half"] * 4])
    (row,) = [row for row in told if row["label"] == wanted]
    assert (row["map"], row["note"], row["reviewer"], row["item"]) == (
        *("3", "as the tool said", "Ann", rows[3]["item"]),
    )

    os.kill(served.pid, signal.SIGKILL)
    assert len(Store(run).latest()) == 5

    suite("wafer", "refit", model, "--labels", run / EXPORT, "--out", tmp_path / "better")
    labels = json.loads((tmp_path / "better" / "config.json").read_text())["labels"]
    assert labels == ["center", "normal", "ring", "Half"]


@pytest.mark.slow
def test_quick_keys_judge_what_was_shown(browser: Browser, tmp_path: Path) -> None:
    """Keys as soon as another title is there, with the buttons of the last map still beside the next ones."""
    made = small_run(tmp_path / "run", 24)
    keys = {"a": "accept", "u": "unsure"}
    given = []
    with serve(made) as served:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(served.url)
        page.locator(TITLE).click()
        settle(page)
        for key in "auuauaaauuua":
            title = page.locator(TITLE).inner_text()
            page.keyboard.press(key)
            page.wait_for_function(changed(TITLE), arg=title)
            given.append((title, keys[key]))
        page.get_by_text("12 of 24 reviewed").wait_for()
        page.close()
    with closing(sqlite3.connect(made / DATABASE)) as database:
        rows = database.execute("SELECT name, verdict FROM verdicts ORDER BY id").fetchall()
    assert len(rows) == len(given) == len({name for name, _ in rows})
    assert [kind for _, kind in rows] == [kind for _, kind in given]


@pytest.mark.slow
def test_a_map_is_hovered_zoomed_and_panned(browser: Browser, tmp_path: Path) -> None:
    with serve(small_run(tmp_path / "run", 3)) as served:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(served.url)
        tip = page.locator(".alone .tip")
        x, y = wafer(0).defects[0]  # of the first item, 20 defects without dies
        hover(page, x, y)
        tip.get_by_text("mm").wait_for()
        near = [float(number) for number in re.findall(r"-?[0-9.]+(?= mm)", tip.inner_text())]
        assert abs(near[0] - x) < 0.01 and abs(near[1] - y) < 0.01

        # Zoomed in, the defect stays where the pointer is; a double click goes back.
        page.mouse.wheel(0, -600)
        assert tip.is_visible()
        page.mouse.down()
        page.mouse.move(*pixel(page, x, y, 40, 0))
        page.mouse.up()
        assert tip.is_visible()  # it went along
        page.mouse.dblclick(*pixel(page, x, y, 40, 0))
        hover(page, x, y)
        assert tip.is_visible()

        page.keyboard.press("j")  # dies
        page.get_by_role("heading", name="L0 W1").wait_for()
        dies = wafer(1, die_level=True).dies
        assert dies is not None
        place = int(np.flatnonzero(dies.status == FAIL)[0])
        row, column = divmod(place, dies.status.shape[1])
        hover(page, *dies.positions_mm(np.array([place]))[0])
        tip.get_by_text(f"column {column + 1}, row {row + 1}: fail").wait_for()
        page.close()


@pytest.mark.slow
def test_a_dark_theme_is_dark(browser: Browser, tmp_path: Path) -> None:
    with serve(small_run(tmp_path / "run", 3)) as served:
        for scheme, dark in (("dark", True), ("light", False)):
            page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_default_timeout(PATIENCE_MS)
            page.goto(served.url)
            canvas = page.locator(".alone canvas")
            canvas.wait_for()
            page.wait_for_function(f"dark => {{ {BRIGHT} return (bright() < 90) === dark }}", arg=dark)
            ground = page.locator("[data-testid=stApp]").evaluate(
                "app => getComputedStyle(app).backgroundColor.match(/[0-9]+/g).map(Number)"
            )
            assert (ground[0] < 90) == dark
            page.close()


def settle(page: Page) -> None:
    """Wait until the page shows what it was last asked for, so that keys are for what is seen."""
    page.wait_for_selector(IDLE)
    page.evaluate(PAINTED)


def wait_for_radios(page: Page, count: int) -> None:
    """The queue shows so many items, once those that the filter left out are gone."""
    radios = page.get_by_role("radio")
    radios.nth(count - 1).wait_for()
    radios.nth(count).wait_for(state="detached")


def leave_field(page: Page) -> None:
    """Click where nothing is, so that keys are shortcuts again."""
    settle(page)
    page.locator(TITLE).click()


def choose(page: Page, name: str, option: str) -> None:
    page.get_by_label(name, exact=False).first.click()
    page.get_by_role("option", name=option, exact=True).click()


def pixel(page: Page, x: float, y: float, right: float = 0, down: float = 0) -> tuple[float, float]:
    """Where a place in mm on a 300 mm wafer is on the page."""
    canvas = page.locator(".alone canvas")
    canvas.wait_for()
    box = canvas.bounding_box()
    assert box is not None
    scale = box["width"] / (300 * 1.03)
    return box["x"] + box["width"] / 2 + x * scale + right, box["y"] + box["height"] / 2 - y * scale + down


def hover(page: Page, x: float, y: float) -> None:
    settle(page)
    page.mouse.move(*pixel(page, x, y, 1, 1))
    page.mouse.move(*pixel(page, x, y))


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
