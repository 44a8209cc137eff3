"""From runs to charts, excursions and the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.wafer.monitor import DENSITY, NOVELTY, monitor
from tests.pipelines.wafer.past_runs import row, unplaced, write_run
from tests.pipelines.wafer.test_report import HOSTILE, Page


def lot(name: str, start: int, novel: int, of: int = 10, day: int = 1, **names: Any) -> list[Any]:
    """A lot of `of` maps, of which `novel` are novel and the others rings."""
    cells = {"lot": name, "timestamp": f"2026-03-{day:02d}T08:00:00", **names}
    return [
        row(start + i, "ring", "novel" if i < novel else "known", **({"defects": 10} | cells))
        for i in range(of)
    ]


def quiet_lots(count: int = 8, **names: Any) -> list[Any]:
    return [one for i in range(count) for one in lot(f"Q{i}", 100 * i, i % 2, day=i + 1, **names)]


def cells(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_lot_of_novel_maps_is_an_excursion_with_the_limits_by_hand(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [*quiet_lots(), *lot("BAD", 900, 9, day=20)])
    monitor([run], out=tmp_path / "out", width="standard")
    share = (4 + 9) / 90  # novel maps of all maps
    upper = share + 3 * (share * (1 - share) / 10) ** 0.5
    excursions = cells(tmp_path / "out", "excursions.csv")
    novelty = [one for one in excursions if one["measure"] == NOVELTY]
    assert [(one["group"], one["side"], one["count"], one["maps"]) for one in novelty] == [
        ("BAD", "above", "9", "10")
    ]
    assert float(novelty[0]["upper"]) == pytest.approx(upper, rel=1e-6)
    assert float(novelty[0]["centre"]) == pytest.approx(share, rel=1e-6)
    assert {one["measure"] for one in excursions} == {NOVELTY, "ring"}  # the rings are too few there
    assert [one["side"] for one in excursions if one["measure"] == "ring"] == ["below"]


def test_density_is_defects_per_square_centimetre(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", [*lot("A", 0, 0, of=4, defects=100), *lot("B", 10, 0, of=4, defects=300)]
    )
    found = monitor([run], out=tmp_path / "out", width="standard")
    (chart,) = [one for one in found.charts if one.measure == DENSITY]
    area = 4 * np.pi * 15**2
    assert [point.value for point in chart.points] == pytest.approx([400 / area, 1200 / area])
    centre = 1600 / (2 * area)
    assert chart.points[0].upper == pytest.approx(centre + 3 * (centre / area) ** 0.5)
    assert [point.side for point in chart.points] == [-1, 1]


def test_points_come_in_the_order_of_time(tmp_path: Path) -> None:
    rows = [*lot("late", 0, 0, day=9), *lot("early", 20, 0, day=2), *lot("mid", 40, 0, day=5)]
    found = monitor([write_run(tmp_path / "run", rows)], out=tmp_path / "out")
    assert [point.group for point in found.charts[0].points] == ["early", "mid", "late"]
    days = monitor([tmp_path / "run"], out=tmp_path / "days", by="time")
    assert [point.group for point in days.charts[0].points] == ["2026-03-02", "2026-03-05", "2026-03-09"]


def test_steps_are_charted_apart_unless_they_are_the_points(tmp_path: Path) -> None:
    rows = [*lot("A", 0, 0, step="M1"), *lot("B", 20, 0, step="M1"), *lot("A", 40, 5, step="M2", tool="T1")]
    run = write_run(tmp_path / "run", rows)
    found = monitor([run], out=tmp_path / "lots")
    assert {(one.step, len(one.points)) for one in found.charts} == {("M1", 2), ("M2", 1)}
    alone = "a single lot has nothing to be compared with: coordinates, step M2; name more runs"
    assert found.notes == (f"{alone}, or a --baseline",)
    steps = monitor([run], out=tmp_path / "steps", by="step")
    assert {(one.step, len(one.points)) for one in steps.charts} == {("", 2)}
    tools = monitor([run], out=tmp_path / "tools", by="tool")
    assert tools.notes[0] == "20 maps are in no chart, since no tool is stated"
    assert tools.maps == 10


def test_a_baseline_sets_the_limits_and_is_never_an_excursion(tmp_path: Path) -> None:
    base = write_run(tmp_path / "base", [*quiet_lots(), *lot("OLD", 900, 9, day=12)])
    now = write_run(tmp_path / "now", lot("NEW", 2000, 9, day=20))
    quiet = write_run(tmp_path / "quiet", lot("FINE", 3000, 1, day=20))
    found = monitor([now], baseline=[base], out=tmp_path / "out", width="standard")
    assert {point.group for _, point in found.excursions} == {"NEW"}
    (chart,) = [one for one in found.charts if one.measure == NOVELTY]
    assert chart.centre == pytest.approx(13 / 90)
    assert not monitor([quiet], baseline=[base], out=tmp_path / "fine").excursions
    with pytest.raises(UserError, match="both a run to watch and the baseline"):
        monitor([base], baseline=[base], out=tmp_path / "no")


def test_laney_takes_ordinary_differences_between_lots_for_what_they_are(tmp_path: Path) -> None:
    """Densities that swing from lot to lot are far out of Poisson limits, and in those of Laney."""
    rows = [one for i in range(8) for one in lot(f"L{i}", 50 * i, 0, day=i + 1, defects=200 + 150 * (i % 2))]
    run = write_run(tmp_path / "run", rows)
    assert len(monitor([run], out=tmp_path / "plain", width="standard").excursions) == 8
    assert not monitor([run], out=tmp_path / "wide").excursions


def test_points_of_few_maps_raise_nothing(tmp_path: Path) -> None:
    rows = [
        *(one for i in range(20) for one in lot(f"L{i}", 50 * i, 0, day=i + 1)),
        *lot("two", 2000, 2, of=2),
    ]
    run = write_run(tmp_path / "run", rows)
    assert not monitor([run], out=tmp_path / "a", width="standard").excursions
    assert monitor([run], out=tmp_path / "b", width="standard", min_maps=2).excursions


def test_unplaced_maps_count_for_density_only(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [unplaced(0, lot="A"), *lot("B", 10, 0, of=3)])
    found = monitor([run], out=tmp_path / "out")
    by_measure = {one.measure: [point.group for point in one.points] for one in found.charts}
    assert sorted(by_measure[DENSITY]) == ["A", "B"]
    assert by_measure[NOVELTY] == ["B"]


def test_all_points_and_the_summary_are_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", quiet_lots(), status="interrupted")
    found = monitor([run], out=tmp_path / "out")
    points = cells(tmp_path / "out", "points.csv")
    assert len(points) == sum(len(one.points) for one in found.charts) == 24
    summary = json.loads((tmp_path / "out" / "monitor.json").read_text())
    assert summary["excursions"] == []
    assert (summary["maps"], summary["groups"], summary["settings"]["by"]) == (80, 8, "lot")
    assert "did not finish" in summary["notes"][0]


def test_the_page_is_whole_and_safe(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", [*quiet_lots(step=HOSTILE), *lot(HOSTILE, 900, 9, day=20, step=HOSTILE)]
    )
    found = monitor([run], out=tmp_path / "out", width="standard")
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.scripts == []
    assert not [tag for tag, _ in page.elements if tag in ("img", "link", "iframe")]
    drawn = [tag for tag, attributes in page.elements if attributes.get("role") == "img"]
    assert len(drawn) == len(found.charts) == 3
    marks = [attributes.get("class") for tag, attributes in page.elements if tag == "circle"]
    assert marks.count("out") == 1 + len(found.excursions) == 3  # one is the legend's
    assert len(marks) == 2 + 27


@pytest.mark.parametrize("by", ["lot", "tool", "time"])
def test_nothing_to_chart_is_said_and_leaves_no_folder(by: Any, tmp_path: Path) -> None:
    failed = [(row(0)[0] | {"status": "failed", "error": "bad"}, "null", None)]
    for name, rows, why in (
        ("empty", [], "they hold no classified map"),
        ("failed", failed, "they hold no classified map"),
        ("unnamed", [row(0)], f"states a {by}; nor any other of lot, step, tool, time"),
        ("other", [row(0, step="M1")], f"states a {by}; --by step would do"),
    ):
        run = write_run(tmp_path / name, rows)
        with pytest.raises(UserError, match=f"nothing to chart in .*{why}"):
            monitor([run], out=tmp_path / f"{name}-out", by=by)
        assert not (tmp_path / f"{name}-out").exists()


def test_many_lone_lots_make_one_note(tmp_path: Path) -> None:
    rows = [one for i in range(5) for one in lot(f"L{i}", 10 * i, 0, of=2, step=f"S{i}")]
    (note,) = monitor([write_run(tmp_path / "run", rows)], out=tmp_path / "out").notes
    assert "coordinates, step S0; coordinates, step S1; coordinates, step S2 and 2 more" in note
