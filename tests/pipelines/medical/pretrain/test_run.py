"""A whole pretraining: what it writes, that it goes on exactly, that it learns."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.models import load_model
from pipelines.medical.config import TASK, NetworkPlan, Plan
from pipelines.medical.model.networks import build_encoder
from pipelines.medical.model.trained import ENCODER_MODEL, network_of
from pipelines.medical.pretrain import fit as fitting
from pipelines.medical.pretrain.config import PretrainConfig
from pipelines.medical.pretrain.look import measure
from pipelines.medical.pretrain.run import build, run
from pipelines.medical.pretrain.volumes import Prepared
from pipelines.medical.train.start import begin_from, read_start
from tests.pipelines.medical.builders import small_plan, write_dataset

FAST = PretrainConfig(epochs=3, steps_per_epoch=2, threads=1, held_out=0.3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "balls", 4)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder, task=TASK).tensors


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"targets": "normalised", "hard_share": 0.5, "optimizer": "lamb"},
        {"optimizer": "sgd", "cell": (4, 4, 4)},
    ],
)
def test_the_model_folder_holds_an_encoder_and_what_shows_that_it_learnt(
    data: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    plan, config = small_plan(), FAST.model_copy(update=changes)
    said: list[str] = []
    metrics = run([data], tmp_path / "model", config, plan=plan, command="suite ...", progress=said.append)
    stored = load_model(tmp_path / "model", task=TASK)
    assert stored.config["kind"] == ENCODER_MODEL and Plan.model_validate(stored.config["plan"]) == plan
    assert stored.metrics == metrics and metrics["held_out"]["volumes"] == 1
    assert stored.config["pretraining"]["volumes"] == 3
    encoder = build_encoder(plan.network, in_channels=1, engine=load_engine("native"))
    assert {f"encoder.{name}" for name in encoder.state_dict()} == set(stored.tensors)
    for name in ("dense-unet", "sparse-unet"):
        changed = plan.model_copy(update={"network": plan.network.model_copy(update={"name": name})})
        network = network_of(changed, load_engine("native"))
        fresh = begin_from(network, changed, read_start(str(tmp_path / "model")))
        assert fresh and all(name.startswith("decoder.") for name in fresh)
        shared = network.shared_weights()
        assert all(torch.equal(shared[key], value) for key, value in stored.tensors.items())
    rows = list(csv.DictReader((tmp_path / "model" / "log.csv").read_text("utf-8").splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    if config.hard_share:
        assert [float(row["hard_share"]) for row in rows] == pytest.approx([0.5 / 6, 0.25, 2.5 / 6], rel=1e-5)
    image = cv2.imread(str(tmp_path / "model" / "reconstruction.png"))
    assert image is not None and image.std() > 10
    assert "reconstruction.png" in (tmp_path / "model" / "README.md").read_text("utf-8")
    assert any("epoch 3/3: loss" in text and "0 s left" in text for text in said)
    assert not (tmp_path / ".model.pretraining").exists()


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FAST.model_copy(update={"hard_share": 0.5})
    run([data], tmp_path / "whole", config)
    epochs = fitting._epoch

    def stop(*args: Any) -> Any:
        if args[6] == 2:
            raise KeyboardInterrupt
        return epochs(*args)

    monkeypatch.setattr(fitting, "_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        run([data], tmp_path / "part", config)
    monkeypatch.undo()
    said: list[str] = []
    config = config.model_copy(update={"max_voxels": 10**6})  # which changes nothing in the weights
    run([data], tmp_path / "part", config, resume=True, progress=said.append)
    assert "going on after epoch 2" in said
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "part")
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_checkpoint_of_other_settings_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = fitting._epoch
    monkeypatch.setattr(fitting, "_epoch", lambda *args: epochs(*args) if args[6] == 0 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run([data], tmp_path / "model", FAST, plan=small_plan())
    monkeypatch.undo()
    with pytest.raises(UserError, match="another training"):
        run(
            [data], tmp_path / "model", FAST.model_copy(update={"learning_rate": 2e-3}), plan=small_plan(),
            resume=True,
        )  # fmt: skip


def test_the_same_seed_gives_the_same_encoder_and_another_one_does_not(data: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        run([data], tmp_path / name, FAST.model_copy(update={"seed": seed}), plan=small_plan())
    one, same, other = (weights(tmp_path / name) for name in ("one", "same", "other"))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["encoder.stem.conv.kernel"], other["encoder.stem.conv.kernel"])


@pytest.mark.parametrize(
    ("plan", "changes", "message"),
    [
        (small_plan(patch=(17, 16, 16)), {}, "whole cells of"),
        (small_plan(patch=(2, 4, 4)), {}, "at least 8 whole cells"),
        (small_plan(), {"cell": (3, 2, 2)}, "multiple of the encoder's total stride"),
        (small_plan(), {"cell": (16, 16, 8)}, "at least 8 whole cells"),
        (small_plan(), {"learning_rate": 1e30, "optimizer": "sgd"}, "smaller learning_rate"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    data: Path, tmp_path: Path, plan: Plan, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run([data], tmp_path / "model", FAST.model_copy(update=changes), plan=plan)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("targets", ["plain", "normalised"])
def test_volumes_with_a_flat_middle_are_measured(targets: str) -> None:
    config = FAST.model_copy(update={"targets": targets})
    model = build(small_plan(), config, load_engine("native"))
    flat = Prepared("flat", np.zeros((1, 24, 20, 16), np.float32), None, None)
    found = measure(model, [flat], (16, 16, 16), config, torch.device("cpu"))
    assert found["mean_loss"] == 0 and found["explained"] == 0 and found["loss"] > 0


def test_a_model_that_is_there_is_kept(data: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="exists"):
        run([data], tmp_path / "model", FAST, plan=small_plan())


@pytest.mark.slow
def test_it_learns_real_volumes(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "medical" / "hippocampus" / "imagesTr"
    files = sorted(folder.glob("*.nii.gz"))[:16]
    network = NetworkPlan(channels=(8, 16, 32), blocks=(1, 1, 1), strides=((2, 2, 2), (2, 2, 2)))
    plan = small_plan(network=network, patch=(32, 32, 32))
    config = PretrainConfig(epochs=4, steps_per_epoch=20, threads=1, learning_rate=4e-3)
    metrics = run(files, tmp_path / "model", config, plan=plan)
    assert metrics["held_out"]["explained"] > 0.4
    rows = list(csv.DictReader((tmp_path / "model" / "log.csv").read_text("utf-8").splitlines()))
    losses = np.array([float(row["loss"]) for row in rows])
    assert losses[-1] < 0.75 * losses[0]
