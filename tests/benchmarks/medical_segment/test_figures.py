"""The arithmetic of the figures."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from benchmarks.medical_segment.break_even import crossing, region
from benchmarks.medical_segment.stages import timed_layers
from benchmarks.medical_segment.volumes import dice, summarise
from sparse_backbones import engines
from sparse_backbones.unet import SparseUNet


def test_dice_of_known_overlaps() -> None:
    a, b = np.zeros((2, 10), bool)
    assert dice(a, b) == 1.0
    a[:4] = b[2:8] = True
    assert dice(a, b) == pytest.approx(2 * 2 / 10)
    assert dice(a, np.zeros(10, bool)) == 0.0


def test_sparse_and_dense_cross_between_the_shares_that_enclose_it() -> None:
    shares, seconds = [0.1, 0.5, 1.0], [1.0, 3.0, 8.0]
    assert crossing(shares, seconds, 2.0) == pytest.approx(0.3)
    assert crossing(shares, seconds, 0.5) == pytest.approx(0.05)  # below the least share: from 0 at 0
    assert crossing(shares, seconds, 8.0) == pytest.approx(1.0)
    assert crossing(shares, seconds, 9.0) == 1.0


@pytest.mark.parametrize("share", [0.05, 0.35, 1.0])
def test_a_region_is_connected_and_as_large_as_asked(share: float) -> None:
    axis = torch.arange(12) - 5.5
    distances = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    active = region(distances, share)
    assert int(active.sum()) == round(share * 12**3)
    assert label(active.numpy())[1] == 1


def test_means_are_over_volumes_and_ratios_over_measurements() -> None:
    def row(case: str, name: str, seconds: float, found: float, times: float) -> dict[str, object]:
        return {"case": case, "contestant": name, "seconds": seconds, "dice": found, "times_sparse": times}

    rows = [
        row("a", "sparse", 1.0, 0.8, 1.0),
        row("a", "dense", 4.0, 0.7, 4.0),
        row("a", "sparse", 3.0, 0.8, 1.0),  # of another group: the same mask, timed again
        row("b", "sparse", 2.0, 0.6, 1.0),
        row("b", "dense", 12.0, 0.9, 6.0),
    ]
    section = summarise(rows)
    sparse, dense = section.rows
    assert sparse["seconds"] == 2.0 and sparse["repeats"] == 3 and sparse["volumes"] == 2
    assert sparse["dice"] == pytest.approx(0.7) and dense["dice"] == pytest.approx(0.8)
    assert section.summary["sparse_over_dense"] == 5.0
    assert section.summary["dice_points_sparse_minus_dense"] == pytest.approx(-10.0)


def test_layers_are_timed_by_kind_and_convolutions_by_level() -> None:
    engine = engines.load("native")
    network = SparseUNet(engine, 1, 2, channels=(2, 4), blocks=(1, 1), strides=(2,)).eval()
    places = torch.cartesian_prod(torch.zeros(1), *[torch.arange(2.0)] * 3).int()
    x = engine.SparseTensor(torch.rand(8, 1), places)
    ticks = iter(range(10_000))
    found: dict[str, float] = defaultdict(float)
    with timed_layers(network, found, lambda: float(next(ticks))):
        network(x)
    levels = {"Convolution, stride 1", "Convolution, stride 2", "ConvolutionTranspose, stride 1"}
    assert set(found) == levels | {"BatchNorm", "ReLU"}
    norms = sum(type(module).__name__ == "MinkowskiBatchNorm" for module in network.modules())
    assert found["BatchNorm"] == norms  # a tick each: nothing else asks the clock in between
    network(x)
    assert found["BatchNorm"] == norms  # the hooks are gone
