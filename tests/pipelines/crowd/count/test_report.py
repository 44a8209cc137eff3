"""The page of a run: escaped, self-contained, with a chart; and its pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.crowd.count import report
from pipelines.crowd.count.chart import BOTTOM, HEIGHT, LEFT, MOST_POINTS, RIGHT, TOP, WIDTH, chart, clock
from pipelines.crowd.count.film import frames_to_show
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.count.pictures import LONGEST, draw
from pipelines.crowd.count.scene import Scene, measure
from tests.pipelines.crowd.count.made_models import calibration, rough, write_film, write_scene
from tests.pipelines.crowd.count.test_run import run


def frames(counts: list[float], *, ends: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "frame": number,
            "time": number / 10,
            "count": one,
            "low": one * 0.8 if ends else None,
            "high": one * 1.3 if ends else None,
        }
        for number, one in enumerate(counts)
    ]


def places(text: str) -> list[list[float]]:
    return [[float(part) for part in place.split(",")] for place in text.split()]


@pytest.mark.parametrize("counts", [[3.0], [0.0, 0.0], [1.0, 5.0, 2.0], [1e5, 2e5], [0.2, 0.1, 0.3]])
def test_a_chart_lies_in_its_frame_and_reads_back(counts: list[float]) -> None:
    found = chart(frames(counts))
    for x, y in places(found.line) + places(found.band):
        assert LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM
    top, bottom = found.up[-1], found.up[0]
    most = float(top.text.replace(",", ""))
    assert bottom.text == "0" and most >= 1.3 * max(counts)
    for (_, y), one in zip(places(found.line), counts, strict=True):
        read = (HEIGHT - BOTTOM - y) / (HEIGHT - BOTTOM - TOP) * most
        assert read == pytest.approx(one, abs=most / 1000)
    assert 1 <= len(found.across) <= 8 and 2 <= len(found.up) <= 7


def test_a_long_chart_keeps_the_fullest_frame() -> None:
    counts = [10.0] * 5000
    counts[1234] = 99.0
    found = chart(frames(counts, ends=False))
    assert len(found.points) <= MOST_POINTS + 1 and found.band == ""
    assert any("frame 1234: 99" in words for _, _, words in found.points)


@pytest.mark.parametrize(
    ("seconds", "step", "text"),
    [(0, 1, "0 s"), (1.5, 0.5, "1.5 s"), (59, 1, "59 s"), (61, 1, "1:01"), (3725, 60, "1:02:05")],
)
def test_times_are_written_as_people_do(seconds: float, step: float, text: str) -> None:
    assert clock(seconds, step) == text


def test_frames_to_show_are_spread_and_have_the_fullest() -> None:
    counts = dict.fromkeys(range(0, 1000, 5), 1.0) | {615: 9.0}
    shown = frames_to_show(counts)
    assert {0, 995, 615} <= shown and len(shown) <= 12
    assert frames_to_show({3: 1.0, 9: 2.0}) == {3, 9}


def test_a_picture_is_small_and_shows_the_crowd_where_it_is(tmp_path: Path) -> None:
    counts = np.zeros((250, 500), np.float32)
    counts[100:140, 300:380] = 0.8
    found = CountMap(counts, 8, 1999, 3993)
    (tmp_path / "z.json").write_text('[{"name": "b", "polygon": [[0.1, 0.1], [0.3, 0.1], [0.3, 0.4]]}]')
    view = Scene(tmp_path / "z.json").view(found, (3993, 1999))
    pixels = np.full((1999, 3993, 3), 120, np.uint8)
    picture = draw(pixels, found, view, measure(found, view, calibration()))
    assert max(picture.shape) == LONGEST and picture.dtype == np.uint8
    scale = LONGEST / 3993
    crowd = picture[round(960 * scale), round(2720 * scale)].astype(int)
    empty = picture[round(1900 * scale), round(2720 * scale)].astype(int)
    assert np.abs(crowd - 120).max() > 80 and np.abs(empty - 120).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (40, 30)])
def test_small_pictures_can_be_drawn(size: tuple[int, int]) -> None:
    found = CountMap(np.ones((-(-size[0] // 8), -(-size[1] // 8)), np.float32), 8, *size)
    view = Scene().view(found, size[::-1])
    assert draw(rough(*size), found, view, measure(found, view, {})).shape == (*size, 3)


def test_the_page_needs_no_network_and_runs_nothing_from_files(tmp_path: Path) -> None:
    write_scene(tmp_path / "in" / "<img src=x onerror=alert(1)>.png")
    write_film(tmp_path / "in" / "walk.avi")
    (tmp_path / "in" / "<script>.jpg").write_bytes(b"")
    name = "</script><script>alert(1)</script>"
    zone = f'[{{"name": "{name}", "polygon": [[0, 0], [1, 0], [1, 1]]}}]'
    (tmp_path / "z.json").write_text(zone)
    run(tmp_path / "run", tmp_path / "in", zones=tmp_path / "z.json")
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<script") == 2 and "<img src=x" not in page  # the page's own, and the chart's numbers
    assert not re.search(r'(?:src|href)="(?!data:|videos/)', page)
    assert "polyline" in page and page.count("data:image/jpeg") == 6


def test_many_pictures_are_linked_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "INLINE_BYTES", 1_000)
    write_scene(tmp_path / "in" / "a b.png")
    run(tmp_path / "run", tmp_path / "in")
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'src="overlays/a_b.jpg"' in page and "data:image" not in page
