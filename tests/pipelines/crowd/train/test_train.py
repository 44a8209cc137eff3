"""A training from a folder to a model folder: what it writes, that it goes on, that it learns."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.crowd.data import read_dataset
from pipelines.crowd.model.network import as_input
from pipelines.crowd.model.trained import load_trained
from pipelines.crowd.train import fit as fitting
from pipelines.crowd.train.config import TrainConfig
from pipelines.crowd.train.images import prepare_images
from pipelines.crowd.train.measure import MAX_THRESHOLD, count_images
from pipelines.crowd.train.run import train
from tests.pipelines.crowd.train.builders import scene, small, write_scenes


def run(data: Path, out: Path, config: TrainConfig, **options: Any) -> dict[str, Any]:
    return train({"scenes": read_dataset(data).cases}, out, config, **options)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "scenes", [0, 3, 5, 8, 13, 2, 7, 4, 6, 10])


def test_a_model_folder_holds_weights_calibration_scores_and_card(scenes: Path, tmp_path: Path) -> None:
    config = small(held_out=0.9, data_terms="made for this test")
    metrics = run(scenes, tmp_path / "model", config)
    assert metrics["images"] == 1
    assert metrics["scores"]["images"] == 9
    model = load_trained(tmp_path / "model")
    assert model.plan.model_copy(update={"threshold": config.network.threshold}) == config.network
    assert len(model.calibration["interval.scores"]) == 9
    stored = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert stored["scores"]["metrics"]["mae"]["value"] == metrics["scores"]["metrics"]["mae"]["value"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "made for this test" in card
    assert f"{metrics['scores']['metrics']['mae']['value']:.3g}" in card
    with (tmp_path / "model" / "held_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = [abs(float(row["count"]) - float(row["true"])) for row in rows]
    assert np.mean(errors) == pytest.approx(metrics["scores"]["metrics"]["mae"]["value"], rel=1e-4)
    assert not list(tmp_path.glob(".model*")), "nothing is left beside the model"


@pytest.mark.parametrize("name", ["sparse-counter", "dense-counter", "mcnn"])
def test_a_training_that_goes_on_ends_with_the_same_weights(
    scenes: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(network={"name": name}, epochs=3, validate_every=0)
    run(scenes, tmp_path / "whole", config)
    monkeypatch.setattr(fitting, "SAVE_EVERY", 0.0)

    class Stopped(Exception):
        pass

    def stop(text: str) -> None:
        if text.startswith("epoch 2/3"):
            raise Stopped

    with pytest.raises(Stopped):
        run(scenes, tmp_path / "parts", config, progress=stop)
    heard: list[str] = []
    config = config.model_copy(update={"max_pixels": 10**6})  # which changes nothing in the weights
    run(scenes, tmp_path / "parts", config, resume=True, progress=heard.append)
    assert "going on after epoch 2" in heard
    one, other = (load_trained(tmp_path / part).network.state_dict() for part in ("whole", "parts"))
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


def test_a_checkpoint_of_other_settings_is_refused(scenes: Path, tmp_path: Path) -> None:
    def stop(text: str) -> None:
        if text.startswith("measuring"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenes, tmp_path / "model", small(), progress=stop)
    with pytest.raises(UserError, match="another training"):
        run(scenes, tmp_path / "model", small(learning_rate=0.5), resume=True)


def test_corrected_labels_are_another_training(scenes: Path, tmp_path: Path) -> None:
    def stop(text: str) -> None:
        if text.startswith("measuring"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenes, tmp_path / "model", small(), progress=stop)
    with (scenes / "heads.csv").open("a") as file:
        file.write("scene1.png,20,20\n")
    with pytest.raises(UserError, match="another training"):
        run(scenes, tmp_path / "model", small(), resume=True)


def test_an_image_that_cannot_be_read_is_left_out_with_its_reason(scenes: Path, tmp_path: Path) -> None:
    (scenes / "scene3.png").write_bytes(b"no image")
    metrics = run(scenes, tmp_path / "model", small())
    assert [one["image"] for one in metrics["left_out"]] == ["scene3"]
    assert "scene3.png" in metrics["left_out"][0]["reason"]
    assert metrics["images"] + metrics["scores"]["images"] == 9


def test_with_nothing_held_out_nothing_is_measured_or_calibrated(scenes: Path, tmp_path: Path) -> None:
    metrics = run(scenes, tmp_path / "model", small(held_out=0))
    assert metrics["scores"] == {}
    assert load_trained(tmp_path / "model").calibration == {}
    assert "nothing was measured" in (tmp_path / "model" / "README.md").read_text()


def test_a_loss_that_is_no_number_is_told(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learning_rate"):
        run(scenes, tmp_path / "model", small(network={"name": "mcnn"}, learning_rate=1e12, epochs=9))


@pytest.mark.parametrize("name", ["sparse-counter", "dense-counter"])
def test_a_training_learns_to_count(tmp_path: Path, name: str) -> None:
    """Discs on a dark ground: after a few hundred steps new scenes are counted to within a few discs."""
    counts = np.random.default_rng(0).integers(0, 25, 30).tolist()
    data = write_scenes(tmp_path / "scenes", counts)
    config = small(network={"name": name}, epochs=12, steps_per_epoch=30, batch_size=4, learning_rate=0.008)
    metrics = run(data, tmp_path / "model", config)
    spread = float(np.mean(np.abs(np.array(counts) - np.median(counts))))
    assert metrics["scores"]["metrics"]["mae"]["value"] < 0.6 * spread
    network = load_trained(tmp_path / "model").network
    errors = []
    for seed, true in enumerate(range(0, 25, 4), start=990):
        pixels, _ = scene(true, height=100, width=150, seed=seed)  # sides that no stride divides
        with torch.inference_mode():
            errors.append(abs(float(network.count(as_input(pixels[None])).counts.sum()) - true))
    assert np.mean(errors) < 0.6 * spread


def test_the_gate_reaches_the_share_of_heads_that_was_asked_for(scenes: Path, tmp_path: Path) -> None:
    plans = {}
    for recall in (0, 0.5, 0.9):
        config = small(held_out=0, gate_recall=recall, epochs=8)
        run(scenes, tmp_path / f"model-{recall}", config)
        plans[recall] = load_trained(tmp_path / f"model-{recall}")
    assert plans[0].plan.threshold == small().network.threshold
    assert 0 < plans[0.9].plan.threshold < plans[0.5].plan.threshold <= MAX_THRESHOLD
    cases = read_dataset(scenes).cases
    images, _ = prepare_images(cases, 0, tmp_path / "images", lambda text: None)
    network = plans[0.9].network
    counted = list(count_images(network, images, device=torch.device("cpu"), precision="float32"))
    reached = sum((one.recall or 0) * len(one.image.points) for one in counted)
    assert reached / sum(len(one.points) for one in images) >= 0.9 - 1e-3


def test_a_gate_without_a_head_to_reach_keeps_its_threshold(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "scenes", [0, 0])
    run(data, tmp_path / "model", small(held_out=0))
    assert load_trained(tmp_path / "model").plan.threshold == small().network.threshold
