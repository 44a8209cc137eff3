"""When 0 is counted whatever small chances add up to, and when not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from pipelines.crowd.count.empty import featureless
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.data import Pixels
from pipelines.crowd.model.sparse_counter import SparseCounter
from tests.pipelines.crowd.count.made_models import predictor, rough, small_plan
from tests.pipelines.crowd.scenes import scene


def dark(sigma: float = 3.0) -> Pixels:
    noise = np.random.default_rng(0).normal(6, sigma, (300, 400, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def sky() -> Pixels:
    """Bright, and slowly darker to one corner."""
    row, column = np.mgrid[:300, :400]
    return np.repeat((250 - 0.1 * row - 0.15 * column).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    "pixels", [dark(), sky(), np.full((7, 5, 3), 255, np.uint8)], ids=["dark", "sky", "7x5"]
)
def test_what_shows_nothing(pixels: Pixels) -> None:
    assert featureless(pixels)


def one_head(contrast: int) -> Pixels:
    pixels = sky()
    cv2.circle(pixels, (200, 150), 3, (200 - contrast,) * 3, -1)
    return pixels


@pytest.mark.parametrize(
    "pixels",
    [
        scene()[0],
        rough(64, 64),
        one_head(40),
        (scene()[0] // 8).astype(np.uint8),
        scene()[0][:, :, [0, 0, 0]],
    ],
    ids=["discs", "rough", "one head", "at night", "gray"],
)
def test_what_shows_something(pixels: Pixels) -> None:
    assert not featureless(pixels)


def doubtful(occupied: float) -> Predictor:
    """Its network gives people this chance in every block, whatever it sees."""
    by = predictor()
    network = by.model.network
    assert isinstance(network, SparseCounter)
    with torch.no_grad():
        network.coarse.weight.zero_()
        network.coarse.bias[0] = float(np.log((1 - occupied) / occupied))
    return by


def test_small_chances_everywhere_are_nobody() -> None:
    by = doubtful(0.04)
    found = by.predict(rough(200, 300))
    assert found.count == 0 and not found.counts.any()
    assert "in no block did the model see a chance of 5% or more" in found.note
    raw = by.raw(rough(200, 300))
    assert raw.count > 5 and f"{raw.count:.3g}" in found.note
    assert found.variance is not None and found.variance.sum() > 1  # it says how sure the 0 is


def test_chances_above_the_threshold_are_counted() -> None:
    found = doubtful(0.06).predict(rough(200, 300))
    assert found.note == "" and found.count > 0


def test_one_open_block_is_enough() -> None:
    by = predictor()
    found = by.predict(rough(200, 300))
    assert found.gate is not None and found.gate.any() and found.note == ""


def test_a_network_without_a_gate_has_the_check_of_the_pixels_alone() -> None:
    by = predictor(small_plan(name="dense-counter"))
    assert by.predict(dark()).count == 0
    assert by.predict(rough(100, 100)).note == ""
