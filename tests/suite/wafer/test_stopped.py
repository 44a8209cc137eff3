"""`suite wafer classify` on a full disk, and interrupted."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.runs import RunFolder
from tests.pipelines.wafer.test_classify import read_record, read_rows, write_maps
from tests.suite.wafer.conftest import classify


def test_a_full_disk_says_how_to_go_on(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunFolder, "append", full)
    result = classify(good, "--out", "run")
    assert result.exit_code == 2
    assert "No space left on device; the rows so far are saved" in result.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_ctrl_c_saves_the_rows_and_says_how_to_go_on(
    tmp_path: Path, project_root: Path, workers: int
) -> None:
    write_maps(tmp_path / "many.npz", [number % 40 for number in range(60)])
    code = (
        "import suite.wafer; from suite.cli import main; from tests.pipelines.wafer.double import Double\n"
        "suite.wafer._predictor = lambda config, progress: Double(pause=0.5)\n"
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
        "--workers",
        str(workers),
    ]
    environment = os.environ | {"PYTHONPATH": str(project_root)}
    options: Any = {"cwd": tmp_path, "env": environment, "text": True, "stderr": subprocess.PIPE}
    options["start_new_session"] = True  # Ctrl-C reaches every process of a command
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        rows = tmp_path / "run" / "results.jsonl"
        until = time.monotonic() + 300
        while not (rows.exists() and rows.stat().st_size > 1_000):
            assert time.monotonic() < until, "no row was written in five minutes"
            assert process.poll() is None, "the run ended before it could be interrupted"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=300)
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
