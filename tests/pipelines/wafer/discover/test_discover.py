"""From runs to clusters, their facts and the page."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.common.models import model_hash, save_model
from pipelines.wafer.discover import discover
from pipelines.wafer.examples import EXAMPLES, Examples, encode
from tests.pipelines.wafer.past_runs import row, unplaced, write_run
from tests.pipelines.wafer.test_report import HOSTILE, Page


def novel_rows(count: int, axis: int, start: int, seed: int = 0, **names: Any) -> list[Any]:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.3, (count, 4))
    points[:, axis] += 12
    return [row(start + i, "ring", "novel", latent=point, **names) for i, point in enumerate(points.tolist())]


def known_rows(count: int, start: int = 500) -> list[Any]:
    rng = np.random.default_rng(9)
    return [
        row(start + i, "donut" if point[1] > 0 else "slice", latent=point)
        for i, point in enumerate(rng.normal(0, 1, (count, 4)).tolist())
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two patterns of 12 and 8 novel maps, two lone ones, known maps, and rows that were not classified."""
    first = novel_rows(12, 0, 0, lot="L1", timestamp="2026-03-01T10:00:00")
    second = novel_rows(8, 1, 100, seed=1, lot="L2", tool="T7")
    lone = [row(200, "ring", "novel", latent=[0, 0, 90, 0]), row(201, "ring", "novel", latent=[0, 0, 0, -90])]
    return write_run(tmp_path / "run", [*first, *second, *lone, *known_rows(20), unplaced(900)])


