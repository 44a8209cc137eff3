"""The peer: its input, its training, and that a training broken off ends as it would have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.wafer.dense_cnn import (
    Recipe,
    as_input,
    learning_rate,
    network,
    probabilities,
    train,
    trained,
    turned,
)
from benchmarks.wafer.wm811k import DieMaps, load, save

TINY = Recipe(epochs=3, batch=8, dropout=0.2, seed=3)


def bright_or_dark(n: int) -> tuple[np.ndarray, np.ndarray]:
    targets = np.arange(n) % 2
    images = np.full((n, 64, 64, 2), 255, dtype=np.uint8)
    images[..., 0] = np.random.default_rng(0).integers(0, 40, (n, 64, 64)) + 200 * targets[:, None, None]
    return images, targets.astype(np.int64)


def test_its_size_is_that_of_the_usual_small_cnn() -> None:
    model = network(9)
    assert sum(parameter.numel() for parameter in model.parameters()) == 209_321
    assert model(as_input(np.zeros((2, 64, 64, 2), np.uint8))).shape == (2, 9)


def test_input_is_scaled_and_keeps_its_axes() -> None:
    images = np.zeros((1, 64, 64, 2), dtype=np.uint8)
    images[0, 5, 7, 1] = 255
    tensor = as_input(images)
    assert tensor.shape == (1, 2, 64, 64)
    assert tensor[0, 1, 5, 7] == 1
    assert tensor.sum() == 1
    assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_every_image_is_turned_or_mirrored_whole() -> None:
    one = np.random.default_rng(0).integers(0, 255, (6, 6, 2)).astype(np.uint8)
    eight = [np.rot90(m, k) for m in (one, one[:, ::-1]) for k in range(4)]
    found = set()
    for image in turned(np.stack([one] * 200), np.random.default_rng(0)):
        matches = [number for number, other in enumerate(eight) if np.array_equal(image, other)]
        assert len(matches) == 1
        found.add(matches[0])
    assert found == set(range(8))


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [learning_rate(Recipe(), step, 100) for step in range(100)]
    peak = int(np.argmax(rates))
    assert 8 <= peak <= 10
    assert rates[peak] == pytest.approx(Recipe().learning_rate)
    assert rates[0] < 0.2 * rates[peak]
    assert 0 <= rates[-1] < 0.01 * rates[peak]


def test_a_training_broken_off_ends_as_it_would_have(tmp_path: Path) -> None:
    images, targets = bright_or_dark(24)

    class BrokenOff(Exception):
        pass

    def after(model: torch.nn.Module) -> str:
        raise BrokenOff

    whole, _ = train(images, targets, 2, TINY, tmp_path / "whole.safetensors", say=lambda text: None)
    halves = tmp_path / "halves.safetensors"
    with pytest.raises(BrokenOff):
        train(images, targets, 2, TINY, halves, say=lambda text: None, after_epoch=after)
    lines: list[str] = []
    again, seconds = train(images, targets, 2, TINY, halves, say=lines.append)
    assert len(lines) == 2
    assert len(seconds) == 3
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_it_learns_and_is_trained_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["Near-full", "None"])[np.arange(48) % 2]
    grids = [
        np.where(rng.random((10, 12)) < (0.9 if label == "Near-full" else 0.1), 2, 1).astype(np.uint8)
        for label in labels
    ]
    for name in ("train.npz", "val.npz"):
        save(tmp_path / name, DieMaps(grids, labels))
    recipe = Recipe(epochs=12, batch=8)
    said: list[str] = []
    peer = trained(tmp_path, recipe, tmp_path, say=said.append)
    assert peer.labels == ["Near-full", "None"]
    assert len(peer.seconds_per_epoch) == 12
    assert "accuracy 1.0000, macro-F1 1.0000" in said[-1]
    said.clear()
    again = trained(tmp_path, recipe, tmp_path, say=said.append)
    assert said == []
    assert again.seconds_per_epoch == peer.seconds_per_epoch
    images = np.random.default_rng(1).integers(0, 255, (5, 64, 64, 2)).astype(np.uint8)
    np.testing.assert_array_equal(probabilities(again.model, images), probabilities(peer.model, images))


def test_the_layout_of_the_data_survives_writing_and_reading(tmp_path: Path) -> None:
    grids = [np.arange(6, dtype=np.uint8).reshape(2, 3) % 3, np.ones((1, 4), np.uint8)]
    save(tmp_path / "maps.npz", DieMaps(grids, np.array(["a", "b"])))
    found = load(tmp_path / "maps.npz")
    assert found.labels.tolist() == ["a", "b"]
    for before, after in zip(grids, found.grids, strict=True):
        np.testing.assert_array_equal(before, after)
