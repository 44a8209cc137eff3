"""Two runs into one folder, and a lock that a killed run has left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.common.files import FolderLock
from suite.cli import app

COMMANDS = {
    "wafer": ("wafer", "classify", "in"),
    "medical": ("medical", "segment", "in", "--model", "no-model-that-there-is"),
    "crowd": ("crowd", "count", "in", "--model", "no-model-that-there-is"),
    "polyp": ("polyp", "size", "in", "--model", "no-model-that-there-is"),
}


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder in which another run is at work, as far as the command can see."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"schema_version": 1, "task": "wafer", "status": "running"}')
    return run


@pytest.mark.parametrize("more", [(), ("--resume",), ("--overwrite",)])
@pytest.mark.parametrize("task", COMMANDS)
def test_the_second_run_is_refused_before_it_loads_a_model(
    task: str, more: tuple[str, ...], held: Path
) -> None:
    before = {path.name: path.read_bytes() for path in held.iterdir()}
    lock = FolderLock(held)
    try:
        result = CliRunner().invoke(app, [*COMMANDS[task], "--out", "run", *more])
    finally:
        lock.release()
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: another run (process {os.getpid()}) is writing to run; wait for it, or name another folder\n"
    )
    assert {path.name: path.read_bytes() for path in held.iterdir()} == before


def test_the_lock_of_a_killed_run_is_in_nobodys_way(held: Path, project_root: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from pipelines.common.files import FolderLock;"
        "lock = FolderLock(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(held)], cwd=project_root, check=False)
    assert (held / ".lock").exists()
    result = CliRunner().invoke(app, [*COMMANDS["crowd"], "--out", "run", "--resume"])
    assert "another run" not in result.stderr and "no-model-that-there-is" in result.stderr
