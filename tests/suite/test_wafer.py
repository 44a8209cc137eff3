from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import suite.wafer
from pipelines.common import models
from pipelines.wafer.data import WaferMap, iter_maps
from suite.cli import app
from tests.pipelines.wafer.double import Double
from tests.pipelines.wafer.test_classify import HEADER, read_record, read_rows, write_maps, write_unplaced


@pytest.fixture(autouse=True)
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Double:
    """The classifier of these tests, with a bundled model folder that names its classes."""
    made = Double()
    monkeypatch.setattr(suite.wafer, "_predictor", lambda config, progress: made)
    folder = tmp_path / "bundled" / "wafer" / "models" / "double"
    folder.mkdir(parents=True)
    config = {"task": "wafer", "schema_version": 1, "labels": ["none", "scratch", "ring"]}
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(models, "_PIPELINES", tmp_path / "bundled")
    monkeypatch.chdir(tmp_path)
    return made


def classify(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["wafer", "classify", *map(str, arguments)])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_maps(tmp_path / "lots" / "a.npz", [3, 17, 25])


@pytest.fixture
def broken(tmp_path: Path, good: Path) -> Path:
    path = tmp_path / "lots" / "b.npz"
    path.write_bytes(good.read_bytes()[:300])
    return path


def test_a_run_prints_one_row_per_wafer_and_the_report(good: Path, tmp_path: Path) -> None:
    result = classify(good, "--out", "run")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        "lot",
        "wafer",
        "slot",
        "defects",
        "class",
        "probability",
        "novelty",
        "threshold",
        "decision",
    ]
    assert lines[2].split() == ["L1", "W1", "17", "scratch", "0.250", "17.00", "20.50", "novel"]
    assert lines[-2] == "3 maps: 1 normal, 1 novel, 1 known"
    assert lines[-1] == "Report: run/report.html"
    assert (tmp_path / "run" / "results.csv").read_text().splitlines()[0] == HEADER


