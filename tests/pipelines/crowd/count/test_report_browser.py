"""The page of a run in a real browser: sorting, finding, the chart under the pointer, a picture in large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import PATIENCE_MS, opened
from tests.pipelines.crowd.count.made_models import write_film, write_scene
from tests.pipelines.crowd.count.test_run import rows_of, run

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    for number, side in enumerate((60, 200, 120)):
        write_scene(folder / "in" / f"image{number}.png", side, number)
    write_film(folder / "in" / "walk.avi", frames=5)
    run(folder / "run", folder / "in")
    return folder / "run"


@pytest.fixture(scope="module")
def page(out: Path) -> Iterator[Page]:
    with opened() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((out / "report.html").as_uri())
        yield page
        assert wrong == []


def shows(page: Page, selector: str, text: str) -> None:
    """Wait until an element's text has this in it; the page's own policy lets no text be evaluated."""
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)


def test_cards_are_sorted_and_found(page: Page, out: Path) -> None:
    counts = {row["name"]: row["count"] for row in rows_of(out)}  # of the video any frame: they are alike
    page.select_option("#sort", "most")
    names = page.eval_on_selector_all("article", "all => all.map(one => one.dataset.name)")
    assert names[0] == max(counts, key=lambda name: counts[name])
    page.fill("#find", "image1")
    shows(page, "#shown", "1 of 4 shown")
    assert page.locator("article:visible").count() == 1
    page.fill("#find", "")
    shows(page, "#shown", "4 of 4 shown")


def test_the_chart_tells_the_frame_under_the_pointer(page: Page) -> None:
    svg = page.locator(".chart svg")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    assert box is not None
    rest = page.locator(".chart output").inner_text()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 50)
    shows(page, ".chart output", "frame 4")
    page.mouse.move(1, 1)
    shows(page, ".chart output", rest)


def test_a_picture_opens_in_large_and_nothing_is_wider_than_a_phone(page: Page) -> None:
    page.locator("article.video .shot").first.click()
    assert "frame 0" in page.locator("dialog[open] span").inner_text()
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
