"""Runs that find a full disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crash import space
from crash.__main__ import main
from crash.space import NOT_PERMITTED
from crash.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_run_without_space_says_so_and_goes_on_with_space(task: str, tmp_path: Path) -> None:
    words = [task, "--how", "full", "--times", "2", "--seed", "1", "--json", str(tmp_path / "counts.jsonl")]
    done = subprocess.run(
        [sys.executable, "-m", "crash", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if NOT_PERMITTED in done.stderr:
        pytest.skip(NOT_PERMITTED)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((tmp_path / "counts.jsonl").read_text())
    assert counts["stopped"] == 2 and counts["finished"] == counts["begun"]


def test_without_the_right_to_mount_the_harness_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: object, **about: object) -> None:
        raise OSError(NOT_PERMITTED)

    monkeypatch.setattr(space, "fill", refused)
    monkeypatch.setattr("crash.__main__.one_thread", lambda: None)
    monkeypatch.setattr("crash.tasks.load", lambda task: None)
    assert main(["wafer", "--how", "full"]) == 2
    assert "unshare -rm" in capsys.readouterr().err
