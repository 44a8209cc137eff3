"""Layers without a kernel, joins and stacks: dense layers equal to them on full grids."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from sparse_backbones.convert import to_dense
from sparse_backbones.convert.leaves import BASES, REASONS, RULES, STACKS
from tests.sparse_backbones.full_grid import (
    Make,
    as_grid,
    as_sparse,
    assert_equal_on_a_full_grid,
    assert_near,
    random_grid,
    randomise,
)

LAYERS: dict[str, Make] = {
    "MinkowskiLinear": lambda ME: ME.MinkowskiLinear(3, 2),
    "MinkowskiLinear without bias": lambda ME: ME.MinkowskiLinear(3, 2, bias=False),
    "MinkowskiBatchNorm": lambda ME: ME.MinkowskiBatchNorm(3, eps=0.1, momentum=0.3),
    "MinkowskiBatchNorm without weights": lambda ME: ME.MinkowskiBatchNorm(3, affine=False),
    "MinkowskiBatchNorm without statistics": lambda ME: ME.MinkowskiBatchNorm(3, track_running_stats=False),
    "MinkowskiSyncBatchNorm": lambda ME: ME.MinkowskiSyncBatchNorm(3),
    "MinkowskiInstanceNorm": lambda ME: ME.MinkowskiInstanceNorm(3),
    "MinkowskiSinusoidal": lambda ME: ME.MinkowskiSinusoidal(3, 2),
    "MinkowskiPReLU": lambda ME: ME.MinkowskiPReLU(3),
    "MinkowskiSoftmax": lambda ME: ME.MinkowskiSoftmax(dim=1),
    "MinkowskiSoftmin": lambda ME: ME.MinkowskiSoftmin(dim=-1),
    "MinkowskiLogSoftmax": lambda ME: ME.MinkowskiLogSoftmax(dim=1),
    "MinkowskiThreshold": lambda ME: ME.MinkowskiThreshold(0.1, 0.5),
    "MinkowskiGlobalPooling": lambda ME: ME.MinkowskiGlobalPooling(),
    "MinkowskiGlobalSumPooling": lambda ME: ME.MinkowskiGlobalSumPooling(),
    "MinkowskiGlobalAvgPooling": lambda ME: ME.MinkowskiGlobalAvgPooling(),
    "MinkowskiGlobalMaxPooling": lambda ME: ME.MinkowskiGlobalMaxPooling(),
    "MinkowskiBroadcast": lambda ME: WithGlobal(ME, ME.MinkowskiBroadcast()),
    "MinkowskiBroadcastAddition": lambda ME: WithGlobal(ME, ME.MinkowskiBroadcastAddition()),
    "MinkowskiBroadcastMultiplication": lambda ME: WithGlobal(ME, ME.MinkowskiBroadcastMultiplication()),
    "MinkowskiBroadcastConcatenation": lambda ME: WithGlobal(ME, ME.MinkowskiBroadcastConcatenation()),
    "MinkowskiUnion": lambda ME: Twice(ME.MinkowskiTanh(), ME.MinkowskiUnion()),
    "cat": lambda ME: Twice(ME.MinkowskiTanh(), ME.cat),
    "sum": lambda ME: Twice(ME.MinkowskiTanh(), ME.sum),
    "mean": lambda ME: Twice(ME.MinkowskiTanh(), ME.mean),
    "var": lambda ME: Twice(ME.MinkowskiTanh(), ME.var),
    "MinkowskiStackCat": lambda ME: ME.MinkowskiStackCat(ME.MinkowskiLinear(3, 1), ME.MinkowskiTanh()),
    "MinkowskiStackSum": lambda ME: ME.MinkowskiStackSum(ME.MinkowskiLinear(3, 3), ME.MinkowskiTanh()),
    "MinkowskiStackMean": lambda ME: ME.MinkowskiStackMean(ME.MinkowskiTanh(), ME.MinkowskiELU()),
    "MinkowskiStackVar": lambda ME: ME.MinkowskiStackVar(
        nn.Sequential(ME.MinkowskiLinear(3, 3), ME.MinkowskiTanh()), ME.MinkowskiELU()
    ),
    **{
        f"Minkowski{name}": lambda ME, name=name: getattr(ME, f"Minkowski{name}")()  # type: ignore[misc]
        for name in (
            "ELU",
            "Hardshrink",
            "Hardsigmoid",
            "Hardtanh",
            "Hardswish",
            "LeakyReLU",
            "LogSigmoid",
            "ReLU",
            "ReLU6",
            "SELU",
            "CELU",
            "GELU",
            "Sigmoid",
            "SiLU",
            "Softplus",
            "Softshrink",
            "Softsign",
            "Tanh",
            "Tanhshrink",
        )
    },
}


class WithGlobal(nn.Module):
    """A layer of a tensor and what global pooling makes of it."""

    def __init__(self, engine: Any, layer: nn.Module) -> None:
        super().__init__()
        self.pool = engine.MinkowskiGlobalAvgPooling()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(x, self.pool(x))


class Twice(nn.Module):
    """A tensor joined with what a layer makes of it. `join` is a layer, or a function of the engine."""

    def __init__(self, layer: nn.Module, join: Any) -> None:
        super().__init__()
        self.layer = layer
        self.join = join

    def forward(self, x: Any) -> Any:
        return self.join(x, self.layer(x))


def beside_a_convolution(make: Make) -> Make:
    """Between two convolutions, which say the number of dimensions."""
    return lambda ME: nn.Sequential(ME.MinkowskiConvolution(2, 3, kernel_size=3, dimension=2), make(ME))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_layer(engine: ModuleType, name: str, training: bool) -> None:
    assert_equal_on_a_full_grid(
        engine, beside_a_convolution(LAYERS[name]), random_grid(2, 2, 5, 4), training=training
    )


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout", "RReLU"])
def test_random_layers_in_evaluation_mode(engine: ModuleType, name: str) -> None:
    make = beside_a_convolution(lambda ME: getattr(ME, f"Minkowski{name}")())
    assert_equal_on_a_full_grid(engine, make, random_grid(2, 2, 5, 4), training=False)


def test_dropout_drops_in_training(native: ModuleType) -> None:
    dense = to_dense(native.MinkowskiDropout(0.25))
    zeros = float((dense(torch.ones(4, 3, 20, 20)) == 0).float().mean())
    assert 0.2 < zeros < 0.3


def test_softmax_that_names_no_axis(native: ModuleType) -> None:
    grid = random_grid(1, 3, 4, 5, dtype=torch.float32)
    assert_near(to_dense(native.MinkowskiSoftmax())(grid), grid.softmax(1), "softmax")


def test_stable_instance_norm(native: ModuleType) -> None:
    make = beside_a_convolution(lambda ME: ME.MinkowskiStableInstanceNorm(3))
    # Small numbers, so that what is added to the variance counts.
    assert_equal_on_a_full_grid(native, make, random_grid(2, 2, 5, 4) * 1e-3)


def test_instance_norm_of_one_cell_is_the_bias(native: ModuleType) -> None:
    sparse = native.MinkowskiInstanceNorm(3)
    randomise(sparse)
    dense = to_dense(sparse)
    grid = random_grid(1, 3, 1, 1, dtype=torch.float32)
    assert torch.equal(dense(grid).flatten(), sparse.bias.flatten())
    assert torch.equal(as_grid(sparse(as_sparse(native, grid))), dense(grid))


def test_to_feature(native: ModuleType) -> None:
    network = nn.Sequential(native.MinkowskiGlobalAvgPooling(), native.MinkowskiToFeature(), nn.Linear(3, 2))
    grid = random_grid(3, 3, 4, 5, dtype=torch.float32)
    rows = to_dense(network, dimension=2)(grid)
    assert rows.shape == (3, 2)
    assert_near(rows, network(as_sparse(native, grid)), "rows")
    assert torch.equal(to_dense(native.MinkowskiToFeature())(grid), as_sparse(native, grid).F)


def test_from_dense_and_back(native: ModuleType) -> None:
    network = nn.Sequential(
        native.MinkowskiToSparseTensor(remove_zeros=False),
        native.MinkowskiConvolution(2, 3, kernel_size=3, stride=2, dimension=2),
        native.MinkowskiToDenseTensor(),
    )
    grid = random_grid(2, 2, 6, 4, dtype=torch.float32)
    # MinkowskiToDenseTensor keeps the coordinates of the finer grid.
    assert_near(to_dense(network)(grid), network(grid), "grid")


def test_every_layer_is_converted_or_refused(native: ModuleType) -> None:
    layers = {
        name
        for name in native.__all__
        if isinstance(getattr(native, name), type) and issubclass(getattr(native, name), nn.Module)
        if name not in BASES and not name.endswith("Base")
    }
    assert layers == {*RULES, *STACKS, *REASONS}
