"""A training from frames to a model folder: what it writes, that it goes on, that it learns."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError
from pipelines.common.training import loop
from pipelines.polyp.data import Frame, FrameRef, Polyp, read_frame
from pipelines.polyp.lesion.measure import overlap, union
from pipelines.polyp.lesion.predict import load_finder
from pipelines.polyp.lesion.run import prepare, train_lesion
from pipelines.polyp.lesion.trained import load_trained
from tests.pipelines.polyp.lesion.builders import PRETRAINING, small, write_discs

Polyps = tuple[Polyp, ...]


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Polyps:
    return write_discs(tmp_path_factory.mktemp("discs"), 14, empty=4)


def test_a_model_folder_holds_weights_tuning_scores_and_card(discs: Polyps, tmp_path: Path) -> None:
    config = small(data_terms="made for this test", pretraining=PRETRAINING)
    more = {"more": write_discs(tmp_path / "more", 4, empty=0, first=50)}
    metrics = train_lesion({"discs": discs}, tmp_path / "model", config, unlabelled=more, command="this")
    assert metrics["frames"] + metrics["tuned_on"] + metrics["held_out"] == len(discs)
    assert metrics["pretraining"]["frames"] == metrics["frames"] + metrics["tuned_on"] + 4
    stored = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert stored["scores"]["discs"]["frames"] == metrics["held_out"]
    assert "made for this test" in (tmp_path / "model" / "README.md").read_text()
    model = load_trained(tmp_path / "model")
    assert model.tuning.model_dump(mode="json") == metrics["tuning"]
    with (tmp_path / "model" / "held_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    training = model.config["training"]
    held_out = {row["frame"] for row in rows}
    assert held_out == set(training["held_out_frames"])
    assert not held_out & {*training["frames"], *training["tuned_on_frames"]}
    with_lesion = [float(row["dice"]) for row in rows if row["empty"] == "0"]
    assert np.mean(with_lesion) == pytest.approx(stored["scores"]["discs"]["dice"], abs=1e-3)
    assert not list(tmp_path.glob(".model*")), "nothing is left beside the model"


def test_what_was_measured_is_what_the_folder_finds(discs: Polyps, tmp_path: Path) -> None:
    train_lesion({"discs": discs}, tmp_path / "model", small(epochs=6, steps_per_epoch=6))
    finder = load_finder(tmp_path / "model", device="cpu")
    frames = {f"discs/{one.id}/{one.id}": one.frames.find().frames[0] for one in discs}
    with (tmp_path / "model" / "held_out.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            frame = read_frame(frames[row["frame"]])
            assert frame.mask is not None
            found = union((one.mask for one in finder.find(frame.pixels)), frame.mask.shape)
            assert overlap(found, frame.mask)[0] == pytest.approx(float(row["dice"]), abs=0.02)


@pytest.mark.parametrize("stopped_at", ["encoder: epoch 1/2", "finder: epoch 1/3"])
def test_a_training_that_goes_on_ends_with_the_same_weights(
    discs: Polyps, tmp_path: Path, stopped_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(epochs=3, pretraining=PRETRAINING)
    train_lesion({"discs": discs}, tmp_path / "whole", config)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)

    class Stopped(Exception):
        pass

    def stop(text: str) -> None:
        if text.startswith(stopped_at):
            raise Stopped

    with pytest.raises(Stopped):
        train_lesion({"discs": discs}, tmp_path / "parts", config, progress=stop)
    heard: list[str] = []
    config = config.model_copy(update={"max_pixels": 10**6})  # which changes nothing in the weights
    train_lesion({"discs": discs}, tmp_path / "parts", config, resume=True, progress=heard.append)
    assert any(text.startswith("going on after epoch") for text in heard)
    one, other = (load_trained(tmp_path / part).network.state_dict() for part in ("whole", "parts"))
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


def test_a_checkpoint_of_other_settings_is_refused(discs: Polyps, tmp_path: Path) -> None:
    def stop(text: str) -> None:
        if text.startswith("tuning"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_lesion({"discs": discs}, tmp_path / "m", small(), progress=stop)
    with pytest.raises(UserError, match="another training"):
        train_lesion({"discs": discs}, tmp_path / "m", small(learning_rate=1e-4), resume=True)


def test_frames_are_read_up_to_the_limit(
    discs: Polyps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"120 x 96 pixels.*raise the limit with --set max_pixels=N"):
        train_lesion({"discs": discs}, tmp_path / "m", small(max_pixels=120 * 96 - 1))
    given: set[int] = set()

    def noted(ref: FrameRef, *, max_pixels: int) -> Frame:
        given.add(max_pixels)
        return read_frame(ref, max_pixels=max_pixels)

    for module in ("frames", "tune", "evaluate"):
        monkeypatch.setattr(f"pipelines.polyp.lesion.{module}.read_frame", noted)
    train_lesion({"discs": discs}, tmp_path / "m", small(max_pixels=120 * 96))
    assert given == {120 * 96}


@pytest.mark.slow
def test_a_training_learns_to_find_discs(tmp_path: Path) -> None:
    polyps = {"discs": write_discs(tmp_path / "discs", 30, empty=6)}
    config = small(epochs=8, steps_per_epoch=20, learning_rate=5e-3, ema_decay=0.9)
    scores = train_lesion(polyps, tmp_path / "m", config)["scores"]["discs"]
    assert scores["dice"] > 0.85
    assert scores["missed"] == 0 and scores["false"] <= 1


def test_pretraining_starts_the_encoder_and_hides_what_it_is_told(discs: Polyps, tmp_path: Path) -> None:
    """With a finder that learns nothing, the encoder's weights are those of the pretraining."""
    still = small(pretraining=PRETRAINING, learning_rate=1e-12, warm_up=0.0)
    scratch = still.model_copy(update={"pretraining": None})
    for name, config in (("pretrained", still), ("scratch", scratch)):
        train_lesion({"discs": discs}, tmp_path / name, config)
    one, other = (load_trained(tmp_path / name).network.core for name in ("pretrained", "scratch"))
    assert not torch.allclose(one.encoder.stem.conv.weight, other.encoder.stem.conv.weight, atol=1e-4)
    assert torch.allclose(one.decoder.heads[0].weight, other.decoder.heads[0].weight, atol=1e-3)


def test_unlabelled_frames_that_are_held_out_too_are_left_out(discs: Polyps, tmp_path: Path) -> None:
    config = small(pretraining=PRETRAINING)
    parts = prepare({"discs": discs}, config, tmp_path / "f", lambda text: None, unlabelled={"same": discs})
    assert len(parts.unlabelled) == len(discs) - len(parts.held_out)
    assert all("nearly the same" in one.reason for one in parts.left_out)
    parts = prepare({"discs": discs}, small(held_out=0), tmp_path / "f", lambda text: None)
    assert not parts.held_out and parts.training and parts.tuning


def test_what_is_wrong_is_said_before_the_training(discs: Polyps, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="exists"):
        train_lesion({"discs": discs}, tmp_path / "m", small())
    with pytest.raises(UserError, match="two are needed"):
        train_lesion({"discs": discs[:1]}, tmp_path / "n", small())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"network": {"side": 60}}, "multiple of 8"),
        ({"network": {"widths": (8,)}}, "as many"),
        ({"network": {"heads": 3}}, "2 heads at most"),
        ({"pretraining": {"mask": (0.7, 0.6)}}, "from low to high"),
        ({"rate": 1}, "rate"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(**settings)
