"""From frames with maps of depth to a model folder, and what it says of a frame."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.common.models import ModelError
from pipelines.polyp.depth.estimate import RELIEF, load_estimator
from pipelines.polyp.depth.fit import loss_of
from pipelines.polyp.depth.frames import Batch, batch_of, depth_frames, turned
from pipelines.polyp.depth.network import averaged_log_depths, inputs_of
from pipelines.polyp.depth.run import train_depth
from pipelines.polyp.train.store import store_polyps
from tests.pipelines.polyp.depth.builders import CAMERA, save_estimator, small, wall, write_walls

DISTANCES = [8.0, 10, 12, 15, 18, 22, 27, 33, 40, 48]


def test_a_scale_that_is_wrong_costs_the_same_near_and_far() -> None:
    depth = torch.tensor([[[5.0, 50.0], [0.0, 20.0]]])
    batch = Batch(torch.empty(0), torch.empty(0), depth, torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    logs = torch.where(depth > 0, (2 * depth).log(), torch.full_like(depth, 7.0))
    assert float(loss_of(logs, batch, 0.0)) == pytest.approx(math.log(2))
    assert float(loss_of(logs, batch, 3.0)) == pytest.approx(4 * math.log(2))
    nothing = Batch(batch.pixels, batch.rays, torch.zeros_like(depth), batch.lesion)
    assert float(loss_of(logs, nothing, 1.0)) == 0


@pytest.mark.slow
def test_distances_are_learnt_from_brightness(tmp_path: Path) -> None:
    polyps = write_walls(tmp_path / "data", DISTANCES)
    config = small(epochs=4, steps_per_epoch=40, colour=0.0, learning_rate=5e-3)
    metrics = train_depth(polyps, tmp_path / "model", config, name="walls")
    scores = metrics["scores"]
    assert scores["lesion"] < 0.5 * scores["lesion_unknowing"]
    assert scores["frame"] < 0.5 * scores["frame_unknowing"]
    estimator = load_estimator(tmp_path / "model", device="cpu")
    for mm in (11.0, 30.0):
        pixels, depth = wall(mm)
        found = estimator.estimate(pixels, CAMERA)
        assert abs(np.log(found / depth)).mean() < 0.25


def test_a_model_folder_says_what_it_is_and_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    polyps = write_walls(tmp_path / "data", DISTANCES[:4])
    metrics = train_depth(polyps, tmp_path / "model", small(data_terms="free"), name="walls", command="here")
    assert metrics["scores"]["polyps"] == 1
    assert metrics["frames"] == 6
    card = (tmp_path / "model" / "README.md").read_text()
    for words in ("6 frames of 3 polyps of walls", "free", "Not a medical device"):
        assert words in card
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["task"] == "polyp-depth"
    assert config["training"]["data"] == "walls"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model"]
    with pytest.raises(ModelError, match="exists"):
        train_depth(polyps, tmp_path / "model", small(), name="walls")
    again = train_depth(polyps, tmp_path / "again", small(data_terms="free"), name="walls")
    assert again["scores"] == metrics["scores"], "the same seed gives the same model"


def test_what_is_said_of_a_frame(tmp_path: Path) -> None:
    train_depth(write_walls(tmp_path / "data", DISTANCES[:4]), tmp_path / "model", small(), name="walls")
    estimator = load_estimator(str(tmp_path / "model"), device="cpu")
    pixels, _ = wall(15.0)
    pixels[:, :20] = 0
    mask = np.zeros((64, 80), np.bool_)
    mask[20:50, 30:70] = True
    found = estimator.estimate(pixels, CAMERA, mask)
    assert found.shape == (64, 80)
    assert found.dtype == np.float32
    assert np.isnan(found[:, :20]).all(), "there is no picture"
    assert (found[:, 20:] > 0).all()
    middle = np.median(estimator.estimate(pixels, CAMERA)[mask])
    assert found[mask].min() >= middle * (1 - RELIEF) - 1e-4
    assert found[mask].max() <= middle * (1 + RELIEF) + 1e-4


def test_a_frame_on_its_side_has_the_same_depths(tmp_path: Path) -> None:
    """It holds for any weights, as all quarter turns are averaged."""
    network = load_estimator(save_estimator(tmp_path / "model"), device="cpu").network
    polyps = write_walls(tmp_path / "data", DISTANCES[:1])
    stored, _ = store_polyps(polyps, 512, 1, tmp_path / "frames", lambda text: None, depth=True)
    frame = depth_frames(stored, 32)[0]
    batch = batch_of([frame, turned(frame), turned(turned(frame))])
    with torch.inference_mode():
        logs = averaged_log_depths(network, batch.pixels, batch.rays)
        one = network.log_depths(inputs_of(batch.pixels, batch.rays))
    for number in (1, 2):
        assert torch.allclose(logs[number], logs[0].rot90(number), atol=1e-4)
        assert not torch.allclose(one[number], one[0].rot90(number), atol=1e-3), "or it shows nothing"


def test_no_maps_of_depth_is_a_clear_error(tmp_path: Path) -> None:
    polyps = write_walls(tmp_path / "data", DISTANCES[:4], deep=False)
    with pytest.raises(UserError, match="map of depth"):
        train_depth(polyps, tmp_path / "model", small(), name="walls")
    assert not (tmp_path / "model").exists()


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    train_depth(write_walls(tmp_path / "data", DISTANCES[:4]), tmp_path / "model", small(), name="walls")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"network": {**config["network"], "widths": [8, 24]}}))
    with pytest.raises(ModelError, match="damaged"):
        load_estimator(tmp_path / "model", device="cpu")
    path.write_text(json.dumps(config | {"task": "polyp"}))
    with pytest.raises(ModelError):
        load_estimator(tmp_path / "model", device="cpu")
