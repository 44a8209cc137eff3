"""The parts of a refit: what is held out, how much maps weigh, what the last layer keeps, the settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pipelines.common.errors import UserError
from pipelines.common.models import ModelFolder
from pipelines.wafer.data import WaferMap
from pipelines.wafer.refit.head import tune
from pipelines.wafer.refit.lesson import Part, held_by_hash
from pipelines.wafer.refit.settings import refit_config
from pipelines.wafer.refit.whole import REVIEW_WEIGHT, weights
from pipelines.wafer.train_config import TrainConfig
from tests.pipelines.wafer import tiny

MAP: WaferMap = tiny.defect_map([[0.0, 0.0]])


def test_what_is_held_out_stays_so_when_more_is_reviewed() -> None:
    rng = np.random.default_rng(0)
    items = [rng.bytes(12).hex() for _ in range(200)]
    classes = np.zeros(200, np.int64)
    few, many = held_by_hash(items[:50], classes[:50]), held_by_hash(items, classes)
    assert (few == many[:50]).all()
    assert 20 < many.sum() < 60
    alone = held_by_hash(["00000000ff"], classes[:1])
    assert not alone.any()  # one map of a class must train


def test_reviewed_maps_weigh_more_but_no_class_of_them_more_than_a_class_has() -> None:
    classes = np.array([0] * 60 + [1] * 20 + [2] * 5 + [3] * 30)
    reviewed = np.arange(len(classes)) >= 80
    weight = weights(Part([MAP] * len(classes), classes, reviewed))
    assert (weight[:80] == 1).all()
    assert (weight[80:85] == REVIEW_WEIGHT).all()  # 5 maps stand for 20
    assert weight[85:].sum() == pytest.approx(40)  # 30 maps for as many as a class has on average
    many = weights(Part([MAP] * 100, np.array([0] * 20 + [1] * 80), np.arange(100) >= 20))
    assert (many == 1).all()


def test_the_last_layer_learns_a_class_and_keeps_what_it_said() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    with torch.no_grad():  # classes 0 to 2 lie along an axis each; 3 is new, along the last
        layer.weight.copy_(torch.eye(4) * 3)
        layer.weight[3] = 0
        layer.bias.zero_()
    remembered = torch.eye(4)[torch.arange(300) % 3] * 3 + torch.randn(300, 4) * 0.3
    kept = functional.pad(layer(remembered)[:, :3].detach().softmax(1), (0, 1))
    latent = torch.eye(4)[[3] * 40] * 3 + torch.randn(40, 4) * 0.3
    tune(layer, latent, torch.full((40,), 3), remembered, kept, torch.zeros(4))
    assert (layer(latent).argmax(1) == 3).all()
    assert (layer(remembered).argmax(1) == kept.argmax(1)).float().mean() > 0.98


def test_settings_are_those_of_the_first_training_but_shorter() -> None:
    training = TrainConfig(seed=7, learning_rate=0.004, epochs=20, threads=2).model_dump(mode="json")
    tried = [{"components": 16, "covariance": "tied"}, {"components": 8, "covariance": "full"}]
    stored = ModelFolder(Path("m"), "m", {"training": training}, {}, {"mixtures": tried}, "")
    config = refit_config(stored, TrainConfig(epochs=9))
    assert (config.seed, config.threads, config.epochs) == (7, 2, 9)
    assert config.learning_rate == pytest.approx(0.002)
    assert (config.components, config.covariances) == ((16,), ("tied",))
    with pytest.raises(UserError, match="architecture, cells cannot change"):
        refit_config(stored, TrainConfig(cells=16, architecture={"latent": 3}))
