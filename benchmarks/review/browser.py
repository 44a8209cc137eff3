"""A person at the review page, in a headless Chromium: what each step takes until its result is painted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from shutil import which
from typing import TYPE_CHECKING

from benchmarks.common import Timing
from benchmarks.review.serving import Served

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

PATIENCE_MS = 120_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
TITLE, PAGES = ".st-key-item-title", ".st-key-pages"
# Two frames: what was changed before the first is on the screen by the second.
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass(slots=True)
class Spent:
    """Seconds of each repeat of a step: waited, of the server's CPU, and of the page's main thread."""

    wall: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    page: list[float] = field(default_factory=list)

    def timing(self) -> Timing:
        return Timing.of(self.wall)


def find_browser() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for name in BROWSERS if (path := which(name))), None)


def changed(what: str) -> str:
    """A script that says of a text whether the element of this selector is there with another one."""
    return f"before => ![undefined, before].includes(document.querySelector({what!r})?.innerText)"


@contextmanager
def open_page(browser: str, *, dark: bool = False, width: int = 1400, height: int = 900) -> Iterator[Page]:
    """An empty page of a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--disable-gpu"], timeout=PATIENCE_MS
        )
        page = started.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page.set_default_timeout(PATIENCE_MS)
        yield page
        started.close()


class Person:
    """Takes steps on the page of a run, one after the other, and times them."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.spent: dict[str, Spent] = {}
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def step(self, name: str, act: Callable[[], object], done: Callable[[], object]) -> None:
        """Time `act` until `done` returns, the script has ended and the browser has painted."""
        server, page = self.served.cpu_seconds(), self._main_thread()
        started = time.perf_counter()
        act()
        done()
        self.page.wait_for_selector(IDLE)
        self.page.evaluate(PAINTED)
        spent = self.spent.setdefault(name, Spent())
        spent.wall.append(time.perf_counter() - started)
        spent.server.append(self.served.cpu_seconds() - server)
        now = self._main_thread()
        spent.page.append(now - page if now > page else now)  # a page that is opened counts from 0

    def open(self) -> None:
        last = self.page.get_by_label("A new class")  # of what the page draws
        self.step("open", lambda: self.page.goto(self.served.url), last.wait_for)

    def press(self, name: str, key: str) -> None:
        """A key after which another item is shown."""
        self.step(name, lambda: self.page.keyboard.press(key), self._changed())

    def click(self, name: str, label: str) -> None:
        """A button after which another item is shown."""
        button = self.page.get_by_role("button", name=label, exact=True)
        self.step(name, button.click, self._changed())

    def find(self, text: str) -> None:
        """Another search, which leaves more items, or fewer."""

        def act() -> None:
            field = self.page.get_by_label("Find")
            field.fill(text)
            field.press("Enter")

        self.step("find", act, self._changed(PAGES))
        self.page.locator(TITLE).click()  # out of the field, so that keys are shortcuts again

    def _changed(self, what: str = TITLE) -> Callable[[], object]:
        before = self.page.locator(what).inner_text()
        return lambda: self.page.wait_for_function(changed(what), arg=before)

    def _main_thread(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))
