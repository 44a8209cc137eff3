"""`suite medical plan` and `train`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
import yaml
from typer.testing import CliRunner, Result

from pipelines.medical.data.files import read_volume
from suite.cli import app
from tests.pipelines.medical.builders import two_balls, write_dataset

QUICK = ["--set", "epochs=1", "--set", "steps_per_epoch=1", "--set", "folds=2", "--device", "cpu"]


def suite(*words: object) -> Result:
    return CliRunner().invoke(app, ["medical", *map(str, words)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("balls"), 4)


@pytest.fixture(scope="module")
def plan(data: Path) -> Path:
    """A plan of the data whose network is small."""
    path = data / "plan.yaml"
    done = suite("plan", data, "--out", path, "--label", "dark=1", "--label", "bright=2")
    assert done.exit_code == 0, done.output
    content = yaml.safe_load(path.read_text())
    content["network"] |= {"channels": [4, 8], "blocks": [1, 1], "strides": [[2, 2, 2]], "heads": 1}
    content |= {"patch": [16, 16, 16], "batch_size": 1}
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_plan_says_what_the_data_is_like_and_what_follows(data: Path, tmp_path: Path) -> None:
    done = suite("plan", data, "--out", tmp_path / "plan.yaml")
    assert done.exit_code == 0
    assert "24 x 28 x 20" in done.stdout and "dense-unet" in done.stdout and "label 1 (1)" in done.stdout
    again = suite("plan", data, "--out", tmp_path / "plan.yaml")
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    as_json = suite("plan", data, "--out", tmp_path / "plan.yaml", "--overwrite", "--json", "--quiet")
    assert json.loads(as_json.stdout)["fingerprint"]["cases"] == 4


def test_a_plan_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 3)
    (folder / "imagesTr" / "case_01.nii.gz").write_bytes(b"text")
    done = suite("plan", folder, "--out", tmp_path / "plan.yaml")
    assert done.exit_code == 3 and "case_01" in done.stdout
    assert (tmp_path / "plan.yaml").exists()


def test_cases_above_the_limit_are_left_out_until_it_is_raised(
    data: Path, plan: Path, tmp_path: Path
) -> None:
    voxels = 24 * 28 * 20
    quick = ["--set", "epochs=1", "--set", "steps_per_epoch=1", "--device", "cpu"]
    commands = (
        ["plan", data, "--out", tmp_path / "new.yaml"],
        ["train", data, "--out", tmp_path / "model", "--dry-run"],
        ["train", data, "--plan", plan, "--out", tmp_path / "model", *QUICK],
        ["pretrain", data, "--out", tmp_path / "encoder", "--dry-run"],
        ["pretrain", data, "--plan", plan, "--out", tmp_path / "encoder", *quick],
    )
    for words in commands:
        small = suite(*words, "--set", f"max_voxels={voxels - 1}")
        assert small.exit_code == 2, words
        assert "raise the limit with --set max_voxels=N" in small.stderr
        large = suite(*words, "--set", f"max_voxels={voxels}")
        assert large.exit_code == 0, large.output


def test_a_folder_that_is_no_data_set_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = suite("train", tmp_path / "data", "--out", tmp_path / "model")
    assert done.exit_code == 2
    words = done.stderr.split("To try a training, suite ")[1].split(" makes a set")[0].split()
    words[words.index("--cases") + 1], words[-1] = "2", str(tmp_path / "cases")
    assert CliRunner().invoke(app, words).exit_code == 0
    assert suite("plan", tmp_path / "cases", "--out", tmp_path / "plan.yaml").exit_code == 0


def test_train_follows_the_plan_and_names_the_labels(data: Path, plan: Path, tmp_path: Path) -> None:
    done = suite("train", data, "--plan", plan, "--out", tmp_path / "model", "--fold", "all", *QUICK)
    assert done.exit_code == 0, done.output
    assert "Dice dark" in done.stdout and "mean" in done.stdout
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["members"] == 2 and config["plan"]["labels"] == {"dark": 1, "bright": 2}
    assert config["training"]["cases"] == [f"case_{number:02d}" for number in range(4)]
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert [fold["fold"] for fold in metrics["folds"]] == [0, 1]


def test_each_stage_starts_from_the_one_before(data: Path, plan: Path, tmp_path: Path) -> None:
    encoder, many, one = (tmp_path / name for name in ("encoder", "many", "one"))
    quick = ["--set", "epochs=1", "--set", "steps_per_epoch=1", "--device", "cpu"]
    done = suite("pretrain", data, "--plan", plan, "--out", encoder, *quick)
    assert done.exit_code == 0, done.output
    done = suite("train", data, "--plan", plan, "--from", encoder, "--out", many, *QUICK)
    assert done.exit_code == 0, done.output
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(yaml.safe_dump({**yaml.safe_load(plan.read_text()), "labels": {"bright": 2}}))
    done = suite("train", data, "--plan", fewer, "--from", many, "--out", one, *QUICK)
    assert done.exit_code == 0, done.output
    origin = [json.loads((path / "config.json").read_text())["training"]["from"] for path in (many, one)]
    assert [found["kind"] for found in origin] == ["encoder", "segmenter"]


def test_without_a_plan_the_sizes_are_those_of_the_start(data: Path, plan: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    assert suite("train", data, "--plan", plan, "--out", first, *QUICK).exit_code == 0
    done = suite("train", data, "--from", first, "--out", tmp_path / "second", "--dry-run", "--json")
    assert json.loads(done.stdout)["plan"]["network"]["channels"] == [4, 8]


def test_a_model_trained_here_segments_here(data: Path, plan: Path, tmp_path: Path) -> None:
    assert suite("train", data, "--plan", plan, "--out", tmp_path / "model", *QUICK).exit_code == 0
    image = data / "imagesTr" / "case_00.nii.gz"
    done = suite("segment", image, "--model", tmp_path / "model", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    mask = read_volume(tmp_path / "run" / "masks" / "case_00.nii.gz")
    assert mask.shape == read_volume(image).shape and mask.array.max() <= 2
    measured = suite("evaluate", tmp_path / "run", data / "labelsTr", "--only-predicted", "--json")
    assert measured.exit_code == 0, measured.output


def test_a_plan_for_volumes_without_labels_trains_nothing(data: Path, plan: Path, tmp_path: Path) -> None:
    shown = suite("pretrain", data, "--out", tmp_path / "encoder", "--dry-run", "--json")
    other = tmp_path / "plan.yaml"
    other.write_text(yaml.safe_dump(json.loads(shown.stdout)["plan"]))
    done = suite("train", data, "--plan", other, "--out", tmp_path / "model", *QUICK)
    assert done.exit_code == 2 and "for volumes without labels" in done.stderr
    done = suite("train", data, "--plan", plan, "--memory", "4000", "--out", tmp_path / "model", *QUICK)
    assert done.exit_code == 2 and "--memory has no effect" in done.stderr


def test_a_network_that_is_asked_for_is_planned_for(data: Path, tmp_path: Path) -> None:
    words = ("--network", "swinunetr", "--json", "--quiet", "--memory", "8000")
    done = suite("plan", data, "--out", tmp_path / "plan.yaml", *words)
    found = json.loads(done.stdout)["plan"]
    assert found["network"]["name"] == "swinunetr" and found["patch"] == [32, 32, 32]
    done = suite("plan", data, "--out", tmp_path / "plan.yaml", "--overwrite", "--memory", "0")
    assert done.exit_code == 2 and "no patch fits 0 MiB" in done.stderr


def test_ctrl_c_says_how_to_go_on(data: Path, plan: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def stop(*args: object, **settings: object) -> None:
        raise KeyboardInterrupt

    words = ("train", data, "--plan", plan, "--out", tmp_path / "model", *QUICK)
    monkeypatch.setattr("pipelines.medical.train.run.mean_dice", stop)  # after the last epoch
    done = suite(*words)
    assert done.exit_code == 130 and "interrupted; repeat the command with --resume" in done.stderr
    monkeypatch.undo()
    done = suite(*words, "--resume", "--set", "learning_rate=0.001")
    assert done.exit_code == 2 and "repeat the command as it was, or begin anew" in done.stderr
    assert suite(*words, "--resume").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "dark"], "name=value"),
        (["--network", "u-net"], "--network must be one of"),
        (["--fold", "7", "--set", "folds=2"], "fold must be"),
        (["--set", "epoch=3"], "did you mean epochs"),
        (["--from", "nowhere"], "there is no model"),
        (["--plan", "missing.yaml"], "cannot be read"),
    ],
)
def test_a_mistake_is_named(words: list[str], message: str, data: Path, tmp_path: Path) -> None:
    done = suite("train", data, "--out", tmp_path / "model", *words)
    assert done.exit_code == 2 and message in done.stderr
    assert not (tmp_path / "model").exists()


def test_one_folder_per_case_with_two_images(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / "data" / f"p{number}"
        folder.mkdir(parents=True)
        image, labels = two_balls(number)
        for name, array in (("t1", image), ("t2", -image), ("truth", labels)):
            nib.save(nib.Nifti1Image(array, None), folder / f"{name}.nii.gz")
    words = ("--channel", "t1", "--channel", "t2", "--labels", "truth")
    done = suite("plan", tmp_path / "data", *words, "--out", tmp_path / "plan.yaml", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["plan"]["channels"] == ["t1", "t2"]


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    done = suite("plan", tmp_path, "--out", tmp_path / "plan.yaml")
    assert done.exit_code == 2 and done.stderr.startswith("error: ")
