"""`suite wafer discover`, `monitor` and `refit` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from suite.cli import app
from tests.pipelines.wafer.discover.test_discover import known_rows, novel_rows
from tests.pipelines.wafer.monitor.test_monitor import lot, quiet_lots
from tests.pipelines.wafer.past_runs import row, write_run


def suite(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["wafer", *map(str, arguments)])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_discover_prints_the_clusters_and_the_report(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [*novel_rows(9, 0, 0, lot="L1"), *novel_rows(6, 1, 50), *known_rows(5)])
    result = suite("discover", run, "--out", "out")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["1", "9", "ring", "L1"]
    assert lines[-2:] == ["20 maps: 15 novel, 15 of them in 2 clusters", "Report: out/report.html"]
    assert json.loads(suite("discover", run, "--out", "b", "--json").stdout)["clusters"][1]["size"] == 6


def test_discover_without_a_folder_makes_one_and_few_maps_are_no_error(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [*novel_rows(2, 0, 0), *known_rows(5)])
    result = suite("discover", run)
    assert result.exit_code == 0
    assert "too few for a cluster of 5" in result.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "clusters.csv").read_text().count("\n") == 3


@pytest.mark.parametrize(("novel", "alarm", "code"), [(9, True, 4), (9, False, 0), (0, True, 0)])
def test_monitor_ends_with_4_on_an_excursion_if_asked(
    novel: int, alarm: bool, code: int, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", [*quiet_lots(), *lot("BAD", 900, novel, day=20)])
    result = suite("monitor", run, "--out", "out", *(["--alarm"] if alarm else []))
    assert result.exit_code == code, result.output
    assert ("BAD" in result.stdout) == bool(novel)
    assert result.stdout.splitlines()[-1] == "Report: out/report.html"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["discover", "nowhere"], "nowhere is no run folder"),
        (["monitor", "run", "--by", "time"], "no map of them states a time"),
        (["monitor", "run", "--by", "hour"], "hour"),
        (["discover", "run", "--min-size", "1"], "min-size"),
        (["refit", "nothing", "--labels", "run/run.json", "--out", "m"], "there is no model 'nothing'"),
    ],
)
def test_wrong_use_ends_with_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [row(0, lot="A")])
    result = suite(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
