"""Schedules, weight decay and moving averages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.common.training.optimise import move_average, one_cycle, weight_groups


@pytest.mark.parametrize("warm_up", [0.0, 0.15, 0.5])
def test_the_learning_rate_rises_and_falls(warm_up: float) -> None:
    places = np.linspace(0, 1, 201)
    rates = np.array([one_cycle(place, warm_up) for place in places])
    rising = np.diff(rates)[places[1:] < warm_up]
    falling = np.diff(rates)[places[:-1] >= warm_up]
    assert (rising > 0).all()
    assert (falling < 0).all()
    assert np.ptp(rising) < 1e-9 if len(rising) else warm_up == 0
    assert one_cycle(warm_up, warm_up) == 1
    assert one_cycle(1.0, warm_up) == pytest.approx(0, abs=1e-12)
    assert one_cycle((1 + warm_up) / 2, warm_up) == pytest.approx(0.5)
    assert one_cycle(0.0, warm_up) == (0.04 if warm_up else 1)


def test_weight_decay_acts_on_kernels_alone() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(3, 1))
    kernels, others = weight_groups(network, 0.3)
    assert kernels["weight_decay"] == 0.3
    assert others["weight_decay"] == 0.0
    assert [tuple(p.shape) for p in kernels["params"]] == [(3, 2, 3, 3), (1, 3)]
    assert [tuple(p.shape) for p in others["params"]] == [(3,), (3,), (3,), (1,)]


def test_a_moving_average_follows_and_forgets_the_first_steps() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.num_batches_tracked.fill_(7)
    move_average(average, network, 0.99, 0)
    assert average["weight"].tolist() == pytest.approx([1.9, 1.9])  # 0.1 of 1 and 0.9 of 2
    assert int(average["num_batches_tracked"]) == 7  # no number to average
    move_average(average, network, 0.99, 10**6)
    assert average["weight"].tolist() == pytest.approx([1.901, 1.901])
