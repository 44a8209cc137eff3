"""Normalisation, nonlinearities, dropout and linear layers against their dense counterparts."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from tests.sparse_backbones.oracle import Outcome, assert_close, assert_same, outcome, random_sites, run

# Sparse layer, the dense layer inside it, arguments, and the name of the dense layer in the state.
LAYERS: list[tuple[str, type[nn.Module], tuple[Any, ...], str]] = [
    ("MinkowskiReLU", nn.ReLU, (), "module"),
    ("MinkowskiReLU6", nn.ReLU6, (), "module"),
    ("MinkowskiLeakyReLU", nn.LeakyReLU, (0.2,), "module"),
    ("MinkowskiPReLU", nn.PReLU, (), "module"),
    ("MinkowskiPReLU", nn.PReLU, (4,), "module"),
    ("MinkowskiELU", nn.ELU, (0.7,), "module"),
    ("MinkowskiCELU", nn.CELU, (0.7,), "module"),
    ("MinkowskiSELU", nn.SELU, (), "module"),
    ("MinkowskiGELU", nn.GELU, (), "module"),
    ("MinkowskiSiLU", nn.SiLU, (), "module"),
    ("MinkowskiSigmoid", nn.Sigmoid, (), "module"),
    ("MinkowskiTanh", nn.Tanh, (), "module"),
    ("MinkowskiRReLU", nn.RReLU, (), "module"),
    ("MinkowskiDropout", nn.Dropout, (0.5,), "module"),
    ("MinkowskiLinear", nn.Linear, (4, 3), "linear"),
    ("MinkowskiLinear", nn.Linear, (4, 3, False), "linear"),
    ("MinkowskiBatchNorm", nn.BatchNorm1d, (4,), "bn"),
]
RANDOM_WHEN_TRAINING = (nn.RReLU, nn.Dropout)


def dense_outcome(layer: nn.Module, sites: torch.Tensor, features: torch.Tensor, prefix: str) -> Outcome:
    leaf = features.double().requires_grad_()
    named = {f"{prefix}.{name}": parameter for name, parameter in layer.named_parameters()}
    return outcome(sites, layer(leaf), {"input": leaf, **named})


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("name", "dense", "arguments", "prefix"), LAYERS)
def test_layer(
    engine: ModuleType,
    name: str,
    dense: type[nn.Module],
    arguments: tuple[Any, ...],
    prefix: str,
    training: bool,
    dtype: torch.dtype,
) -> None:
    if training and dense in RANDOM_WHEN_TRAINING:
        training = False
    sites = random_sites(40, 2, -6, 7)
    features = 3 * torch.randn(len(sites), 4, dtype=dtype)
    sparse = getattr(engine, name)(*arguments).to(dtype).train(training)
    twin = dense(*arguments).double().train(training)
    state = {key.removeprefix(f"{prefix}."): value for key, value in sparse.state_dict().items()}
    assert state.keys() == twin.state_dict().keys()
    twin.load_state_dict(state)
    assert_same(run(engine, sparse, sites, features), dense_outcome(twin, sites, features, prefix))


@pytest.mark.parametrize(("name", "dense", "arguments", "prefix"), LAYERS)
def test_states_are_interchangeable(
    native: ModuleType,
    minkowski: ModuleType,
    name: str,
    dense: type[nn.Module],
    arguments: tuple[Any, ...],
    prefix: str,
) -> None:
    ours, theirs = getattr(native, name)(*arguments), getattr(minkowski, name)(*arguments)
    states = ours.state_dict(), theirs.state_dict()
    assert [(k, v.shape, v.dtype) for k, v in states[0].items()] == [
        (k, v.shape, v.dtype) for k, v in states[1].items()
    ]
    ours.load_state_dict(states[1])
    theirs.load_state_dict(states[0])


def test_running_statistics(engine: ModuleType, dtype: torch.dtype) -> None:
    """Those of the active sites only, and used in evaluation."""
    norm = engine.MinkowskiBatchNorm(4, eps=1e-3, momentum=0.3).to(dtype)
    twin = nn.BatchNorm1d(4, eps=1e-3, momentum=0.3).double()
    for seed in range(3):
        sites = random_sites(30 + seed, 2, -6, 7)
        features = 2 + 3 * torch.randn(len(sites), 4, dtype=dtype)
        norm(engine.SparseTensor(features, sites))
        twin(features.double())
    state = norm.state_dict()
    assert_close(state["bn.running_mean"], twin.running_mean)  # type: ignore[arg-type]
    assert_close(state["bn.running_var"], twin.running_var)  # type: ignore[arg-type]
    assert int(state["bn.num_batches_tracked"]) == 3
    sites = random_sites(20, 2, -6, 7)
    features = torch.randn(len(sites), 4, dtype=dtype)
    assert_same(run(engine, norm.eval(), sites, features), dense_outcome(twin.eval(), sites, features, "bn"))


def test_batch_norm_without_statistics_or_weights(engine: ModuleType) -> None:
    norm = engine.MinkowskiBatchNorm(4, affine=False, track_running_stats=False).double().eval()
    assert norm.state_dict() == {}
    sites = random_sites(30, 2, -6, 7)
    features = 2 + 3 * torch.randn(len(sites), 4).double()
    result = run(engine, norm, sites, features).features
    assert_close(result.mean(0), torch.zeros(4))
    assert_close(result.var(0, correction=0), torch.ones(4) / (1 + 1e-5 / features.var(0, correction=0)))


def test_batch_norm_refuses_to_train_on_one_site(engine: ModuleType) -> None:
    one = engine.SparseTensor(torch.ones(1, 4), torch.zeros(1, 3, dtype=torch.int32))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        engine.MinkowskiBatchNorm(4)(one)


def test_dropout_drops_its_share_and_scales_the_rest(engine: ModuleType) -> None:
    sites = random_sites(4000, 2, 0, 200)
    leaf = torch.ones(len(sites), 8, requires_grad=True)
    result = engine.MinkowskiDropout(0.3)(engine.SparseTensor(leaf, sites)).F
    kept = result.detach() != 0
    assert float(kept.double().mean()) == pytest.approx(0.7, abs=0.02)
    torch.testing.assert_close(result.detach()[kept], torch.full((int(kept.sum()),), 1 / 0.7))
    result.sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, result.detach())


def test_randomised_leaky_relu_stays_within_its_slopes(engine: ModuleType) -> None:
    sites = random_sites(400, 2, 0, 60)
    features = -torch.ones(len(sites), 4)
    result = engine.MinkowskiRReLU(0.1, 0.4)(engine.SparseTensor(features, sites)).F
    assert float(result.min()) >= -0.4
    assert float(result.max()) <= -0.1
    assert float(result.std()) > 0.05
