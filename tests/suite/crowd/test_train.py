"""`suite crowd train`, as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from pipelines.crowd.model.trained import load_trained
from suite.cli import app
from tests.pipelines.crowd.train.builders import SMALL, write_scenes


def suite(*words: object) -> Result:
    return CliRunner().invoke(app, ["crowd", *map(str, words)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("crowds") / "scenes", [0, 3, 5, 8, 13, 2])


@pytest.fixture(scope="module")
def config(data: Path) -> Path:
    path = data.parent / "config.json"
    path.write_text(json.dumps({**SMALL, "epochs": 1, "steps_per_epoch": 1}))
    return path


def test_train_writes_a_model_that_counts(data: Path, config: Path, tmp_path: Path) -> None:
    done = suite("train", data, "--config", config, "--out", tmp_path / "model", "--set", "held_out=0.5")
    assert done.exit_code == 0, done.output
    assert "3 held-out images" in done.stdout
    assert "MAE" in done.stdout
    counted = suite(
        "count", data / "scene1.png", "--model", tmp_path / "model", "--out", tmp_path / "run", "--quiet"
    )
    assert counted.exit_code == 0, counted.output
    again = suite("train", data, "--config", config, "--out", tmp_path / "model")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr


def test_several_data_sets_are_trained_on_together(data: Path, config: Path, tmp_path: Path) -> None:
    other = write_scenes(tmp_path / "square", [4, 1])
    done = suite("train", data, other, "--config", config, "--out", tmp_path / "model", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["images"] + metrics["held_out"] == 8
    assert metrics["data"].keys() == {"scenes", "square"}
    assert sum(one["images"] for one in metrics["data"].values()) == metrics["held_out"]
    assert "images of square" in (tmp_path / "model" / "README.md").read_text()
    trained_on = load_trained(tmp_path / "model").config["training"]["images"]
    assert {name.split("/")[0] for name in trained_on} == {"scenes", "square"}
    same = suite("train", data, data, "--config", config, "--out", tmp_path / "other")
    assert same.exit_code == 2
    assert "one name" in same.stderr


def test_what_cannot_be_read_is_named_and_the_exit_code_says_so(config: Path, tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "scenes", [2, 3, 4])
    (folder / "scene1.png").write_bytes(b"no image")
    done = suite("train", folder, "--config", config, "--out", tmp_path / "model")
    assert done.exit_code == 3
    assert "scene1" in done.stderr
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_a_dry_run_writes_nothing(data: Path, config: Path, tmp_path: Path) -> None:
    done = suite("train", data, "--config", config, "--out", tmp_path / "model", "--dry-run", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["images"], found["held_out"]) == (5, 1)
    assert found["config"]["crop"] == 64
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--network", "vgg"], "must be one of"),
        (["--set", "crop=100"], "multiple of 32"),
        (["--set", "croop=64"], "croop"),
        (["--set", "held_out=1"], "held_out"),
        (["--layout", "none"], "layout"),
    ],
)
def test_wrong_settings_are_named(
    data: Path, config: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    done = suite("train", data, "--config", config, "--out", tmp_path / "model", *options)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert not (tmp_path / "model").exists()


def test_data_without_heads_or_without_images_is_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "bare" / "a.png")
    for folder in (tmp_path / "bare", tmp_path / "nowhere"):
        done = suite("train", folder, "--config", config, "--out", tmp_path / "model")
        assert done.exit_code == 2
        assert folder.name in re.sub(r"[\s│]", "", done.stderr)  # a long path is broken into lines


def test_encoder_weights_are_for_networks_with_that_encoder(data: Path, config: Path, tmp_path: Path) -> None:
    import torch

    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg.safetensors")
    ours = suite(
        "train",
        *(data, "--config", config, "--out", tmp_path / "model"),
        *("--encoder-weights", tmp_path / "vgg.safetensors"),
    )
    assert ours.exit_code == 2
    assert "m-segnet" in ours.stderr
    published = suite(
        "train",
        *(data, "--config", config, "--out", tmp_path / "model", "--network", "m-segnet"),
        *("--encoder-weights", tmp_path / "vgg.safetensors"),
    )
    assert published.exit_code == 2
    assert "vgg.safetensors" in published.stderr