def test_json_has_the_counts_and_the_rows(good: Path, broken: Path) -> None:
    result = classify(good.parent, "--out", "run", "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["out"] == "run"
    assert document["report"] == "run/report.html"
    assert document["counts"]["failed"] == 1
    assert document["seconds"] >= 0
    assert [row["status"] for row in document["results"]] == ["ok", "ok", "ok", "failed"]
    assert set(HEADER.split(",")) <= document["results"][0].keys()


def test_without_out_the_run_goes_to_a_new_folder(good: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert classify(good).exit_code == 0
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(folder.name.startswith("wafer-2") for folder in folders)


def test_some_failed_ends_with_3_and_says_why(good: Path, broken: Path) -> None:
    result = classify(good.parent, "--out", "run")
    assert result.exit_code == 3
    assert "Failed:\n  " in result.stdout
    assert str(broken) in result.stdout
    assert "1 failed" in result.stdout


def test_a_named_file_that_is_no_map_is_a_failed_row(tmp_path: Path, good: Path) -> None:
    (tmp_path / "LICENSE").write_text("You may read this.")
    result = classify("LICENSE", "--out", "run")
    assert result.exit_code == 3
    (row,) = read_rows(tmp_path / "run")
    assert row["status"] == "failed"


def test_a_folder_with_nothing_usable_ends_with_2(tmp_path: Path, good: Path, broken: Path) -> None:
    good.unlink()
    result = classify(broken.parent, "--out", "run")
    assert result.exit_code == 2
    assert "none of the wafer maps could be used" in result.stderr
    assert len(read_rows(tmp_path / "run")) == 1
    (tmp_path / "empty").mkdir()
    result = classify("empty", "--out", "other")
    assert result.exit_code == 2
    assert "there is no wafer map in empty" in result.stderr
    assert not (tmp_path / "other").exists()


def test_a_map_without_positions_is_shown_and_no_failure(good: Path, tmp_path: Path) -> None:
    write_unplaced(good.parent / "b.klarf", 1_234)
    result = classify(good.parent, "--out", "run", "--alarm-on", "scratch", "--write-klarf", "back.klarf")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[4].split() == ["L9", "W9", "1234", "unplaced"]
    assert "4 maps: 1 normal, 1 novel, 1 known, 1 read but without positions" in lines
    assert "Failed" not in result.stdout
    maps = list(iter_maps([tmp_path / "back.klarf"]))
    assert [len(one.defects) for one in maps if isinstance(one, WaferMap)] == [3, 17, 25]
    document = json.loads(classify(good.parent, "--out", "again", "--json").stdout)
    assert document["counts"]["unplaced"] == 1
    assert "1234 defects" in document["results"][3]["error"]


def test_only_maps_without_positions(tmp_path: Path) -> None:
    write_unplaced(tmp_path / "lots" / "b.klarf", 5)
    result = classify("lots", "--out", "run")
    assert result.exit_code == 0
    assert "1 map: 1 read but without positions" in result.stdout
    refused = classify("lots", "--out", "again", "--write-klarf", "back.klarf")
    assert refused.exit_code == 2
    assert "no map was classified" in refused.stderr


@pytest.mark.parametrize(("name", "code"), [("novel", 4), ("ring", 4), ("RING", 4), ("scratch", 0)])
def test_alarms_end_with_4(good: Path, name: str, code: int) -> None:
    result = classify(good, "--out", "run", "--alarm-on", name)
    assert result.exit_code == code
    assert ("Alarm: 1 of them" in result.stdout) == (code == 4)


def test_an_alarm_weighs_more_than_a_failure(good: Path, broken: Path) -> None:
    result = classify(good.parent, "--out", "run", "--alarm-on", "scratch", "--alarm-on", "novel")
    assert result.exit_code == 4
    assert "1 failed" in result.stdout


def test_an_alarm_that_can_never_be_raised_is_refused(good: Path, tmp_path: Path) -> None:
    result = classify(good, "--out", "run", "--alarm-on", "scrach")
    assert result.exit_code == 2
    assert "did you mean scratch? allowed are novel, none, ring, scratch" in result.stderr
    assert not (tmp_path / "run").exists()


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
        *["--out", "run", "--config", "c.yaml", "--set", "batch_defects=99", "--seed", "6"],
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


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    write_maps(tmp_path / "lots" / "a\x1b[31m.npz", [3], "LOT\x1b[2J\x07")
    (tmp_path / "lots" / "b\x1b]0;x\x07.npz").write_bytes(
        (tmp_path / "lots" / "a\x1b[31m.npz").read_bytes()[:300]
    )
    result = classify("lots", "--out", "run")
    assert result.exit_code == 3
    assert "LOT\\x1b[2J\\x07" in result.stdout
    assert not {"\x1b", "\x07"} & set(result.stdout + result.stderr)
    assert not {"\x1b", "\x07"} & set(classify("lots", "--out", "again", "--json").stdout)


def test_ctrl_c_saves_the_rows_and_says_how_to_go_on(tmp_path: Path, project_root: Path) -> None:
    write_maps(tmp_path / "many.npz", [number % 40 for number in range(60)])
    code = (
        "import suite.wafer; from suite.cli import main; from tests.pipelines.wafer.double import Double\n"
        "suite.wafer._predictor = lambda config, progress: Double(pause=0.1)\n"
        "main()"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "wafer",
        "classify",
        "many.npz",
        "--out",
        "run",
        "--set",
        "batch_maps=4",
    ]
    environment = os.environ | {"PYTHONPATH": str(project_root)}
    options: Any = {"cwd": tmp_path, "env": environment, "text": True, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        rows = tmp_path / "run" / "results.jsonl"
        until = time.monotonic() + 60
        while not (rows.exists() and rows.stat().st_size > 1_000):
            assert time.monotonic() < until, "no row was written in a minute"
            assert process.poll() is None, "the run ended before it could be interrupted"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.splitlines() == [
        "error: interrupted; the rows so far are saved: repeat the command with --out run --resume to go on"
    ]
    assert read_record(tmp_path / "run")["status"] == "interrupted"
    assert 4 <= len(read_rows(tmp_path / "run")) < 60
    resumed = classify("many.npz", "--out", "run", "--set", "batch_maps=4", "--resume")
    assert resumed.exit_code == 0
    assert [row["map"] for row in read_rows(tmp_path / "run")] == list(range(60))


@pytest.mark.parametrize("text", ["table", "--json"])
def test_evaluate_prints_the_metrics(
    good: Path, text: str, monkeypatch: pytest.MonkeyPatch, double: Double
) -> None:
    metrics = {
        "accuracy": 0.75,
        "macro_f1": 0.5,
        "ece": 0.01,
        "per_class": {"a": {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 4}},
        "confusion": {"labels": ["a"], "matrix": [[4]]},
        "unknown_labels": ["comet"],
    }
    given: list[Any] = []

    def measure(data: Path, predictor: Double) -> dict[str, Any]:
        given.extend([data, predictor])
        return metrics

    monkeypatch.setattr("pipelines.wafer.evaluate.evaluate", measure)
    arguments = ["--json"] if text == "--json" else []
    result = CliRunner().invoke(app, ["wafer", "evaluate", str(good), *arguments])
    assert result.exit_code == 0
    assert given == [good, double]
    assert "no class comet" in result.stderr
    if text == "--json":
        assert json.loads(result.stdout) == metrics
    else:
        for part in ("macro_f1", "0.75", "precision", "0.6667", "Confusion matrix"):
            assert part in result.stdout


def test_train_is_given_its_config_and_prints_what_came_out(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def run(data: Path, out: Path, config: Any, **options: Any) -> dict[str, Any]:
        given.update(options, data=data, out=out, config=config)
        return {"accuracy": 0.5}

    monkeypatch.setattr("pipelines.wafer.train.train", run)
    command = ["wafer", "train", str(good), "--out", "model", "--set", "epochs=3", "--seed", "4", "--resume"]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"model": "model", "metrics": {"accuracy": 0.5}}
    assert (given["data"], given["out"]) == (good, Path("model"))
    assert (given["config"].epochs, given["config"].seed) == (3, 4)
    assert (given["resume"], given["overwrite"]) == (True, False)
    given.clear()
    plan = CliRunner().invoke(app, [*command, "--json", "--dry-run"])
    assert json.loads(plan.stdout)["config"]["epochs"] == 3
    wrong = CliRunner().invoke(app, [*command, "--set", "epoch=3"])
    assert wrong.exit_code == 2
    assert "did you mean epochs?" in wrong.stderr
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis").write_text("")
    refused = CliRunner().invoke(app, [*command, "--overwrite"])
    assert refused.exit_code == 2
    assert "not a model folder" in refused.stderr
    assert given == {}
