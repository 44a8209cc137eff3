"""The page of a run: what it says, that names are escaped, its drawings, and that a browser shows it."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.polyp.model.distribution import middles
from pipelines.polyp.size import report
from pipelines.polyp.size.charts import LEFT, RIGHT, WIDTH, agreement, distribution
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.gate_strips import place_of, strips
from pipelines.polyp.size.run import size
from pipelines.polyp.size_bins import BINS
from tests.browser import PATIENCE_MS, opened
from tests.pipelines.polyp.size.made import DENSE, load, save_model, write_dataset

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    data = write_dataset(folder / "data", [6.0, 7.0, 9.0], frames=2)
    for name in ("polyps.csv", "frames.csv"):
        (data / name).write_text((data / name).read_text().replace("polyp2,", f"{EVIL},"))
    (data / "polyp1_0.png").write_bytes(b"no image")
    predictor = load(save_model(folder / "model", network=DENSE, contents=[]))
    assert isinstance(predictor.config, SizeConfig)
    size([data], predictor=predictor, config=predictor.config, out=folder / "run")
    return folder / "run"


def test_the_page_says_what_was_measured_and_names_are_escaped(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert EVIL not in page and html.escape(EVIL) in page
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", page)))
    for text in (
        *("Not a medical device", "discs of this test", "median predictor", "Bland and Altman"),
        *(
            "1 of 2 frames used",
            "boxes from the labels of the data set",
            "polyp1_0",
            "each weighted by its gate",
        ),
        *("crop, stage 1", "Distribution over sizes", "at most 100 of a polyp"),
    ):
        assert text in words, text
    assert "http" not in page.replace("http-equiv", "") and page.count("data:image/jpeg") >= 6


def test_a_page_of_many_pictures_names_files(
    out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import json

    monkeypatch.setattr(report, "INLINE_BYTES", 10)
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    lines = (out / "frames.jsonl").read_text().splitlines()
    record = json.loads((out / "run.json").read_text())
    with (tmp_path / "page.html").open("w") as file:
        report.write(file, record, zip(rows, lines, strict=True), out)
    page = (tmp_path / "page.html").read_text()
    assert "data:image/jpeg" not in page
    for name in re.findall(r'src="(overlays/[^"]+)"', page):
        assert (out / name).is_file()


def test_a_distribution_is_drawn_where_it_is() -> None:
    shares = np.zeros(BINS)
    shares[30] = 1.0
    mm = float(middles()[30])
    row = {"mm": mm, "true_mm": None, "low": mm / 1.2, "high": mm * 1.2}
    found = distribution(shares.tolist(), row)
    points = [tuple(map(float, one.split(","))) for one in found.area.split()]
    top = [x for x, y in points if y == found.top]
    assert found.median is not None and min(top) < found.median < max(top)
    assert found.interval is not None and found.interval[0] < found.median < found.interval[1]
    assert LEFT <= found.thresholds[0].place < found.thresholds[1].place <= WIDTH - RIGHT
    assert found.true is None


def test_agreement_needs_two_polyps_with_a_known_size() -> None:
    known = {"mm": 6.0, "true_mm": 5.0, "true_is_bound": False, "polyp": "a"}
    metrics = {
        name: {"value": value} for name, value in (("loa_low", -2.0), ("bias", 0.0), ("loa_high", 2.0))
    }
    assert agreement([known], metrics) is None
    bound = {**known, "true_is_bound": True}
    assert agreement([known, bound, {**known, "mm": None}], metrics) is None
    found = agreement([known, {**known, "mm": 8.0, "true_mm": 9.0}], metrics)
    assert found is not None and len(found.points) == 2
    (_, above, _), (_, below, _) = found.points
    assert above < found.zero < below and found.zero == pytest.approx(found.bias.place)


def test_gates_are_named_by_their_place_and_drawn_by_how_open_they_are() -> None:
    assert place_of("streams.frame.blocks.3.gates.1") == "frame, block 4, MLP"
    assert place_of("streams.crop.gates.4") == place_of("streams.crop.gate") == "crop, embedding"
    (strip,) = strips({"hidden.gate": [0.2, 0.9, 0.5]})
    assert (strip.channels, strip.least, strip.most) == (3, pytest.approx(0.2), pytest.approx(0.9))
    assert strip.picture.startswith("data:image/png;base64,")


def test_a_browser_shows_finds_and_enlarges(out: Path) -> None:
    with opened() as browser:
        from playwright.sync_api import expect

        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((out / "report.html").as_uri())
        page.fill("#find", "polyp1")
        expect(page.locator("#shown")).to_contain_text("1 of 3 shown", timeout=PATIENCE_MS)
        page.fill("#find", "")
        expect(page.locator("#shown")).to_contain_text("3 of 3 shown", timeout=PATIENCE_MS)
        page.locator("article .shot").first.click()
        assert "frame polyp2_0, used" in page.locator("dialog[open] span").inner_text()
        page.keyboard.press("Escape")
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert wrong == []
