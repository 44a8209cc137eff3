"""`suite wafer classify`: its options, dry runs, and folders that are left as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.common.runner import on_ray
from tests.pipelines.wafer.double import Double
from tests.pipelines.wafer.test_classify import read_record
from tests.suite.wafer.conftest import classify


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "batch=1"], "no field batch"),
        (["--false-alarm-rate", "2"], "false_alarm_rate: should be less than 1"),
        (["--diameter", "-1"], "diameter_mm: should be greater than 0"),
        (["--device", "gpu"], "device"),
        (["--config", "nothing.yaml"], "cannot be read"),
        (
            ["--model", "nothing", "--alarm-on", "x"],
            "give a model folder or the name of a bundled model (double)",
        ),
        (["--resume", "--overwrite"], "one of them"),
        (["--engine", "fast"], "minkowski"),
        (["--runner", "cluster"], "local"),
        (["--workers", "-1"], "--workers"),
        (["--ray-address", "head:6379"], "--ray-address needs --runner ray"),
        (["--runner", "ray", "--workers", "0"], "--workers 0 is for --runner local"),
    ],
)
def test_wrong_options_end_with_2_and_leave_no_run(
    good: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    result = classify(good, "--out", "run", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (tmp_path / "run").exists()


def test_resume_needs_to_know_the_run(good: Path) -> None:
    result = classify(good, "--resume")
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_the_options_reach_the_config(good: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("batch_maps: 7\nseed: 5\n")
    result = classify(
        good,
        *["--out", "run", "--config", "c.yaml", "--seed", "6"],
        *["--set", "batch_defects=99", "--set", "max_defects=98"],
        *["--diameter", "200", "--false-alarm-rate", "0.05", "--engine", "native", "--device", "cpu"],
    )
    assert result.exit_code == 0
    config = read_record(tmp_path / "run")["config"]
    assert config == {
        "model": "auto",
        "engine": "native",
        "device": "cpu",
        "seed": 6,
        "false_alarm_rate": 0.05,
        "alarm_on": [],
        "diameter_mm": 200.0,
        "batch_maps": 7,
        "batch_defects": 99,
        "max_bytes": 256 * 2**20,
        "max_dataset_bytes": 8 * 2**30,
        "max_defects": 98,
        "max_dies": 4_000_000,
        "max_xml_bytes": 16 * 2**20,
        "max_xml_elements": 500_000,
        "max_xml_depth": 32,
    }


def test_a_run_is_not_overwritten_unless_asked(good: Path, double: Double) -> None:
    assert classify(good, "--out", "run").exit_code == 0
    asked = double.asked
    result = classify(good, "--out", "run")
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    assert "--overwrite" in result.stderr
    assert classify(good, "--out", "run", "--resume").exit_code == 0
    assert double.asked == asked
    assert classify(good, "--out", "run", "--overwrite").exit_code == 0
    assert double.asked == 2 * asked


def test_other_folders_are_never_overwritten(good: Path, tmp_path: Path) -> None:
    before = good.read_bytes()
    result = classify(good, "--out", good.parent, "--overwrite")
    assert result.exit_code == 2
    assert "no run folder" in result.stderr
    assert good.read_bytes() == before


def test_a_dry_run_writes_nothing(good: Path, broken: Path, tmp_path: Path, double: Double) -> None:
    result = classify(good.parent, "--out", "run", "--dry-run", "--json")
    assert result.exit_code == 0
    plan = json.loads(result.stdout)
    assert (plan["maps"], plan["failed"], plan["skipped"]) == (3, 1, 0)
    assert plan["models"] == ["double"]
    assert plan["config"]["diameter_mm"] == 300
    assert "config.seed" in classify(good.parent, "--dry-run").stdout
    assert double.batches == []
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "runs").exists()


def test_ray_that_is_not_installed_is_said_with_what_to_run(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "find_spec", lambda name: None)
    result = classify(good, "--out", "run", "--runner", "ray")
    assert result.exit_code == 2
    assert result.stderr == "error: --runner ray needs Ray: pip install 'sparse-suite[ray]'\n"
    assert not (tmp_path / "run").exists()


def test_processes_that_read_ahead_give_the_same_rows(good: Path, tmp_path: Path) -> None:
    assert classify(good, "--out", "here", "--workers", "0").exit_code == 0
    assert classify(good, "--out", "ahead", "--workers", "1").exit_code == 0
    for name in ("results.jsonl", "results.csv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "ahead" / name).read_bytes()


def test_a_cluster_that_is_not_there_is_said_at_once(good: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    result = classify(good, "--out", "run", "--runner", "ray", "--ray-address", "127.0.0.1:1")
    assert result.exit_code == 2
    assert "there is no Ray cluster at 127.0.0.1:1" in result.stderr
    assert not (tmp_path / "run").exists()
