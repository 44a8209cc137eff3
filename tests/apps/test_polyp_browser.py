"""Sized polyps in a real browser: boxes dragged and drawn anew, frames put out, a killed server, export."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from apps.edits import Edits
from apps.items import Run
from apps.store import Store
from apps.viewers import polyp
from apps.viewers.polyp_marks import NO_LESION, Marks, after, saved
from benchmarks.review.browser import open_page
from benchmarks.review.serving import Served, serve
from pipelines.polyp.data import frames_of, read_dataset
from tests.apps.polyp_runs import SIZE, item_of, sized
from tests.apps.test_browser import choose, leave_field, settle
from tests.browser import PATIENCE_MS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def browser() -> str:
    return chromium()


@contextmanager
def looking(run: Path, browser: str) -> Iterator[tuple[Page, Served]]:
    """The page of a run at its polyp0; nothing may fail or be asked for from elsewhere."""
    with serve(run) as served, open_page(browser, height=1000) as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if _is_foreign(request.url) else None)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(served.url)
        page.locator(".stage canvas").wait_for()
        settle(page)
        choose(page, "Show", "all")
        field = page.get_by_label("Find")
        field.fill("polyp0")
        field.press("Enter")
        page.get_by_role("heading", name="polyp0").wait_for()
        page.locator(".name").get_by_text("of 3:").wait_for()
        leave_field(page)
        yield page, served
        assert problems == [], "the page failed, or reached out of this machine"


@pytest.mark.slow
def test_a_review_from_the_first_drag_to_the_data_set(browser: str, tmp_path: Path) -> None:
    run = sized(tmp_path)
    with looking(run, browser) as (page, served):
        assert page.get_by_text("Not a medical device").is_visible()
        go(page, 1)
        # The lower right corner is dragged, then the box is moved, then one side is typed.
        x0, y0, x1, y1 = typed(page)
        drag(page, (x1, y1), (x1 + 10, y1 + 8))
        wait_for(page, (x0, y0, x1 + 10, y1 + 8))
        drag(page, ((x0 + x1) / 2, (y0 + y1) / 2), ((x0 + x1) / 2 - 5, (y0 + y1) / 2 - 6))
        wait_for(page, (x0 - 5, y0 - 6, x1 + 5, y1 + 2))
        page.get_by_label("x1", exact=True).fill("120.5")
        page.get_by_label("x1", exact=True).press("Enter")
        leave_field(page)
        kept(page)
        (first, second, third) = names(run)
        box = marks(run).frames[first].box
        assert isinstance(box, tuple) and box[2] == 120.5
        assert page.locator(".stale").is_visible()
        # A frame is put out, another one gets a box drawn anew, which is taken back, and has no lesion.
        go(page, 2)
        page.keyboard.press("i")
        page.locator(".use").get_by_text("left out: put out by you").wait_for()
        go(page, 3)
        page.keyboard.press("d")
        drag(page, (20, 30), (60, 80))
        wait_for(page, (20, 30, 60, 80))
        page.keyboard.press("Control+z")
        page.get_by_role("button", name="As in the run").and_(page.locator(":disabled")).wait_for()
        page.keyboard.press("n")
        page.locator(".use").get_by_text("no lesion, you say").wait_for()
        page.get_by_label("Right size in mm").fill("4.5")
        page.get_by_label("Right size in mm").press("Enter")
        leave_field(page)
        page.get_by_role("button", name="box off the lesion").click()
        page.get_by_role("button", name="Size again").click()
        page.locator(".answer").get_by_text("7.0 mm").wait_for()
        kept(page)
        os.kill(served.pid, signal.SIGKILL)

    wanted = marks(run)
    assert wanted.mm == 4.5 and wanted.reasons == ("box off the lesion",)
    assert (wanted.frames[second].use, wanted.frames[third].box) == (False, NO_LESION)
    # All steps are there after the server was killed, and are saved.
    with looking(run, browser) as (page, _):
        page.get_by_role("button", name="Save 4.5 mm").wait_for()
        page.locator(".cell.changed").nth(2).wait_for()
        # Keys that are typed into a field are no verdicts.
        page.get_by_label("Note").press_sequentially("six and")
        page.get_by_label("Note").press("Enter")
        assert Store(run).last() == 0
        leave_field(page)
        page.keyboard.press("s")
        page.get_by_text("1 of 4 reviewed").wait_for()
        settle(page)
        item = item_of(Run(run, polyp), "polyp0")
        verdict = Store(run).latest()[item.id]
        assert (verdict.verdict, verdict.label, verdict.note) == ("relabel", "4.5 mm", "six and")
        assert saved(Store(run).detail(item.id)[0]) == wanted
        page.get_by_role("button", name="Export").click()
        page.get_by_text("1 polyp with 1 frame to train on").wait_for()
    (one,) = read_dataset(run / "retrain").polyps
    assert (one.size_mm, one.patient) == (4.5, "patient0")
    assert [frame.box for frame in frames_of(one).frames] == [box]


def go(page: Page, number: int) -> None:
    """Look at a frame by the strip, counted from 1."""
    page.locator(".cell").nth(number - 1).click()
    page.locator(".name").get_by_text(f"{number} of 3:").wait_for()
    settle(page)
    page.wait_for_timeout(300)  # a picture is decoded after the page is done


def typed(page: Page) -> tuple[float, ...]:
    """The corners as the fields have them."""
    return tuple(float(page.get_by_label(one, exact=True).input_value()) for one in ("x0", "y0", "x1", "y1"))


def wait_for(page: Page, box: tuple[float, ...]) -> None:
    """Wait until the box is about this one."""
    page.wait_for_timeout(100)
    assert typed(page) == pytest.approx(box, abs=1.0)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from a place of the frame to another, in its px."""
    box = page.locator(".stage canvas").bounding_box()
    assert box is not None
    scale = min(box["width"] / SIZE[0], box["height"] / SIZE[1])
    left = box["x"] + (box["width"] - SIZE[0] * scale) / 2
    top = box["y"] + (box["height"] - SIZE[1] * scale) / 2
    page.mouse.move(left + start[0] * scale, top + start[1] * scale)
    page.mouse.down()
    page.mouse.move(left + end[0] * scale, top + end[1] * scale, steps=4)
    page.mouse.up()


def kept(page: Page) -> None:
    """Wait until every step is on the disk."""
    page.locator(".polyp").get_by_text("Every step is kept").wait_for()


def marks(run: Path) -> Marks:
    found = Run(run, polyp)
    return after(Edits(Store(run)).of(item_of(found, "polyp0").id, "Ann")[0])


def names(run: Path) -> list[str]:
    found = Run(run, polyp)
    return [one.name for one in polyp.case.read_sized(found, item_of(found, "polyp0").row).frames]


def _is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
