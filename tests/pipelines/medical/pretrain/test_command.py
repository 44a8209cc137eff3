"""`suite medical pretrain` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from suite.cli import app
from tests.pipelines.medical.builders import write_dataset

HELD = {"volumes": 1, "loss": 0.25, "mean_loss": 1.0, "explained": 0.75}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", 2)


def call(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["medical", "pretrain", *map(str, words)])


def stand_in(monkeypatch: pytest.MonkeyPatch, left_out: list[dict[str, Any]]) -> dict[str, Any]:
    """Replaces the pretraining; returns what it was given."""
    given: dict[str, Any] = {}

    def run(images: list[Path], out: Path, config: Any, **options: Any) -> dict[str, Any]:
        given.update(options, images=images, out=out, config=config)
        return {"held_out": HELD, "left_out": left_out}

    monkeypatch.setattr("pipelines.medical.pretrain.run.run", run)
    return given


@pytest.mark.parametrize("text", ["table", "--json"])
def test_it_is_given_its_settings_and_says_what_came_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    given = stand_in(monkeypatch, [])
    words = ["--set", "mask=[0.5, 0.7]", "--seed", "4", "--resume", "--channel", "T1", "--channel", "T2"]
    result = call(data, "--out", tmp_path / "model", *words, *(["--json"] if text == "--json" else []))
    assert result.exit_code == 0
    assert given["images"] == [data] and given["resume"] and given["channels"] == ["T1", "T2"]
    assert given["config"].mask == (0.5, 0.7) and given["config"].seed == 4
    if text == "--json":
        found = json.loads(result.stdout)
        assert found["metrics"]["held_out"] == HELD
    else:
        assert "75%" in result.stdout and "0.2500" in result.stdout


@pytest.mark.parametrize(("failed", "code"), [(True, 3), (False, 0)])
def test_what_was_left_out_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: bool, code: int
) -> None:
    stand_in(monkeypatch, [{"case": "ca\x1bse", "reason": "it is cut off", "failed": failed}])
    result = call(data, "--out", tmp_path / "model")
    assert result.exit_code == code
    assert "ca\\x1bse was left out: it is cut off" in result.stderr


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    result = call(data, "--out", tmp_path / "model", "--dry-run", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and found["volumes"] == 2 and found["config"]["epochs"] == 100
    assert found["plan"]["spacing"] == [1.0, 1.0, 1.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "mask=[0.8, 0.6]"], "from low to high"),
        (["--set", "mask=[0, 0.6]"], "greater than 0"),
        (["--set", "masks=1"], "did you mean mask?"),
        (["--plan", "README.md"], "README.md"),
        (["--device", "tpu"], "device"),
    ],
)
def test_wrong_settings_are_named(data: Path, tmp_path: Path, words: list[str], message: str) -> None:
    result = call(data, "--out", tmp_path / "model", *words)
    assert result.exit_code == 2 and message in result.stderr
    assert "Traceback" not in result.stderr
