"""`suite polyp train`, as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.polyp.model.trained import load_trained
from suite.cli import app
from tests.pipelines.polyp.size.made import write_dataset
from tests.pipelines.polyp.train.builders import SMALL

SIZES = [2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 11.0, 12.0]


def suite(*words: object) -> Result:
    return CliRunner().invoke(app, ["polyp", *map(str, words)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("polyps") / "discs", SIZES)


@pytest.fixture(scope="module")
def config(data: Path) -> Path:
    path = data.parent / "config.json"
    path.write_text(json.dumps({**SMALL, "epochs": 1, "steps_per_epoch": 1, "held_out": 0.5}))
    return path


def test_train_writes_a_model_that_sizes_and_is_measured_on_others(
    data: Path, config: Path, tmp_path: Path
) -> None:
    done = suite("train", data, "--config", config, "--out", tmp_path / "model")
    assert done.exit_code == 0, done.output
    assert "4 held-out polyps" in done.stdout and "median predictor" in done.stdout
    training = load_trained(tmp_path / "model").config["training"]
    assert training["cameras"] == len(training["contents"]) == 4
    again = suite("train", data, "--config", config, "--out", tmp_path / "model")
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    found = suite("evaluate", data, "--model", tmp_path / "model", "--out", tmp_path / "run", "--json")
    assert found.exit_code == 0, found.stderr
    document = json.loads(found.stdout)
    left_out = {one["polyp"] for one in document["left_out"]}
    assert left_out == set(training["polyps"]), "what the model was trained on is not measured"
    assert "4 polyps are left out: the model was trained on it" in found.stderr
    only = suite("evaluate", data, "--model", tmp_path / "model", "--keep-trained", "--out", tmp_path / "all")
    assert "trained on 4 of these polyps" in only.stderr


def test_several_data_sets_are_trained_on_together(data: Path, config: Path, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "more", [4.0, 9.0])
    words = ("train", data, other, "--config", config, "--out", tmp_path / "model", "--json", "--quiet")
    done = suite(*words)
    assert done.exit_code == 0, done.output
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["polyps"] + metrics["held_out"] == 10
    training = load_trained(tmp_path / "model").config["training"]
    assert {name.split("/")[0] for name in training["polyps"]} <= {"discs", "more"}
    assert training["data"] == "discs, more"
    same = suite("train", data, data, "--config", config, "--out", tmp_path / "other")
    assert same.exit_code == 2 and "one name" in same.stderr


def test_a_patient_in_two_data_sets_is_one_patient(data: Path, config: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "corrected")
    words = ("--config", config, "--out", tmp_path / "model", "--dry-run", "--json")
    found = json.loads(suite("train", data, tmp_path / "corrected", *words).stdout)
    assert found["polyps"] == 16
    assert found["patients_or_recordings"] == 8


def test_a_dry_run_counts_polyps_frames_patients_and_classes(
    data: Path, config: Path, tmp_path: Path
) -> None:
    done = suite("train", data, "--config", config, "--out", tmp_path / "model", "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["polyps"] == 8 and found["frames"] == 24 and found["patients_or_recordings"] == 8
    assert found["classes"] == {"<=5 mm": 3, "6-9 mm": 3, ">=10 mm": 2}
    assert found["held_out"] == 4
    assert not (tmp_path / "model").exists()


def test_what_cannot_be_used_is_named_and_the_exit_code_says_so(config: Path, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "discs", [2.0, 6.0, 12.0, 7.0])
    text = (folder / "polyps.csv").read_text().replace("patient1,6.0", "patient1,-1")
    (folder / "polyps.csv").write_text(text)
    (folder / "polyp2_0.png").write_bytes(b"no image")
    done = suite("train", folder, "--config", config, "--out", tmp_path / "model")
    assert done.exit_code == 3, done.output
    assert "polyp1 was left out: its size is not known" in done.stderr
    assert "polyp2_0.png" in done.stderr
    wrong = suite("train", folder, "--backbone", "vgg", "--out", tmp_path / "other")
    assert wrong.exit_code == 2 and "must be one of resnet18" in wrong.stderr
