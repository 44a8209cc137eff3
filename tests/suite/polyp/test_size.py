"""`suite polyp size` as a user calls it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner, Result

from pipelines.common import models
from pipelines.polyp.size import finder, predict
from suite.cli import app
from tests.pipelines.polyp.size.made import FakeFinder, save_model, write_dataset

# The suite's command, with time to interrupt it after a polyp.
SLOW = """
import time
from suite import polyp_sizing
from suite.cli import main

load = polyp_sizing.load_predictor

def slow(config, progress):
    predictor = load(config, progress)
    look = predictor.look
    predictor.look = lambda *given: time.sleep(0.5) or look(*given)
    return predictor

polyp_sizing.load_predictor = slow
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "seven")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "data", [6.0, 12.0], frames=2)
    return tmp_path


def call(*words: object, verb: str = "size") -> Result:
    return CliRunner().invoke(app, ["polyp", verb, *map(str, words)])


def test_a_data_set_gives_a_table_notes_and_a_report(here: Path, model: Path) -> None:
    result = call("data", "--model", model, "--out", "run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split()[:4] == ["polyp", "frames", "used", "mm"]
    assert "2 polyps: 2 with a size (0 near a threshold), 0 without" in result.stdout
    assert "Report: run/report.html" in result.stdout
    assert "trained on discs of this test; for research, not a medical device" in result.stderr
    with (here / "run" / "results.csv").open(newline="") as file:
        assert [row["polyp"] for row in csv.DictReader(file)] == ["polyp0", "polyp1"]
    again = call("data", "--model", model, "--out", "run")
    assert again.exit_code == 2 and "--resume" in again.stderr
    assert call("data", "--model", model, "--out", "run", "--resume", "--quiet").exit_code == 0


def test_json_dry_run_and_failures(here: Path, model: Path) -> None:
    (here / "bad.mp4").write_bytes(b"x")
    for number in range(2):
        (here / "data" / f"polyp1_{number}.png").write_bytes(b"x")
    planned = call("data", "--model", model, "--out", "run", "--dry-run", "--json")
    assert planned.exit_code == 0, planned.stderr
    assert [one["looked"] for one in json.loads(planned.stdout)["items"]] == [2, 2]
    assert not (here / "run").exists()
    result = call("data", "--model", model, "--out", "run", "--json", "--quiet")
    assert result.exit_code == 3 and result.stderr == ""
    rows: list[dict[str, Any]] = json.loads(result.stdout)["results"]
    assert rows[0]["mm"] == pytest.approx(7, rel=0.02) and rows[1]["status"] == "failed"
    assert rows[1]["error"].startswith("none of 2 frames can be used, and 1 is needed: it cannot be read")


def test_the_finder_is_loaded_by_name_and_one_bad_video_is_3(
    here: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fake(name: str, device: Any) -> FakeFinder:
        asked.append(name)
        return FakeFinder()

    monkeypatch.setattr(finder, "load", fake)
    (here / "clip").mkdir()
    (here / "data" / "polyp0_0.png").rename(here / "clip" / "a.png")
    (here / "clip" / "bad.mp4").write_bytes(b"x")
    result = call("clip", "--model", model, "--out", "run", "--finder", "mine")
    assert result.exit_code == 3, result.stderr
    assert asked == ["mine"] and "bad.mp4" in result.stderr and "1 failed" in result.stdout
    again = call("clip", "--model", model, "--out", "run", "--finder", "mine", "--resume", "--retry-failed")
    assert again.exit_code == 3 and "1 failed before and is done again" in again.stderr
    assert "2 polyps" in again.stdout and "1 failed" in again.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "--model", "nowhere"], "there is no model 'nowhere'"),
        (["data", "--model", "MODEL", "--resume"], "--resume needs --out"),
        (["data", "--model", "MODEL", "--retry-failed"], "--retry-failed goes with --resume"),
        (["data", "--model", "MODEL", "--set", "tile=3"], "there is no field tile"),
        (["data", "--model", "MODEL", "--frames-per-polyp", "0"], "frames_per_polyp"),
        (["data", "--model", "MODEL", "--calibration", "no.json"], "there is no such file"),
        (["data", "--model", "MODEL", "--boxes", "data", "--masks", "data"], "give one of them"),
        (["data", "--model", "MODEL", "--finder", "nowhere"], "there is no model 'nowhere'"),
        (["plain", "--model", "MODEL", "--finder", "none"], "give --boxes"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_allowed(
    words: list[str], message: str, here: Path, model: Path
) -> None:
    (here / "plain").mkdir()
    (here / "data" / "polyp0_0.png").rename(here / "plain" / "a.png")
    result = call(*(str(model) if word == "MODEL" else word for word in words))
    assert result.exit_code == 2, result.stdout
    assert message in result.stderr
    assert not (here / "runs").exists()


def test_bundled_models_are_found_by_what_they_are_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_PIPELINES", here)
    result = call("data")
    assert result.exit_code == 2 and "no model of sizes is bundled: name a model folder" in result.stderr
    save_model(here / "polyp" / "models" / "polyp")
    lesion = here / "polyp" / "models" / "lesion"
    lesion.mkdir()
    (lesion / "config.json").write_text('{"task": "polyp-lesion", "schema_version": 1}')
    save_file({"weights": np.zeros(1, np.float32)}, lesion / "model.safetensors")
    assert predict.bundled_of("polyp") == [here / "polyp" / "models" / "polyp"]
    assert finder.finder_folder("auto") == lesion
    result = CliRunner().invoke(app, ["doctor"])
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert " ok " in lines["model polyp/polyp"] and " ok " in lines["model polyp/lesion"]
    assert "polyp" in CliRunner().invoke(app, ["list"]).stdout


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(here: Path, model: Path) -> None:
    write_dataset(here / "many", [7.0] * 20, frames=2)
    words = [sys.executable, "-c", SLOW, "polyp", "size", "many", "--model", str(model), "--out", "run"]
    options: Any = {"cwd": here, "text": True, "stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": root}, **options) as process:
        rows = here / "run" / "results.jsonl"
        until = time.monotonic() + 300
        while not (rows.exists() and rows.stat().st_size > 500):
            assert time.monotonic() < until, "no row was written"
            assert process.poll() is None, "the run ended before it could be interrupted"
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130 and stdout == ""
    assert "interrupted; the sizes so far are saved: repeat the command with --out run --resume" in stderr
    assert json.loads((here / "run" / "run.json").read_text())["status"] == "interrupted"
    done = len(rows.read_text().splitlines())
    assert 1 <= done < 20
    resumed = call("many", "--model", model, "--out", "run", "--resume", "--quiet")
    assert resumed.exit_code == 0, resumed.stderr
    assert len(rows.read_text().splitlines()) == 20
