"""`suite crowd count` as a user calls it."""

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
from PIL import Image
from typer.testing import CliRunner, Result

from suite.cli import app
from tests.pipelines.crowd.count.made_models import save_model, small_plan, write_film, write_scene

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
    Image.new("RGB", (90, 80)).save(here / "in" / "bad.jpg")
    again = ("in", "--model", model, "--out", "run", "--resume")
    assert call(*again).exit_code == 3
    result = call(*again, "--retry-failed")
    assert result.exit_code == 0 and "1 failed before, or lost a map, and is done again" in result.stderr
    assert [row["source"] for row in table(here / "run")] == ["in/a.png", "in/bad.jpg", *["in/film.avi"] * 3]


def test_the_table_and_the_notes_are_what_a_person_reads(here: Path, model: Path) -> None:
    Image.new("RGB", (90, 80)).save(here / "in" / "black.png")
    result = call("in", "--model", model, "--out", "run")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["source", "frame", "people", "interval", "per", "m2", "seconds", "status"]
    assert "5 rows: 5 counted" in result.stdout and "Report: run/report.html" in result.stdout
    assert "note: in/black.png: the image shows nothing" in result.stderr
    again = call("in", "--model", model, "--out", "run")
    assert again.exit_code == 2 and "--resume" in again.stderr
    assert call("in", "--model", model, "--out", "run", "--resume").exit_code == 0


def test_a_note_of_many_frames_is_said_once(here: Path, model: Path) -> None:
    result = call("in/film.avi", "--model", model, "--out", "run", "--set", "max_side=64")
    assert result.stderr.count("reduced to 64 x 64") == 1
    assert "note: in/film.avi, 3 frames from 0 on: its 96 x 96 pixels were reduced" in result.stderr


def test_json_has_the_rows_and_quiet_is_quiet(here: Path, model: Path) -> None:
    result = call("in", "--model", model, "--out", "run", "--json", "--quiet", "--network", "dense-counter")
    assert result.exit_code == 0 and result.stderr == ""
    found = json.loads(result.stdout)
    assert found["counts"]["ok"] == 4 and len(found["results"]) == 4
    assert set(COLUMNS) < set(found["results"][0])


def test_zones_ground_and_points(here: Path, model: Path) -> None:
    zone = [{"name": "door", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]
    (here / "z.json").write_text(json.dumps(zone))
    (here / "g.json").write_text('{"pixels_per_metre": 20}')
    result = call(
        *("in/a.png", "--model", model, "--out", "run", "--zones", "z.json", "--ground", "g.json", "--points")
    )
    assert result.exit_code == 0, result.stderr
    (row,) = table(here / "run")
    assert json.loads(row["zones"])["door"] > 0 and float(row["people_per_m2"]) > 0
    assert (here / "run" / "points" / "a.csv").read_text().startswith("x,y,share")
    assert (here / "run" / "zones.json").is_file()


def test_a_dry_run_writes_nothing(here: Path, model: Path) -> None:
    (here / "in" / "bad.jpg").write_bytes(b"")
    result = call("in", "--model", model, "--out", "run", "--dry-run", "--set", "memory_mib=64")
    assert result.exit_code == 0, result.stderr
    assert "96 x 96" in result.stdout and "3 frames" in result.stdout and "is empty" in result.stdout
    assert not (here / "run").exists()
    found = json.loads(call("in", "--model", model, "--dry-run", "--json", "--stride", "2").stdout)
    assert [one["work"] for one in found["items"]] == ["1 image", "", "2 frames"]


def test_nothing_usable_in_a_folder_is_2(here: Path, model: Path) -> None:
    for path in (here / "in").iterdir():
        path.write_bytes(b"x")
    result = call("in", "--model", model, "--out", "run")
    assert result.exit_code == 2 and "nothing could be counted" in result.stderr
    (here / "empty").mkdir()
    result = call("empty", "--model", model, "--out", "run2")
    assert result.exit_code == 2 and "there is no image and no video in empty" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nowhere"], "there is no model 'nowhere'"),
        (["--model", "MODEL", "--resume"], "--resume needs --out"),
        (["--model", "MODEL", "--set", "tile=3"], "there is no field tile"),
        (["--model", "MODEL", "--stride", "0"], "stride"),
        (["--model", "MODEL", "--pixels-per-metre", "-1"], "pixels_per_metre"),
        (["--model", "MODEL", "--pixels-per-metre", "9", "--ground", "g.json"], "give one of them"),
        (["--model", "MODEL", "--zones", "no.json"], "there is no such file"),
        (["--model", "MODEL", "--device", "cuda:77"], "the device cuda:77 is not there"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_allowed(
    words: list[str], message: str, here: Path, model: Path
) -> None:
    result = call("in", *(str(model) if word == "MODEL" else word for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (here / "runs").exists()


def test_other_networks_have_no_sparse_decoder(here: Path, tmp_path: Path) -> None:
    other = save_model(tmp_path / "other", small_plan(name="mcnn"))
    result = call("in", "--model", other, "--network", "sparse-counter")
    assert result.exit_code == 2 and "no sparse decoder" in result.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(here: Path, model: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(30):
        pixels = rng.integers(0, 255, (200, 200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(here / "in" / f"b{number:02d}.png")
    words = [sys.executable, "-m", "suite", "crowd", "count", "in", "--model", str(model), "--out", "run"]
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
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130 and stdout == ""
    assert "interrupted; the counts so far are saved: repeat the command with --out run --resume" in stderr
    assert json.loads((here / "run" / "run.json").read_text())["status"] == "interrupted"
    done = len(rows.read_text().splitlines())
    assert 1 <= done < 34
    assert call("in", "--model", model, "--out", "run", "--resume", "--quiet").exit_code == 0
    assert len(table(here / "run")) == 34
