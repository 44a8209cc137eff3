"""The page in a real browser, over a run of the sample data: keys, filters, export, a killed server."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from apps.store import EXPORT, Store
from benchmarks.review.serving import Served, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_data" / "wafer" / "maps" / "K24082"
PATIENCE_MS = 120_000


def missing(what: str) -> None:
    """CI must have a browser; elsewhere the test is skipped and says how to get it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI is meant to have it")
    pytest.skip(what)


@pytest.fixture(scope="module")
def chromium() -> str:
    found = [
        path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))
    ]
    if not found:
        missing("there is no chromium; `apt-get install chromium`, or scripts/install as root, brings it")
    return found[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("review") / "run"
    command = [sys.executable, "-m", "suite", "wafer", "classify", str(SAMPLES), "--out", str(out), "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def served(run: Path) -> Iterator[Served]:
    with serve(run) as served:
        yield served


@pytest.fixture
def page(chromium: str, served: Served) -> Iterator[Page]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed; scripts/install brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"], timeout=PATIENCE_MS
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        outside: list[str] = []
        page.on("request", lambda request: None if _is_local(request.url) else outside.append(request.url))
        page.goto(served.url)
        yield page
        browser.close()
        assert outside == [], "the page reached out of this machine"


@pytest.mark.slow
def test_a_review_from_the_first_key_to_the_export(page: Page, run: Path, served: Served) -> None:
    total = len((run / "results.jsonl").read_text().splitlines())
    reviewed = page.get_by_text(f" of {total} reviewed")
    reviewed.wait_for()
    page.locator("canvas, svg.marks").first.wait_for()

    # Keys that a person types into a field are no verdicts.
    find = page.get_by_label("Find")
    find.fill("")
    find.press_sequentially("au1z")
    find.press("Enter")
    page.get_by_text("Nothing here passes the filters.").wait_for()
    find.fill("W02")
    find.press("Enter")
    page.get_by_role("heading", name="K24082 W02").wait_for()
    assert page.get_by_role("radio").count() == 1
    assert Store(run).last() == 0

    page.get_by_label("Note").fill("as the tool said")
    page.get_by_label("Note").press("Enter")
    page.get_by_role("heading", name="K24082 W02").click()  # out of the field
    page.keyboard.press("2")
    page.get_by_text(f"1 of {total} reviewed").wait_for()
    page.get_by_text("Nothing here passes the filters.").wait_for()

    find.fill("")
    find.press("Enter")
    page.get_by_role("button", name="Accept").wait_for()
    page.get_by_text(f"1 of {total} reviewed").click()
    page.keyboard.press("a")
    page.get_by_text(f"2 of {total} reviewed").wait_for()
    page.keyboard.press("z")
    page.get_by_text(f"1 of {total} reviewed").wait_for()

    page.get_by_role("button", name="Export").click()
    page.get_by_text("1 verdict written").wait_for()
    with (run / EXPORT).open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["verdict"], row["label"], row["note"]) == ("relabel", "cluster_big", "as the tool said")
    assert (row["source"], row["reviewer"]) == (str(SAMPLES / "K24082_W02.klarf"), "Ann")

    os.kill(served.pid, signal.SIGKILL)
    assert [verdict.label for verdict in Store(run).latest().values()] == ["cluster_big"]


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
