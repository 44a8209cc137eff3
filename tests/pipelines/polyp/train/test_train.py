"""A training from polyps to a model folder: what it writes, that it goes on, that it learns."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.polyp.aggregate import SCORES
from pipelines.polyp.data import Listed, Polyp
from pipelines.polyp.data.thinning import spread
from pipelines.polyp.depth.estimate import load_estimator
from pipelines.polyp.model.trained import load_trained
from pipelines.polyp.train import fit as fitting
from pipelines.polyp.train.batches import changed, flipped, seen, turned
from pipelines.polyp.train.run import train
from pipelines.polyp.train.store import store_polyps
from tests.pipelines.polyp.depth.builders import save_estimator, write_walls
from tests.pipelines.polyp.train.builders import CAMERA, small, write_polyps

SIZES = [2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 11.0, 12.0, 14.0, 3.5, 6.5, 12.5]


def run(polyps: list[Polyp], out: Path, config: Any, **options: Any) -> dict[str, Any]:
    return train(polyps, out, config, name="discs", **options)


@pytest.fixture(scope="module")
def polyps(tmp_path_factory: pytest.TempPathFactory) -> list[Polyp]:
    return write_polyps(tmp_path_factory.mktemp("discs"), SIZES)


def test_a_model_folder_holds_weights_calibration_scores_and_card(
    polyps: list[Polyp], tmp_path: Path
) -> None:
    metrics = run(polyps, tmp_path / "model", small(held_out=0.5, data_terms="made for this test"))
    assert metrics["polyps"] + metrics["held_out"] == len(SIZES)
    model = load_trained(tmp_path / "model")
    assert model.plan.backbone == "sparse-resnet"
    assert len(model.calibration["interval.scores"]) == metrics["held_out"]
    stored = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert stored["scores"]["polyp"]["metrics"].keys() >= {"mae", "bias", "macro_f1", "kappa"}
    assert stored["scores"]["polyp"]["baseline"]
    assert "made for this test" in (tmp_path / "model" / "README.md").read_text()
    with (tmp_path / "model" / "held_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = [abs(float(row["mm"]) - float(row["true_mm"])) for row in rows if row["mm"]]
    assert np.mean(errors) == pytest.approx(stored["scores"]["polyp"]["metrics"]["mae"]["value"], rel=1e-2)
    trained_on = set(model.config["training"]["polyps"])
    assert not trained_on & {row["polyp"] for row in rows}
    assert not list(tmp_path.glob(".model*")), "nothing is left beside the model"


def test_a_model_that_forgets_cameras_is_measured_and_calibrated_without_them_too(
    polyps: list[Polyp], tmp_path: Path
) -> None:
    metrics = run(polyps, tmp_path / "model", small(held_out=0.5, forget_camera=0.5))
    calibration = load_trained(tmp_path / "model").calibration
    assert set(calibration) == {SCORES["camera"], SCORES["nothing"]}
    assert calibration[SCORES["camera"]].shape == calibration[SCORES["nothing"]].shape
    assert not calibration[SCORES["camera"]].equal(calibration[SCORES["nothing"]])
    bare = metrics["scores_without_camera"]["polyp"]["metrics"]["mae"]["value"]
    assert bare != metrics["scores"]["polyp"]["metrics"]["mae"]["value"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| score | with a calibration | without a calibration |" in card
    assert f"| {bare:.3g} |" in card


@pytest.mark.parametrize("routed", [True, False])
def test_a_training_that_goes_on_ends_with_the_same_weights(
    polyps: list[Polyp], tmp_path: Path, routed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(epochs=3, routed=routed)
    run(polyps, tmp_path / "whole", config)
    monkeypatch.setattr(fitting, "SAVE_EVERY", 0.0)

    class Stopped(Exception):
        pass

    def stop(text: str) -> None:
        if text.startswith("epoch 2/3"):
            raise Stopped

    with pytest.raises(Stopped):
        run(polyps, tmp_path / "parts", config, progress=stop)
    heard: list[str] = []
    config = config.model_copy(update={"max_pixels": 10**6})  # which changes nothing in the weights
    run(polyps, tmp_path / "parts", config, resume=True, progress=heard.append)
    assert "going on after epoch 2" in heard
    one, other = (load_trained(tmp_path / part).network.state_dict() for part in ("whole", "parts"))
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(polyps: list[Polyp], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    listed = polyps[0].frames.find().frames
    some = [
        *polyps[1:],
        replace(polyps[0], size_mm=None),
        replace(polyps[0], id="empty", patient="e", video="e", frames=Listed(())),
        replace(
            polyps[0],
            id="half",
            patient="h",
            video="h",
            frames=Listed((listed[0], replace(listed[1], name="broken", image=broken))),
        ),
    ]
    metrics = run(some, tmp_path / "model", small(held_out=0.3))
    reasons = {one["name"]: one["reason"] for one in metrics["left_out"]}
    assert "not known" in reasons["polyp0"]
    assert "none of its frames" in reasons["empty"]
    assert "broken.png" in reasons["half/broken"]
    with pytest.raises(UserError, match="no polyp of known size"):
        run([replace(one, size_mm=None) for one in polyps], tmp_path / "none", small(held_out=0))


@pytest.mark.slow
def test_a_training_learns_sizes_that_apparent_size_alone_does_not_give(tmp_path: Path) -> None:
    sizes = np.exp(np.random.default_rng(0).uniform(np.log(2), np.log(12), 40)).tolist()
    config = small(epochs=8, steps_per_epoch=30, batch_size=8, learning_rate=2e-3, held_out=0.25, colour=0.0)
    metrics = run(write_polyps(tmp_path / "discs", sizes), tmp_path / "model", config)
    scores = metrics["scores"]["polyp"]
    assert scores["metrics"]["mae"]["value"] < 0.6 * scores["baseline"]["mae"]


def test_flips_and_turns_move_box_mask_and_camera_together(polyps: list[Polyp], tmp_path: Path) -> None:
    (stored, *_), _ = store_polyps(polyps[3:4], 512, 4, tmp_path / "frames", lambda text: None)
    one = seen(stored.frames[0])
    assert one.mask is not None
    for change in (flipped, turned):
        other = change(one)
        assert other.mask is not None and other.camera is not None
        rows, columns = np.nonzero(other.mask)
        x0, y0, x1, y1 = other.box
        assert (x0, x1) == pytest.approx((columns.min(), columns.max() + 1), abs=1)
        assert (y0, y1) == pytest.approx((rows.min(), rows.max() + 1), abs=1)
        assert (other.camera.width, other.camera.height) == other.pixels.shape[1::-1]
        back = change(other) if change is flipped else turned(turned(turned(other)))
        assert (back.pixels == one.pixels).all()
        assert back.box == pytest.approx(one.box)
        assert back.camera == CAMERA


def test_a_box_is_moved_but_not_far(polyps: list[Polyp], tmp_path: Path) -> None:
    (stored, *_), _ = store_polyps(polyps[3:4], 512, 4, tmp_path / "frames", lambda text: None)
    frame = stored.frames[0]
    longer = max(frame.box[2] - frame.box[0], frame.box[3] - frame.box[1])
    rng = np.random.default_rng(0)
    config = small(jitter=0.05, flip=0.0)
    moves = np.array([np.subtract(changed(frame, config, rng).box, frame.box) for _ in range(200)]) / longer
    assert moves.std() == pytest.approx(0.05, rel=0.2)
    assert np.abs(moves).max() <= 0.25 + 1e-9


def test_a_camera_is_forgotten_as_often_as_is_asked_for(polyps: list[Polyp], tmp_path: Path) -> None:
    (stored, *_), _ = store_polyps(polyps[3:4], 512, 4, tmp_path / "frames", lambda text: None)
    for share in (0.0, 0.5):
        rng, config = np.random.default_rng(0), small(forget_camera=share)
        kept = [changed(stored.frames[0], config, rng).camera is not None for _ in range(200)]
        assert np.mean(kept) == pytest.approx(1 - share, abs=0.1)


def test_stored_frames_are_made_again_only_if_their_files_changed(tmp_path: Path) -> None:
    polyps = write_polyps(tmp_path / "discs", [5.0, 7.0])
    folder = tmp_path / "frames"
    store_polyps(polyps, 64, 4, folder, lambda text: None)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    write_polyps(tmp_path / "discs", [5.0])
    stored, _ = store_polyps(polyps, 64, 4, folder, lambda text: None)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    assert {name for name in after if after[name] != before[name]} == {
        n for n in after if n.startswith("00000")
    }
    assert stored[0].frames[0].pixels.shape == (51, 64, 3)
    camera = stored[0].frames[0].camera
    assert camera is not None
    assert camera.fx == pytest.approx(CAMERA.fx * 64 / 160)


def test_frames_above_the_limit_are_left_out_until_it_is_raised(tmp_path: Path) -> None:
    polyps, folder = write_polyps(tmp_path / "discs", [5.0, 7.0], frames=1), tmp_path / "frames"
    with pytest.raises(UserError, match=r"160 x 128 pixels.*raise the limit with --set max_pixels=N"):
        store_polyps(polyps, 64, 4, folder, lambda text: None, max_pixels=160 * 128 - 1)
    stored, left_out = store_polyps(polyps, 64, 4, folder, lambda text: None, max_pixels=160 * 128)
    assert len(stored) == 2 and not left_out
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    store_polyps(polyps, 64, 4, folder, lambda text: None)
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}


def test_a_network_learns_from_estimated_depths(polyps: list[Polyp], tmp_path: Path) -> None:
    estimator = save_estimator(tmp_path / "depths")
    config = small(network={"depth": True}, depth_model=str(estimator), held_out=0.5)
    run(polyps, tmp_path / "model", config)
    model = load_trained(tmp_path / "model")
    assert model.config["training"]["depth_model"] == str(estimator)
    stored, _ = store_polyps(
        polyps[:1],
        512,
        1,
        tmp_path / "frames",
        lambda text: None,
        depth=True,
        estimator=load_estimator(estimator, device="cpu"),
    )
    frame = stored[0].frames[0]
    assert frame.depth is None, "the frame has no map"
    assert frame.camera is not None
    wanted = load_estimator(estimator, device="cpu").estimate(
        np.asarray(frame.pixels), frame.camera, frame.mask
    )
    assert frame.estimated is not None
    assert np.array_equal(frame.estimated, wanted, equal_nan=True)
    blind = [replace(polyps[0], camera=None)]
    stored, _ = store_polyps(
        blind, 512, 1, tmp_path / "blind", lambda text: None, depth=True, estimator=load_estimator(estimator)
    )
    assert stored[0].frames[0].estimated is None, "without a camera nothing is estimated"


def test_a_network_that_learns_from_estimates_learns_from_maps_too(tmp_path: Path) -> None:
    estimator = save_estimator(tmp_path / "depths")
    walls = write_walls(tmp_path / "walls", [10.0, 12.0, 14.0, 16.0, 18.0, 20.0])
    config = small(network={"depth": True}, depth_model=str(estimator), held_out=0.5, forget_camera=0.3)
    metrics = run(walls, tmp_path / "model", config)
    assert set(load_trained(tmp_path / "model").calibration) == set(SCORES.values())
    errors = {
        name: metrics[name]["polyp"]["metrics"]["mae"]["value"]
        for name in ("scores", "scores_with_map", "scores_without_camera")
    }
    assert len(set(errors.values())) == 3, "what it was told makes a difference"
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| score | with a calibration | with maps of depth, too | without a calibration |" in card


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_so_many_frames_with_a_map_are_seen_with_it(tmp_path: Path, share: float) -> None:
    stored, _ = store_polyps(
        write_walls(tmp_path / "walls", [10.0]),
        *(512, 1, tmp_path / "frames", lambda text: None),
        depth=True,
        estimator=load_estimator(save_estimator(tmp_path / "depths"), device="cpu"),
    )
    frame = stored[0].frames[0]
    rng, config = np.random.default_rng(0), small(own_depth=share, flip=0.0)
    drawn = [changed(frame, config, rng) for _ in range(400)]
    assert np.mean([not one.estimated for one in drawn]) == pytest.approx(share, abs=0.06)
    for one in drawn[:40]:
        wanted = frame.estimated if one.estimated else frame.depth
        assert one.depth is not None and wanted is not None
        assert np.array_equal(one.depth, wanted, equal_nan=True)


def test_estimated_depths_need_a_network_that_sees_them() -> None:
    with pytest.raises(ValueError, match=r"network\.depth"):
        small(depth_model="depth")


def test_frames_are_spread_over_the_time(polyps: list[Polyp]) -> None:
    refs = list(polyps[0].frames.find().frames) * 10
    assert spread(refs, 100) == refs
    some = spread(refs, 4)
    assert len(some) == 4
    assert some[0] is refs[0] and some[-1] is refs[-1]
