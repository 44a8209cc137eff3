from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError, load_model, save_model
from pipelines.medical.config import TASK, Foreground, NetworkPlan, Plan
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.model.trained import (
    ENCODER_MODEL,
    load_engine,
    load_trained,
    member_tensors,
    network_of,
    save_trained,
)
from pipelines.medical.train.cases import prepare_cases
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.folds import split_folds
from pipelines.medical.train.patches import Patches
from pipelines.medical.train.run import train, train_folds
from pipelines.medical.train.start import begin_from, read_start, same_sizes
from tests.pipelines.medical.builders import small_plan, write_dataset

QUICK = TrainConfig(
    epochs=2, steps_per_epoch=3, folds=2, validate_every=1, seed=3, learning_rate=5e-3, precision="float32"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), 5)


def run(
    folder: Path, out: Path, config: TrainConfig = QUICK, plan: Plan | None = None, **more: object
) -> dict:
    return train(read_dataset(folder), plan or small_plan(), out, config, name="balls", **more)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense-unet", "sparse-unet"])
def test_training_learns_to_segment(name: str, folder: Path, tmp_path: Path) -> None:
    config = QUICK.model_copy(update={"epochs": 12, "steps_per_epoch": 12, "validate_every": 12})
    metrics = run(folder, tmp_path / "model", config, small_plan(name))
    assert metrics["dice"]["dark"] > 0.7 and metrics["dice"]["bright"] > 0.8


