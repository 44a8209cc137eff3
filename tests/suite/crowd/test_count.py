"""`suite crowd count` as a user calls it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from suite.cli import app
from tests.pipelines.crowd.count.made_models import save_model, write_film, write_scene

COLUMNS = (
    *("source", "frame", "count", "low", "high", "zones"),
    *("people_per_m2", "seconds", "model", "status", "error"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_scene(tmp_path / "in" / "a.png")
    write_film(tmp_path / "in" / "film.avi", frames=3)
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["crowd", "count", *map(str, words)])


def table(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_gives_a_row_per_image_and_frame(here: Path, model: Path) -> None:
    result = call("in", "--model", model, "--out", "run")
    assert result.exit_code == 0, result.stderr
    found = table(here / "run")
    assert tuple(found[0]) == COLUMNS
    assert [(row["source"], row["frame"]) for row in found] == [
        ("in/a.png", ""),
        *(("in/film.avi", str(number)) for number in range(3)),
    ]
    for row in found:
        assert float(row["low"]) <= float(row["count"]) <= float(row["high"])
    record = json.loads((here / "run" / "run.json").read_text())
    assert record["status"] == "finished" and record["counts"]["ok"] == 4


def test_one_bad_file_is_one_failed_row(here: Path, model: Path) -> None:
    (here / "in" / "bad.jpg").write_bytes(b"")
    result = call("in", "--model", model, "--out", "run")
    assert result.exit_code == 3
    assert "in/bad.jpg: the file is empty" in result.stderr and "1 failed" in result.stdout
