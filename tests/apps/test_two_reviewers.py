"""Two reviewers in two browsers on one run, in turn, whose server is killed and started anew."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from apps.store import DATABASE, Store
from benchmarks.review.browser import IDLE, PAINTED, TITLE, changed
from benchmarks.review.serving import serve
from tests.apps.runs import small_run
from tests.browser import PATIENCE_MS, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ITEMS, ROUNDS, EACH = 24, 1, 2
REVIEWERS = ("Ann", "Bob")


@pytest.mark.slow
def test_each_verdict_is_kept_once_and_the_latest_counts(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", ITEMS)
    with opened() as browser:
        for number in range(ROUNDS):
            _give_some(browser, run, number * EACH * len(REVIEWERS))
        assert _counts(run) == dict.fromkeys(REVIEWERS, ROUNDS * EACH)
        _disagree(browser, run)
    rows = _rows(run)
    names = [name for name, _, _ in rows]
    assert len(rows) == ROUNDS * EACH * len(REVIEWERS) + 2
    assert len(set(names[:-2])) == len(names) - 2  # nobody judged what another had
    assert names[-1] == names[-2]
    assert [(reviewer, verdict) for _, reviewer, verdict in rows[-2:]] == [
        ("Ann", "accept"),
        ("Bob", "unsure"),
    ]
    assert list(Store(run).latest().values())[-1].reviewer == "Bob"


def _give_some(browser: Browser, run: Path, done: int) -> None:
    """Verdicts in turn, each of which the page shows; then the server is killed."""
    with serve(run) as served:
        pages = [_page(browser, served.url, name) for name in REVIEWERS]
        for _ in range(EACH):
            for page in pages:
                _take_up(page, done)
                page.keyboard.press("a")
                done += 1
                page.get_by_text(f"{done} of {ITEMS} reviewed").wait_for()
                assert Store(run).last() == done
        os.kill(served.pid, signal.SIGKILL)
        for page in pages:
            page.close()


def _disagree(browser: Browser, run: Path) -> None:
    """Both look at one item; Ann accepts it, and Bob, who has not seen that yet, is unsure."""
    done = ROUNDS * EACH * len(REVIEWERS)
    with serve(run) as served:
        ann, bob = (_page(browser, served.url, name) for name in REVIEWERS)
        for page in (ann, bob):
            _take_up(page, done)
        assert ann.locator(TITLE).inner_text() == bob.locator(TITLE).inner_text()
        ann.keyboard.press("a")
        ann.get_by_text(f"{done + 1} of {ITEMS} reviewed").wait_for()
        bob.keyboard.press("u")
        bob.get_by_text(f"{done + 1} of {ITEMS} reviewed").wait_for()


def _page(browser: Browser, url: str, reviewer: str) -> Page:
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    name = page.get_by_label("Reviewer")
    name.fill(reviewer)
    name.press("Enter")
    _settle(page)
    return page


def _take_up(page: Page, done: int) -> None:
    """Go on twice: at the first step the page sees what the other reviewer did, and the second passes it."""
    page.locator(TITLE).click()  # keys that are typed into a field are no shortcuts
    _settle(page)
    for _ in range(2):
        before = page.locator(TITLE).inner_text()
        page.keyboard.press("j")
        page.wait_for_function(changed(TITLE), arg=before)
        _settle(page)
    page.get_by_text(f"{done} of {ITEMS} reviewed").wait_for()


def _settle(page: Page) -> None:
    page.wait_for_selector(IDLE)
    page.evaluate(PAINTED)


def _rows(run: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(run / DATABASE)) as database:
        found: list[tuple[str, str, str]] = database.execute(
            "SELECT name, reviewer, verdict FROM verdicts ORDER BY id"
        ).fetchall()
    return found


def _counts(run: Path) -> dict[str, int]:
    reviewers = [reviewer for _, reviewer, _ in _rows(run)]
    return {name: reviewers.count(name) for name in sorted(set(reviewers))}
