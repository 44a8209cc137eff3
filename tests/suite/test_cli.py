from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from pipelines.common import models
from pipelines.common.hardware import suite_version
from pipelines.registry import TASKS
from suite import cli
from suite.cli import app
from suite.sample import SAMPLES

HEAVY = ("torch", "numpy", "sklearn", "scipy", "pydantic", "jinja2", "streamlit")


def test_help_needs_nothing_heavy(project_root: Path) -> None:
    code = (
        "import sys; sys.argv = ['suite', '--help']\n"
        "from suite.cli import app\n"
        "app(standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project_root, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "wafer" in done.stdout


def test_help_is_quick(project_root: Path) -> None:
    """In processor time, which other work on the machine does not stretch as it does the clock's."""

    def seconds() -> float:
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "suite", "--help"], cwd=project_root, capture_output=True, check=True
        )
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 0.4


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["wafer"],
        ["wafer", "classify"],
        ["wafer", "train"],
        ["wafer", "evaluate"],
        ["sample"],
        ["sample", "wafer"],
        ["list"],
        ["doctor"],
    ],
)
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["nothing"],
        ["wafer", "nothing"],
        ["--nothing"],
        ["wafer", "classify"],
        ["wafer", "classify", "nowhere"],
    ],
)
def test_wrong_usage_ends_with_2(command: list[str]) -> None:
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"suite {suite_version()}\n")


def test_list_names_tasks_and_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_PIPELINES", tmp_path)
    folder = tmp_path / "wafer" / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"task": "wafer", "schema_version": 1, "labels": ["a", "b"]}')
    result = CliRunner().invoke(app, ["list", "--json"])
    assert result.exit_code == 0
    (wafer,) = (one for one in json.loads(result.stdout) if one["task"] == "wafer")
    assert wafer["command"] == "suite wafer classify"
    assert wafer["models"] == ["mine"]
    assert "mine" in CliRunner().invoke(app, ["list"]).stdout


def test_list_says_what_takes_the_models_that_are_parts() -> None:
    found = {one["task"]: one for one in json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)}
    assert found["polyp"]["models"] == ["polyp"]
    assert {part["model"] for part in found["polyp"]["parts"]} == {"lesion", "depth"}
    assert found["medical"]["models"] == ["hippocampus"]
    assert "suite polyp size --finder" in CliRunner().invoke(app, ["list"]).stdout


def test_doctor_finds_what_is_there_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_PIPELINES", tmp_path)
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    findings = {finding["what"]: finding for finding in report["findings"]}
    assert report["healthy"] is False
    assert (
        findings["torch"]["state"]
        == findings["engine native"]["state"]
        == findings["device cpu"]["state"]
        == "ok"
    )
    assert findings["model for wafer"]["state"] == "missing"
    assert findings["model for wafer"]["mend"] == "suite wafer train DATA --out MODEL"
    assert all(finding["mend"] for finding in report["findings"] if finding["state"] == "missing")


def test_doctor_names_a_broken_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_PIPELINES", tmp_path)
    for name, content in (
        ("good", '{"task": "wafer", "schema_version": 1, "labels": ["a", "b"]}'),
        ("bad", "{"),
    ):
        folder = tmp_path / "wafer" / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(content)
        save_file({"weights": np.zeros(1, np.float32)}, folder / "model.safetensors")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 2
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "2 classes" in lines["model wafer/good"]
    assert "missing" in lines["model wafer/bad"]
    assert "cannot be read" in lines["model wafer/bad"]


def test_samples_are_written_and_not_over_other_files(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sample", "wafer", "--out", str(tmp_path / "maps"), "--json"])
    assert result.exit_code == 0
    files = json.loads(result.stdout)["files"]
    assert len(files) >= 20
    assert all(Path(file).is_file() for file in files)
    again = CliRunner().invoke(app, ["sample", "wafer", "--out", str(tmp_path / "maps")])
    assert again.exit_code == 2
    assert "not empty" in again.stderr


def test_samples_come_with_the_command_to_try_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sample", "wafer", "--out", str(tmp_path / "some maps")])
    assert result.stdout.splitlines()[1:] == ["Try:", f"  suite wafer classify '{tmp_path / 'some maps'}'"]


def test_help_gives_no_type_to_options_that_take_no_value() -> None:
    for words in (["doctor"], ["sample", "all"], ["crowd", "count"]):
        assert "bool" not in CliRunner().invoke(app, [*words, "--help"]).stdout


@pytest.mark.slow
def test_samples_of_every_task_are_written_at_once(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sample", "all", "--out", str(tmp_path / "all"), "--json"])
    assert result.exit_code == 0
    files = [Path(file).relative_to(tmp_path / "all") for file in json.loads(result.stdout)["files"]]
    assert {file.parts[0] for file in files} == {task.name for task in TASKS} == set(SAMPLES)
    assert all((tmp_path / "all" / file).is_file() for file in files)


def test_ctrl_c_before_a_command_has_begun_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cli, "app", interrupted)
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"
