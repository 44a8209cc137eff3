"""`suite wafer classify --write-klarf`."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.wafer.data import WaferMap, iter_maps
from tests.suite.wafer.conftest import classify


def test_results_are_written_back_as_a_new_klarf_file(good: Path, broken: Path, tmp_path: Path) -> None:
    result = classify(good.parent, "--out", "run", "--write-klarf", "deep/back.klarf")
    assert result.exit_code == 3
    assert "KLARF: deep/back.klarf" in result.stdout
    maps = list(iter_maps([tmp_path / "deep" / "back.klarf"]))
    assert [len(one.defects) for one in maps if isinstance(one, WaferMap)] == [3, 17, 25]
    text = (tmp_path / "deep" / "back.klarf").read_text()
    assert "Novel" in text
    assert "ring" in text
    again = classify(good.parent, "--out", "run2", "--write-klarf", "deep/back.klarf")
    assert again.exit_code == 2
    assert "new file" in again.stderr
    assert (tmp_path / "deep" / "back.klarf").read_text() == text


def test_a_run_is_shown_though_it_cannot_be_written_back(broken: Path, good: Path) -> None:
    result = classify(broken, "--out", "run", "--write-klarf", "back.klarf", "--json")
    assert result.exit_code == 2
    assert "no map was classified" in result.stderr
    assert json.loads(result.stdout)["counts"]["failed"] == 1


def test_a_klarf_file_that_cannot_be_made_is_refused_before_the_run(good: Path, tmp_path: Path) -> None:
    result = classify(good, "--out", "run", "--write-klarf", good / "back.klarf")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert not (tmp_path / "run").exists()
