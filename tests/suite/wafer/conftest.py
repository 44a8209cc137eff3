"""A stand-in for the models, and files to classify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import suite.wafer
from pipelines.common import models
from suite.cli import app
from tests.pipelines.wafer.double import Double
from tests.pipelines.wafer.test_classify import write_maps


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
