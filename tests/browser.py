"""A real browser for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

from benchmarks.review.browser import find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE_MS = 120_000


def chromium() -> str:
    """The path of a Chromium. CI must have one; elsewhere the test is skipped and says how to get it."""
    found = find_browser()
    if found is None:
        _missing("there is no chromium; `apt-get install chromium`, or scripts/install as root, brings it")
    return found


@contextmanager
def opened(*arguments: str) -> Iterator[Browser]:
    """A headless browser, or none as `chromium` says. arguments: further ones of its command line."""
    path = chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed; scripts/install brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", *arguments], timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI is meant to have it")
    pytest.skip(what)
