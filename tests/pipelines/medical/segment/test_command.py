"""`suite medical segment` as a user calls it, from a small app of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from suite.medical_segmenting import segment
from tests.pipelines.medical.segment.made import noise, save_tiny

app = typer.Typer()
app.command("segment")(segment)
app.command("other")(lambda: None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(2):
        nib.save(
            nib.Nifti1Image(noise((16, 15, 14), number), np.diag([1.0, 1, 1, 1])),
            tmp_path / "in" / f"case_{number}.nii.gz",
        )
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["segment", *map(str, words)])


def test_a_folder_gives_masks_and_a_table(here: Path, model: Path) -> None:
    result = call("in", "--model", model, "--out", "run", "--uncertainty", "--largest-component", "one")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["case", "one", "two", "confidence", "seconds", "status"]
    assert lines[1].startswith("case_0") and lines[1].endswith("ok")
    assert "2 cases: 2 segmented" in result.stdout and "Report: run/report.html" in result.stdout
    assert "MiB of memory" in result.stderr
    assert (here / "run" / "masks" / "case_1.nii.gz").is_file()
    record = json.loads((here / "run" / "run.json").read_text())
    assert record["config"]["largest_component"] == ["one"] and record["model"]["name"] == "tiny"
    again = call("in", "--model", model, "--out", "run")
    assert again.exit_code == 2 and "--resume" in again.stderr


def test_notes_of_cases_are_said(here: Path, model: Path) -> None:
    image = nib.Nifti1Image(noise((16, 15, 14)), None)
    nib.save(image, here / "in" / "case_0.nii.gz")
    result = call("in", "--model", model, "--out", "run")
    assert "note: case_0: it does not say how it lies" in result.stderr and "case_1: " not in result.stderr


def test_json_has_the_rows(here: Path, model: Path) -> None:
    result = call("in", "--model", model, "--out", "run", "--json", "--quiet", "--network", "sparse-unet")
    assert result.exit_code == 0 and result.stderr == ""
    found = json.loads(result.stdout)
    assert found["counts"]["ok"] == 2 and len(found["results"]) == 2
    assert set(found["results"][0]["structures"]) == {"one", "two"}


def test_a_dry_run_writes_nothing(here: Path, model: Path) -> None:
    result = call("in", "--model", model, "--out", "run", "--dry-run")
    assert result.exit_code == 0
    assert "16x15x14" in result.stdout and "MiB predicted" in result.stdout
    assert not (here / "run").exists()
    found = json.loads(call("in", "--model", model, "--dry-run", "--json").stdout)
    assert [one["case"] for one in found["cases"]] == ["case_0", "case_1"]
    assert found["memory_mib"] == max(one["memory_mib"] for one in found["cases"])


def test_some_failed_is_3_and_nothing_usable_is_2(here: Path, model: Path) -> None:
    (here / "in" / "bad.nii.gz").write_bytes(b"no volume")
    result = call("in", "--model", model, "--out", "run")
    assert result.exit_code == 3
    assert "bad.nii.gz" in result.stderr and "1 failed" in result.stdout
    for path in (here / "in").glob("case_*"):
        path.unlink()
    result = call("in", "--model", model, "--out", "run2")
    assert result.exit_code == 2 and "none of the volumes" in result.stderr
    assert "Masks:" not in result.stdout and "Report: run2/report.html" in result.stdout


def test_an_empty_folder_holds_no_volume(here: Path, model: Path) -> None:
    (here / "empty").mkdir()
    result = call("empty", "--model", model, "--out", "run")
    assert result.exit_code == 2
    assert "empty: there is no volume in it" in result.stderr and "MiB of memory" not in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--model is needed"),
        (["--model", "nowhere"], "there is no model 'nowhere'"),
        (["--model", "MODEL", "--largest-component", "liver"], "the model has no label 'liver'"),
        (["--model", "MODEL", "--foreground", "above:much"], "give auto, none, nonzero or above:VALUE"),
        (["--model", "MODEL", "--overlap", "1.5"], "overlap"),
        (["--model", "MODEL", "--resume"], "--resume needs --out"),
        (["--model", "MODEL", "--set", "tiles=3"], "there is no field tiles"),
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


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(here: Path, model: Path, project_root: Path) -> None:
    for number in range(2, 40):
        nib.save(
            nib.Nifti1Image(noise((24, 24, 24), number), np.eye(4)), here / "in" / f"case_{number:02d}.nii.gz"
        )
    code = "from tests.pipelines.medical.segment.test_command import app; app()"
    words = ["segment", "in", "--model", str(model), "--out", "run", "--mirror"]
    options: Any = {"cwd": here, "text": True, "stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": str(project_root)}
    with subprocess.Popen([sys.executable, "-c", code, *words], env=environment, **options) as process:
        rows = here / "run" / "results.jsonl"
        until = time.monotonic() + 300
        while not (rows.exists() and rows.stat().st_size > 500):
            assert time.monotonic() < until, "no row was written"
            assert process.poll() is None, "the run ended before it could be interrupted"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130 and stdout == ""
    assert "interrupted; the cases so far are saved: repeat the command with --out run --resume" in stderr
    assert json.loads((here / "run" / "run.json").read_text())["status"] == "interrupted"
    done = [json.loads(line)["case"] for line in rows.read_text().splitlines()]
    masks = {path.name.removesuffix(".nii.gz") for path in (here / "run" / "masks").glob("[!.]*")}
    assert 1 <= len(done) < 40 and set(done) <= masks
