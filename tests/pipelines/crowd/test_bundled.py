"""The model that comes with the suite, on the sample pictures: people, and nobody where nobody is."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.crowd.generate.samples import CROWDS
from suite.cli import app


@pytest.fixture(scope="module")
def rows(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("bundled")
    shutil.copytree(project_root / "sample_data" / "crowd" / "photos", folder / "photos")
    words = ["crowd", "count", str(folder / "photos"), "--out", str(folder / "run"), "--quiet"]
    assert CliRunner().invoke(app, words).exit_code == 3, "the broken pictures fail"
    with (folder / "run" / "results.csv").open(newline="") as file:
        return {Path(row["source"]).stem: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", list(CROWDS))
def test_drawn_people_are_counted_and_the_interval_holds_them(
    rows: dict[str, dict[str, str]], name: str
) -> None:
    row = rows[f"square-{name}"]
    assert float(row["count"]) == pytest.approx(CROWDS[name], rel=0.2)
    assert float(row["low"]) <= CROWDS[name] <= float(row["high"])
    assert row["model"] == "crowd"


@pytest.mark.parametrize("name", ["black", "wall", "square-empty"])
def test_nobody_is_counted_where_nobody_is(rows: dict[str, dict[str, str]], name: str) -> None:
    assert float(rows[name]["count"]) < 1


def test_without_the_guard_the_small_chances_stay_small(project_root: Path, tmp_path: Path) -> None:
    photos = [
        project_root / "sample_data" / "crowd" / "photos" / name for name in ("wall.jpg", "square-empty.jpg")
    ]
    words = ["crowd", "count", *map(str, photos), "--out", str(tmp_path / "run"), "--quiet"]
    assert CliRunner().invoke(app, [*words, "--set", "empty_guard=false"]).exit_code == 0
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        counts = [float(row["count"]) for row in csv.DictReader(file)]
    assert len(counts) == 2
    assert max(counts) < 1