def test_a_model_folder_holds_plan_logs_card_and_a_network_per_fold(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    metrics = run(folder, out, QUICK.model_copy(update={"fold": "all"}))
    model = load_trained(out)
    assert len(model.members) == 2
    assert model.plan == small_plan()
    assert model.label_values == [0, 1, 2]
    held = [set(one["held_out"]) for one in metrics["folds"]]
    assert held[0] | held[1] == {f"case_{number:02d}" for number in range(5)} and not held[0] & held[1]
    log = list(csv.DictReader(io.StringIO((out / "log-fold0.csv").read_text())))
    assert [row["epoch"] for row in log] == ["1", "2"] and float(log[1]["loss"]) > 0
    assert "balls" in (out / "README.md").read_text()
    assert not (tmp_path / ".model.training").exists()


def test_numbers_too_large_for_half_precision_are_kept(tmp_path: Path) -> None:
    plan = small_plan()
    weights = network_of(plan, load_engine("native")).shared_weights()
    weights["encoder.stem.norm.bn.running_var"] = torch.full((8,), 1.5e6)
    save_trained(tmp_path / "model", plan=plan, members=[weights], training={}, metrics={}, card="a model")
    kept = load_trained(tmp_path / "model").members[0].shared_weights()
    assert (kept["encoder.stem.norm.bn.running_var"] == 1.5e6).all()


def test_a_stopped_training_ends_with_the_same_weights(folder: Path, tmp_path: Path) -> None:
    plan, data = small_plan(), read_dataset(folder)
    cases, _ = prepare_cases(data.cases, plan, tmp_path / "cases", lambda text: None)
    device = torch.device("cpu")
    whole = train_folds(cases, plan, QUICK, tmp_path / "whole", device=device)

    class Stop(Exception):
        pass

    def stop(text: str) -> None:
        if "epoch 1/2" in text:
            raise Stop

    with pytest.raises(Stop):
        train_folds(cases, plan, QUICK, tmp_path / "parts", device=device, progress=stop)
    resumed: list[str] = []
    config = QUICK.model_copy(update={"max_voxels": 10**6})  # which changes nothing in the weights
    parts = train_folds(cases, plan, config, tmp_path / "parts", device=device, progress=resumed.append)
    assert any("going on after epoch 1" in text for text in resumed)
    for name, value in whole.members[0].items():
        assert torch.equal(value, parts.members[0][name]), name


def test_a_checkpoint_of_another_training_is_refused(folder: Path, tmp_path: Path) -> None:
    plan, data = small_plan(), read_dataset(folder)
    cases, _ = prepare_cases(data.cases, plan, tmp_path / "cases", lambda text: None)
    train_folds(cases, plan, QUICK, tmp_path / "scratch", device=torch.device("cpu"))
    other = QUICK.model_copy(update={"learning_rate": 1e-3})
    with pytest.raises(UserError, match="another training"):
        train_folds(cases, plan, other, tmp_path / "scratch", device=torch.device("cpu"))


def test_prepared_cases_are_taken_up_and_made_anew_for_another_plan(folder: Path, tmp_path: Path) -> None:
    data, said = read_dataset(folder), []
    first, _ = prepare_cases(data.cases, small_plan(), tmp_path, said.append)
    stamp = (tmp_path / "00000-images.npy").stat().st_mtime_ns
    prepare_cases(data.cases, small_plan(), tmp_path, said.append)
    assert (tmp_path / "00000-images.npy").stat().st_mtime_ns == stamp
    coarse, _ = prepare_cases(data.cases, small_plan(spacing=(2.0, 2.0, 2.0)), tmp_path, said.append)
    assert coarse[0].shape == (12, 14, 10) and first[0].shape == (24, 28, 20)
    assert sorted(coarse[0].places) == [1, 2]


def test_prepared_cases_keep_nothing_of_another_plan(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, rule = read_dataset(folder), Foreground(rule="above", threshold=2.5)
    some = small_plan(foreground=rule)
    assert prepare_cases(data.cases, some, tmp_path, lambda text: None)[0][0].active is not None
    save = np.save

    def stop(path: Path, array: np.ndarray) -> None:
        save(path, array)
        if "labels" in str(path):
            raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare_cases(data.cases, small_plan(spacing=(2.0, 2.0, 2.0)), tmp_path, lambda text: None)
    monkeypatch.undo()
    again, _ = prepare_cases(data.cases, some, tmp_path, lambda text: None)
    assert again[0].shape == (24, 28, 20), "half of another plan's case was taken for it"
    every, _ = prepare_cases(data.cases, small_plan(), tmp_path, lambda text: None)
    assert all(case.active is None for case in every)


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_prepared_cases_leave_no_file_open(folder: Path, tmp_path: Path) -> None:
    plan = small_plan(foreground=Foreground(rule="above", threshold=2.5))
    before = len(list(Path("/proc/self/fd").iterdir()))
    cases, _ = prepare_cases(read_dataset(folder).cases, plan, tmp_path, lambda text: None)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    for case, name in ((cases[0], "00000"), (cases[4], "00004")):
        for what, array in (("images", case.images), ("labels", case.labels), ("active", case.active)):
            assert array is not None and np.array_equal(array, np.load(tmp_path / f"{name}-{what}.npy"))


def test_a_case_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", 5)
    (folder / "imagesTr" / "case_03.nii.gz").write_bytes(b"\x1f\x8bbroken")
    metrics = run(folder, tmp_path / "model")
    assert [one["case"] for one in metrics["left_out"]] == ["case_03"]
    assert metrics["folds"][0]["cases"] + len(metrics["folds"][0]["held_out"]) == 4


def test_without_a_fold_every_case_trains(folder: Path, tmp_path: Path) -> None:
    metrics = run(folder, tmp_path / "model", QUICK.model_copy(update={"fold": "none", "epochs": 1}))
    assert metrics["folds"][0]["cases"] == 5 and metrics["folds"][0]["dice"] == {}


def test_patience_stops_a_training_that_gets_no_better(folder: Path, tmp_path: Path) -> None:
    config = QUICK.model_copy(
        update={"epochs": 30, "steps_per_epoch": 1, "patience": 1, "learning_rate": 1e-9}
    )
    metrics = run(folder, tmp_path / "model", config)
    assert metrics["folds"][0]["epochs"] == 2


def test_a_sparse_network_passes_over_patches_without_foreground(folder: Path, tmp_path: Path) -> None:
    few = Foreground(rule="above", threshold=6.8, halo=0)
    plan = small_plan("sparse-unet", foreground=few, batch_size=1, patch=(4, 4, 4))
    cases, _ = prepare_cases(read_dataset(folder).cases, plan, tmp_path / "cases", lambda text: None)
    device = torch.device("cpu")
    quick = QUICK.model_copy(update={"epochs": 1, "steps_per_epoch": 20, "fold": "none"})
    patches, rng = Patches(cases, plan, quick), np.random.default_rng([quick.seed, 0])
    drawn = [patches.batch(rng)[2] for _ in range(20)]
    assert {active is not None and bool(active.any()) for active in drawn} == {True, False}
    trained = train_folds(cases, plan, quick, tmp_path / "scratch", device=device)
    assert all(bool(value.isfinite().all()) for value in trained.members[0].values())
    for case in cases:
        object.__setattr__(case, "active", np.zeros_like(case.active))
    with pytest.raises(UserError, match="enough foreground"):
        train_folds(cases, plan, quick, tmp_path / "other", device=device)


def test_a_loss_that_is_no_number_ends_with_advice(folder: Path, tmp_path: Path) -> None:
    plan = small_plan()
    cases, _ = prepare_cases(read_dataset(folder).cases, plan, tmp_path / "cases", lambda text: None)
    for case in cases:
        object.__setattr__(case, "images", np.full_like(case.images, np.inf))
    with pytest.raises(UserError, match="smaller learning_rate"):
        train_folds(cases, plan, QUICK, tmp_path / "scratch", device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("changes", "plan", "message"),
    [
        ({"fold": 2}, small_plan(), "fold must be"),
        ({"fold": -1}, small_plan(), "fold must be"),
        ({"folds": 6}, small_plan(), "6 folds need at least as many cases; there are 5: set fewer folds"),
        ({}, small_plan(patch=(16, 15, 16)), r"\(16, 16, 16\) would do"),
        ({}, small_plan("sparse-unet", patch=(17, 16, 16)), r"\(18, 16, 16\) would do"),
        ({}, small_plan("swinunetr"), r"\(32, 32, 32\) would do"),
        ({}, small_plan("dynunet"), "three levels"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_cases_are_prepared(
    changes: dict[str, Any], plan: Plan, message: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        run(folder, tmp_path / "model", QUICK.model_copy(update=changes), plan)
    assert not list(tmp_path.iterdir())


def test_labels_that_no_case_has_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no label map holds a label of the plan \(tumour=7\)"):
        run(folder, tmp_path / "model", plan=small_plan(labels={"tumour": 7}))


def test_folds_hold_out_each_case_once() -> None:
    names = [f"c{number}" for number in range(17)]
    parts = split_folds(names, 5, seed=1)
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert {len(part) for part in parts} == {3, 4}
    assert parts == split_folds(list(reversed(names)), 5, seed=1)
    assert parts != split_folds(names, 5, seed=2)
    with pytest.raises(UserError, match="at least as many"):
        split_folds(names[:3], 5, seed=0)


@pytest.fixture(scope="module")
def segmenter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "balls"
    run(folder, out)
    return out


def test_a_training_starts_from_another_segmenter(segmenter: Path, folder: Path, tmp_path: Path) -> None:
    start = read_start(str(segmenter))
    config = QUICK.model_copy(update={"learning_rate": 1e-12, "epochs": 1})
    run(folder, tmp_path / "model", config, start=start)
    before = member_tensors(load_model(segmenter, task=TASK), 0)
    after = member_tensors(load_model(tmp_path / "model", task=TASK), 0)
    for name in before:
        if name.endswith("kernel"):
            assert torch.allclose(before[name], after[name], atol=1e-4), name
    training = json.loads((tmp_path / "model" / "config.json").read_text())["training"]
    assert training["from"]["kind"] == "segmenter"


def test_other_labels_take_all_but_the_heads(segmenter: Path, folder: Path, tmp_path: Path) -> None:
    start = read_start(str(segmenter))
    plan = small_plan(labels={"dark": 1})
    network = network_of(plan, load_engine("native"))
    fresh = begin_from(network, plan, start)
    assert fresh and all(name.startswith("decoder.heads.") for name in fresh)
    own = network.shared_weights()
    assert torch.equal(own["encoder.stem.conv.kernel"], start.weights["encoder.stem.conv.kernel"])


def test_an_encoder_alone_starts_a_dense_and_a_sparse_network(segmenter: Path, tmp_path: Path) -> None:
    whole = load_model(segmenter, task=TASK)
    encoder = {name: value for name, value in member_tensors(whole, 0).items() if name.startswith("encoder.")}
    config = {"task": TASK, "kind": ENCODER_MODEL, "plan": small_plan().model_dump(mode="json")}
    save_model(tmp_path / "encoder", tensors=encoder, config=config, metrics={}, card="an encoder")
    start = read_start(str(tmp_path / "encoder"))
    for name in ("dense-unet", "sparse-unet"):
        network = network_of(small_plan(name), load_engine("native"))
        fresh = begin_from(network, small_plan(name), start)
        assert all(one.startswith("decoder.") for one in fresh)
        assert torch.equal(
            network.shared_weights()["encoder.stem.conv.kernel"], encoder["encoder.stem.conv.kernel"]
        )
    with pytest.raises(ModelError, match="pretrained encoder"):
        load_trained(tmp_path / "encoder")


def test_an_encoder_of_other_sizes_is_refused_or_followed(segmenter: Path) -> None:
    start = read_start(str(segmenter))
    wide = small_plan().network.model_copy(update={"channels": (8, 24)})
    plan = small_plan(network=wide)
    with pytest.raises(UserError, match="does not fit"):
        begin_from(network_of(plan, load_engine("native")), plan, start)
    assert same_sizes(wide, start).channels == (8, 16)


def test_a_peer_of_monai_starts_from_nothing_else(segmenter: Path) -> None:
    deep = NetworkPlan(name="dynunet", channels=(4, 8, 8), blocks=(1, 1, 1), strides=((2, 2, 2),) * 2)
    plan = small_plan(network=deep)
    with pytest.raises(UserError, match="only dense-unet and sparse-unet"):
        begin_from(network_of(plan, load_engine("native")), plan, read_start(str(segmenter)))


def test_nothing_starts_from_a_peer_of_monai(segmenter: Path) -> None:
    start = read_start(str(segmenter))
    network = start.plan.network.model_copy(update={"name": "dynunet"})
    other = replace(start, plan=start.plan.model_copy(update={"network": network}))
    with pytest.raises(UserError, match="is a dynunet, from which nothing can start"):
        begin_from(network_of(small_plan(), load_engine("native")), small_plan(), other)


def test_a_peer_of_monai_trains_too(folder: Path, tmp_path: Path) -> None:
    config = QUICK.model_copy(update={"epochs": 1})
    deep = NetworkPlan(
        name="dynunet", channels=(4, 8, 8), blocks=(1, 1, 1), strides=((2, 2, 2),) * 2, heads=2
    )
    metrics = run(folder, tmp_path / "model", config, small_plan(network=deep))
    assert set(metrics["dice"]) == {"dark", "bright"}
    assert len(load_trained(tmp_path / "model").members) == 1


def test_tensorboard_gets_the_log(folder: Path, tmp_path: Path) -> None:
    plan = small_plan()
    cases, _ = prepare_cases(read_dataset(folder).cases, plan, tmp_path / "cases", lambda text: None)
    config = QUICK.model_copy(update={"tensorboard": True, "epochs": 1})
    train_folds(cases, plan, config, tmp_path / "scratch", device=torch.device("cpu"))
    assert list((tmp_path / "scratch" / "fold0" / "tensorboard").glob("events*"))
