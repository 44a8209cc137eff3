"""Networks that outgrow the weights they are for."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import nn

from pipelines.common.building import SLACK_LAYERS, SLACK_NUMBERS, sized_as
from pipelines.common.models import ModelError, ModelFolder

STORED = ModelFolder(Path("some"), "some", {}, {"weight": torch.zeros(2, 2)}, {}, "")


def test_a_network_of_its_size_is_built() -> None:
    with sized_as(STORED):
        nn.Sequential(nn.Linear(2, 2), nn.ReLU())


def test_endless_layers_are_refused() -> None:
    with pytest.raises(ModelError, match=r"the model some is damaged: .* far larger"), sized_as(STORED):
        layers = nn.ModuleList()
        for _ in count():
            layers.append(nn.ReLU())


def test_endless_numbers_are_refused_before_they_get_values() -> None:
    with pytest.raises(ModelError, match="far larger"), sized_as(STORED):
        nn.Linear(2**15, 2**15)


def test_others_may_build_meanwhile_and_after() -> None:
    many = SLACK_LAYERS * 2
    with sized_as(STORED):
        other = Thread(target=lambda: nn.ModuleList(nn.ReLU() for _ in range(many)))
        other.start()
        other.join()
    assert len(nn.ModuleList(nn.ReLU() for _ in range(many))) == many
    assert nn.Linear(SLACK_NUMBERS, 20).weight.numel() == SLACK_NUMBERS * 20