def table(out: Path) -> list[dict[str, str]]:
    with (out / "clusters.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_patterns_are_told_apart(run: Path, tmp_path: Path) -> None:
    found = discover([run], out=tmp_path / "out")
    assert [len(one.members) for one in found.clusters] == [12, 8]
    assert (found.maps, found.novel, len(found.single)) == (42, 22, 2)
    rows = table(tmp_path / "out")
    assert list(rows[0]) == ["run", "source", "map", "item", "lot", "wafer", "cluster", "similarity"]
    by_map = {int(one["map"]): one for one in rows}
    assert {by_map[place]["cluster"] for place in range(12)} == {"1"}
    assert {by_map[100 + place]["cluster"] for place in range(8)} == {"2"}
    assert [by_map[place]["cluster"] for place in (200, 201)] == ["", ""]
    assert len(rows) == 22
    assert all(0 < float(one["similarity"]) <= 1 for one in rows if one["cluster"])


def test_the_facts_of_a_cluster(run: Path, tmp_path: Path) -> None:
    discover([run], out=tmp_path / "out")
    first, second = json.loads((tmp_path / "out" / "clusters.json").read_text())["clusters"]
    assert (first["size"], first["lots"], first["first"]) == (12, {"L1": 12}, "2026-03-01T10:00:00")
    assert (second["size"], second["tools"], second["first"]) == (8, {"T7": 8}, "")
    times = ["2026-03-02T08:00:00+02:00", "2026-02-28T23:59:59", "", "2026-03-01T00:00:00"]
    rows = [line for at, time in enumerate(times) for line in novel_rows(2, 0, 2 * at, at, timestamp=time)]
    (one,) = discover([write_run(tmp_path / "times", rows)], out=tmp_path / "spans").clusters
    assert one.span == (datetime(2026, 2, 28, 23, 59, 59), datetime(2026, 3, 2, 8))
    assert first["nearest_classes"] == {"ring": 12}
    near = second["nearest_known"]
    assert near[0]["class"] == "donut"  # the known maps on its side of the centre
    assert [one["distance"] for one in near] == sorted(one["distance"] for one in near)


def test_the_nearest_training_maps_are_those_of_the_very_model(tmp_path: Path) -> None:
    model = tmp_path / "toy"
    examples = Examples(np.eye(4, dtype=np.float32) * 5, np.array([0, 1, 0, 1]), ("{}", "[]", "{ }", "[ ]"))
    config = {"task": "wafer", "labels": ["comet", "moon"]}
    save_model(model, tensors={}, config=config, metrics={}, card="", files={EXAMPLES: encode(examples)})
    known = {"name": "toy", "sha256": model_hash(model, task="wafer"), "labels": ["comet", "moon"]}
    record = {"model": {"models": {"coordinates": known}}, "model_folder": str(model)}
    rows = [*novel_rows(9, 1, 0), *known_rows(5)]
    run = write_run(tmp_path / "run", rows, **record)
    (one,) = discover([run], out=tmp_path / "out").clusters
    assert (one.examples[0].label, one.examples[0].drawing, one.examples[0].map) == ("moon", "[]", None)
    near = json.loads((tmp_path / "out" / "clusters.json").read_text())["clusters"][0]["nearest_known"]
    assert (near[0]["of"], near[0]["class"]) == ("training", "moon")
    assert "Nearest training maps" in (tmp_path / "out" / "report.html").read_text()
    known["sha256"] = "of another"
    changed = write_run(tmp_path / "changed", rows, **record)
    (one,) = discover([changed], out=tmp_path / "out2").clusters
    assert all(each.map for each in one.examples)


def test_the_page_is_whole_and_safe(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", novel_rows(6, 0, 0, lot=HOSTILE, wafer=HOSTILE))
    discover([run], out=tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert len(page.scripts) == 2  # the maps and the one script
    assert not [tag for tag, _ in page.elements if tag in ("img", "link", "iframe")]
    maps = page.script("maps")[0].split("\n")
    pictured = {
        int(place)
        for tag, attributes in page.elements
        if tag == "canvas"
        for place in (attributes.get("data-stack") or attributes.get("data-map") or "").split(",")
    }
    assert pictured == set(range(len(maps))) == set(range(6))


@pytest.mark.parametrize("novel", [0, 1, 4])
def test_too_few_novel_maps_are_an_empty_table_and_a_note(novel: int, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [*novel_rows(novel, 0, 0), *known_rows(3)])
    found = discover([run], out=tmp_path / "out")
    assert found.clusters == ()
    assert len(found.notes) == 1 and ("novel" in found.notes[0])
    assert len(table(tmp_path / "out")) == novel
    assert (tmp_path / "out" / "report.html").stat().st_size > 5_000


def test_a_map_in_two_runs_counts_once_as_the_last_has_it(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", novel_rows(6, 0, 0))
    second = write_run(tmp_path / "b", [row(0, latent=[0.0] * 4), *novel_rows(6, 1, 50, seed=2)])
    found = discover([first, second], out=tmp_path / "out")
    assert (found.maps, found.novel) == (12, 11)
    assert sorted(len(one.members) for one in found.clusters) == [5, 6]


def test_latents_of_different_models_are_kept_apart(tmp_path: Path) -> None:
    other = {"models": {"coordinates": {"name": "toy", "sha256": "other"}}}
    first = write_run(tmp_path / "a", novel_rows(6, 0, 0))
    second = write_run(tmp_path / "b", novel_rows(6, 0, 50), model=other)
    assert [len(one.members) for one in discover([first, second], out=tmp_path / "out").clusters] == [6, 6]


def test_a_run_without_latents_says_what_to_do(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row(place, "ring", "novel") for place in range(6)])
    with pytest.raises(UserError, match="none of the 6 novel maps has a latent"):
        discover([run], out=tmp_path / "out")
    half = write_run(tmp_path / "half", [row(900, "ring", "novel"), *novel_rows(6, 0, 0)])
    found = discover([half], out=tmp_path / "other")
    assert found.notes == ("1 novel map has no latent and cannot be clustered",)
    assert len(found.clusters) == 1


def test_failed_rows_only_are_no_novel_maps(tmp_path: Path) -> None:
    cells, drawing, _ = unplaced(0)
    run = write_run(tmp_path / "run", [(cells | {"status": "failed", "error": "bad"}, drawing, None)])
    assert discover([run], out=tmp_path / "out").notes == ("no map of these runs is novel",)


def test_what_is_no_run_is_said(tmp_path: Path, run: Path) -> None:
    with pytest.raises(UserError, match=r"is no run folder: it has no run\.json"):
        discover([tmp_path], out=tmp_path / "out")
    with pytest.raises(UserError, match="a run of crowd count, not of suite wafer classify"):
        discover([write_run(tmp_path / "crowd", [], task="crowd", verb="count")], out=tmp_path / "out")
    broken = write_run(tmp_path / "broken", novel_rows(1, 0, 0))
    (broken / "results.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"line 1 of .* lacks class, decision"):
        discover([broken], out=tmp_path / "out2")
    with pytest.raises(UserError, match="holds other files"):
        discover([run], out=run)
    discover([run], out=tmp_path / "done")
    with pytest.raises(UserError, match="--overwrite"):
        discover([run], out=tmp_path / "done")
    discover([run], out=tmp_path / "done", overwrite=True)


def test_the_same_runs_give_the_same_clusters(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        discover([run], out=tmp_path / name)
    for file in ("clusters.csv", "report.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
