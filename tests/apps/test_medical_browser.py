"""Segmented volumes in a real browser: planes that move together, windows, verdicts by key, the export."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from apps.store import EXPORT
from benchmarks.review.browser import open_page
from benchmarks.review.serving import serve
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.generate.phantom import LABELS
from tests.apps.medical_runs import SAMPLES, segmented
from tests.apps.test_browser import choose, leave_field, settle
from tests.browser import PATIENCE_MS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOBE, BEAN = "ct / lobe", "ct / bean"
# How bright the picture of the axial plane is on the whole.
BRIGHT = """
() => {
  const host = [...document.querySelectorAll("*")].find(one => one.shadowRoot?.querySelector("canvas"));
  const canvas = host.shadowRoot.querySelector("figure canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, one) => sum + one, 0) / data.length;
}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = {name: LABELS[name] for name in ("lobe", "bean")}
    folder = tmp_path_factory.mktemp("review")
    return segmented([SAMPLES / "volumes" / "ct.nii.gz"], folder / "run", labels=names)


@pytest.fixture(scope="module")
def page(run: Path) -> Iterator[Page]:
    browser = chromium()
    with serve(run, SAMPLES / "labels") as served, open_page(browser, height=1200) as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if _is_foreign(request.url) else None)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(served.url)
        page.locator("figure canvas").nth(2).wait_for()
        settle(page)
        yield page
        assert problems == [], "the page failed, or reached out of this machine"


@pytest.mark.slow
def test_a_review_from_the_first_click_to_the_list_for_training(page: Page, run: Path) -> None:
    page.get_by_text("0 of 2 reviewed").wait_for()
    assert told(page, "Mask") == page.locator(".st-key-item-title").inner_text().split(" / ")[1]
    assert 0.3 < float(told(page, "Dice")) < 1

    # A click in the axial plane moves the two others, to where it was made.
    before = [place(page, plane) for plane in ("axial", "sagittal", "coronal")]
    box = page.locator("figure canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 0.6 * box["height"])
    wait_until(page, "sagittal", lambda now: now != before[1])
    settle(page)
    after = [place(page, plane) for plane in ("axial", "sagittal", "coronal")]
    assert after[0] == before[0] and after[2] != before[2]
    place_told = page.locator("dt:text-is('Place') + dd")
    place_told.filter(has_text=re.compile("^R ")).wait_for()  # on the left of the picture

    # So does a slider, and the wheel turns slices.
    slider = page.get_by_label("axial slice number")
    slider.fill("4")
    wait_until(page, "axial", lambda now: now == 5)
    settle(page)
    page.locator("figure canvas").first.hover()
    page.mouse.wheel(0, 50)
    wait_until(page, "axial", lambda now: now == 6)
    settle(page)
    where = told(page, "Place")
    assert where.endswith("mm") and "S " in where

    # A window for lungs makes all else white.
    dark = page.evaluate(BRIGHT)
    choose(page, "Window", "lung")
    page.wait_for_function(f"dark => ({BRIGHT})() > dark + 5", arg=dark)
    settle(page)

    # The mask of one structure is taken away, and comes back.
    with_mask = page.evaluate(BRIGHT)
    page.get_by_role("button", name="None", exact=True).click()
    page.wait_for_function(f"before => Math.abs(({BRIGHT})() - before) > 0.01", arg=with_mask)
    assert not page.get_by_role("checkbox", name="lobe").is_checked()
    page.get_by_role("button", name="All", exact=True).click()
    page.wait_for_function(f"before => Math.abs(({BRIGHT})() - before) < 0.01", arg=with_mask)

    # One plane is made large, then small again.
    small = width(page)
    page.locator("figure canvas").first.dblclick()
    page.wait_for_function(f"small => ({WIDTH})() > 1.5 * small", arg=small)
    page.get_by_role("button", name="enlarge axial").click()
    page.wait_for_function(f"small => ({WIDTH})() === small", arg=small)
    settle(page)

    # The keys judge: a note and a rejection, then the other structure is accepted.
    first, second = sorted((LOBE, BEAN), key=lambda one: one != title(page))
    page.get_by_label("Note").fill("leaks")
    page.get_by_label("Note").press("Enter")
    leave_field(page)
    page.keyboard.press("x")
    page.get_by_role("heading", name=second).wait_for()
    settle(page)
    page.keyboard.press("a")
    page.get_by_text("All is reviewed.").wait_for()
    settle(page)
    page.get_by_role("button", name="Export").click()
    page.get_by_text("2 verdicts written").wait_for()
    with (run / EXPORT).open(newline="") as lines:
        rows = {row["map"]: row for row in csv.DictReader(lines)}
    assert (rows[first]["verdict"], rows[first]["label"], rows[first]["note"]) == (
        "relabel",
        "reject",
        "leaks",
    )
    assert (rows[second]["verdict"], rows[second]["label"]) == ("accept", second.split(" / ")[1])
    assert not (run / "retrain").exists()  # a structure is rejected

    page.keyboard.press("z")
    page.get_by_text("1 of 2 reviewed").wait_for()
    settle(page)
    page.keyboard.press("a")
    page.get_by_text("All is reviewed.").wait_for()
    choose(page, "Show", "rejected")
    page.get_by_role("heading", name=first).wait_for()
    leave_field(page)
    page.keyboard.press("a")
    page.get_by_text("All is reviewed.").wait_for()
    settle(page)
    page.get_by_role("button", name="Export").click()
    page.get_by_text("1 case to train on").wait_for()
    assert [case.name for case in read_dataset(run / "retrain").cases] == ["ct"]


WIDTH = BRIGHT[: BRIGHT.index("  const { data }")] + "  return canvas.clientWidth;\n}"


def width(page: Page) -> int:
    return int(page.evaluate(WIDTH))


def title(page: Page) -> str:
    return page.locator(".st-key-item-title").inner_text()


def told(page: Page, name: str) -> str:
    """What the list beside the planes says."""
    return page.locator(f"dt:text-is('{name}') + dd").inner_text()


def place(page: Page, plane: str) -> int:
    """The number of the slice that a plane shows, counted from 1."""
    text = page.locator("figcaption").filter(has_text=plane).locator("span").inner_text()
    return int(text.split(" / ")[0])


def wait_until(page: Page, plane: str, done: Callable[[int], bool]) -> None:
    """Wait until the number of a plane's slice is as wanted."""
    until = monotonic() + PATIENCE_MS / 1000
    while not done(place(page, plane)):
        assert monotonic() < until, f"the {plane} plane did not move"
        sleep(0.05)


def _is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
