"""Counted images in a real browser: heads marked by clicks, kept through a kill, sharp zoom, the export."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from apps.edits import Edits
from apps.items import Run
from apps.store import EXPORT, Store
from apps.viewers import crowd
from apps.viewers.crowd_marks import Point, after, saved_points
from benchmarks.review.browser import open_page
from benchmarks.review.serving import Served, serve
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.run import count
from pipelines.crowd.data import read_dataset
from tests.apps.crowd_runs import SIZE, counted, item_of
from tests.apps.test_browser import choose, leave_field, settle
from tests.browser import PATIENCE_MS, chromium
from tests.pipelines.crowd.count.made_models import predictor

if TYPE_CHECKING:
    from playwright.sync_api import Page

# How much neighbouring pixels in the middle of the canvas differ.
CONTRAST = """
() => {
  const host = [...document.querySelectorAll("*")].find(one => one.shadowRoot?.querySelector(".stage"));
  const canvas = host.shadowRoot.querySelector("canvas"), side = 100;
  const { data } = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, side, side);
  const red = Array.from({ length: side * side }, (_, i) => data[4 * i]);
  const mean = red.reduce((sum, one) => sum + one, 0) / red.length;
  return Math.sqrt(red.reduce((sum, one) => sum + (one - mean) ** 2, 0) / red.length);
}
"""


@pytest.fixture(scope="module")
def browser() -> str:
    return chromium()


@contextmanager
def looking(run: Path, browser: str) -> Iterator[tuple[Page, Served]]:
    """The page of a run, once its first image is drawn; nothing may fail or be asked for from elsewhere."""
    with serve(run) as served, open_page(browser, height=1000) as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if _is_foreign(request.url) else None)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(served.url)
        page.locator(".stage canvas").wait_for()
        page.locator(".told b").get_by_text("0").wait_for()
        settle(page)
        yield page, served
        assert problems == [], "the page failed, or reached out of this machine"


@pytest.mark.slow
def test_a_review_from_the_first_click_to_the_data_set(browser: str, tmp_path: Path) -> None:
    run = counted(tmp_path)
    with looking(run, browser) as (page, served):
        page.get_by_text("0 of 6 reviewed").wait_for()
        find(page, "scene0.png")
        click(page, 30, 40)
        click(page, 100, 50)
        marked(page, 2)
        kept(page)
        found = steps(run, "scene0.png")
        assert np.abs(np.array(found) - [(30, 40), (100, 50)]).max() < 0.3

        # A click on a head removes it; the key takes that back, once the pointer is elsewhere too.
        click(page, 30, 40)
        marked(page, 1)
        page.keyboard.press("Control+z")
        marked(page, 2)
        # A drag marks nothing, and without zoom it moves nothing.
        x, y = pixel(page, 60, 60)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y + 30)
        page.mouse.up()
        marked(page, 2)
        # Zoomed in, a click is where the pointer is.
        x, y = pixel(page, 60, 60)
        page.mouse.move(x, y)
        page.mouse.wheel(0, -500)
        page.mouse.click(x, y)
        marked(page, 3)
        kept(page)
        assert np.abs(np.array(sorted(steps(run, "scene0.png"))[1]) - (60, 60)).max() < 0.3
        os.kill(served.pid, signal.SIGKILL)

    # All clicks are there after the server was killed.
    with looking(run, browser) as (page, served):
        find(page, "scene0.png")
        marked(page, 3)
        # Keys that are typed into a field are no verdicts.
        note = page.get_by_label("Note")
        note.press_sequentially("sax")
        note.press("Enter")
        assert Store(run).last() == 0
        leave_field(page)
        page.keyboard.press("s")
        page.get_by_text("1 of 6 reviewed").wait_for()
        settle(page)
        item = item_of(Run(run, crowd), "scene0.png")
        verdict = Store(run).latest()[item.id]
        assert (verdict.verdict, verdict.label, verdict.note) == ("relabel", "3", "sax")
        assert len(saved_points(Store(run).detail(item.id)[0])) == 3

        # A right count without heads, then a rejection, then the model's heads.
        find(page, "scene1.png")
        field = page.get_by_role("spinbutton", name="The right count")
        field.fill("41")
        field.press("Enter")
        page.get_by_text("2 of 6 reviewed").wait_for()
        settle(page)
        find(page, "scene2.png")
        leave_field(page)
        page.keyboard.press("x")
        page.get_by_text("3 of 6 reviewed").wait_for()
        settle(page)
        find(page, "film.avi#2", "film.avi, frame 2")
        page.get_by_role("button", name="Begin with the model's heads").click()
        wanted = item_of(Run(run, crowd), "film.avi, frame 2").prediction
        marked(page, int(wanted))
        page.get_by_role("button", name="Remove all").click()
        marked(page, 0)
        page.get_by_role("button", name="Undo click").click()
        marked(page, int(wanted))
        page.get_by_role("button", name=f"Save {wanted} as the count").click()
        page.get_by_text("4 of 6 reviewed").wait_for()
        settle(page)
        page.get_by_role("button", name="Export").click()
        page.get_by_text("4 verdicts written").wait_for()

        # What is undone is to be reviewed again, with the heads as they were.
        leave_field(page)
        page.keyboard.press("z")
        page.get_by_text("3 of 6 reviewed").wait_for()
        marked(page, int(wanted))
    with (run / EXPORT).open(newline="") as lines:
        labels = {Path(row["source"]).name: row["label"] for row in csv.DictReader(lines)}
    assert labels == {"scene0.png": "3", "scene1.png": "41", "scene2.png": "reject", "film.avi": wanted}
    names = [case.name for case in read_dataset(run / "retrain").cases]
    assert names == ["images/film/000002", "images/scene0"]


@pytest.mark.slow
def test_a_zoomed_part_of_a_large_image_is_sharp(browser: str, tmp_path: Path) -> None:
    rows, columns = np.indices((2400, 3200))
    board = np.where((rows + columns) % 2, 200, 60).astype(np.uint8)
    (tmp_path / "inputs").mkdir()
    Image.fromarray(board).save(tmp_path / "inputs" / "board.png")
    count(
        [tmp_path / "inputs"],
        predictor=predictor(max_side=256),
        config=CountConfig(max_side=256),
        out=tmp_path / "run",
    )
    with looking(tmp_path / "run", browser) as (page, _):
        page.get_by_text("Heat map").click()
        assert page.evaluate(CONTRAST) < 10  # squares of one pixel are grey from afar
        x, y = pixel(page, 1600, 1200, 3200)
        page.mouse.move(x, y)
        for _ in range(4):
            page.mouse.wheel(0, -500)
        page.wait_for_function(f"() => ({CONTRAST})() > 12")
        page.get_by_role("button", name="whole image").click()
        page.wait_for_function(f"() => ({CONTRAST})() < 10")


def find(page: Page, text: str, title: str = "") -> None:
    """Show the one item that a search finds, whatever was said of it. title: if it is not the text."""
    choose(page, "Show", "all")
    field = page.get_by_label("Find")
    field.fill(text)
    field.press("Enter")
    page.get_by_role("heading", name=title or text).wait_for()
    page.get_by_role("radio").nth(1).wait_for(state="detached")
    page.get_by_role("spinbutton").nth(1).wait_for(state="detached")  # of the image before
    settle(page)
    page.wait_for_timeout(300)  # a picture is decoded after the page is done


def pixel(page: Page, x: float, y: float, width: int = SIZE[0]) -> tuple[float, float]:
    """Where a place of an image that fits is on the page. width: of the image in px."""
    box = page.locator(".stage canvas").bounding_box()
    assert box is not None
    scale = box["width"] / width
    return box["x"] + x * scale, box["y"] + y * scale


def click(page: Page, x: float, y: float) -> None:
    page.mouse.click(*pixel(page, x, y))


def marked(page: Page, number: int) -> None:
    """Wait until so many heads are marked."""
    page.locator(".told b").get_by_text(f"{number:,}", exact=True).wait_for()


def kept(page: Page) -> None:
    """Wait until every click is on the disk."""
    page.locator(".state").get_by_text("Every click is kept").wait_for()


def steps(run: Path, title: str) -> list[Point]:
    found = Run(run, crowd)
    return after(Edits(Store(run)).of(item_of(found, title).id, "Ann")[0])


def _is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
