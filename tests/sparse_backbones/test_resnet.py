"""SparseResNet: shapes, equal numbers on both engines, empty items, and a cost that follows the sites."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sparse_backbones.resnet import SparseResNet
from tests.sparse_backbones.oracle import assert_close, random_sites

SMALL: dict[str, Any] = {"channels": (4, 6, 8), "blocks": (1, 2, 1), "latent": 10}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "2D": {"dimension": 2, **SMALL},
    "2D with a stem": {"dimension": 2, "stem_strides": (4, 2), "stem_channels": (3, 4), **SMALL},
    "2D with extras": {"dimension": 2, "extra": 3, **SMALL},
    "3D": {"dimension": 3, **SMALL},
    "3D with a stem": {"dimension": 3, "stem_strides": (2,), "stem_channels": (4,), **SMALL},
    "one stage": {"dimension": 2, "channels": (4,), "blocks": (2,), "latent": 10},
}
BATCH = 6


@pytest.fixture(params=list(CONFIGURATIONS))
def configuration(request: pytest.FixtureRequest) -> dict[str, Any]:
    return CONFIGURATIONS[request.param]


def batch_for(
    configuration: Mapping[str, Any], dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Sites, features and extras of a batch whose items 1 and 5 are empty."""
    sites = random_sites(260, configuration["dimension"], -9, 10, batch=(0, 2, 3, 4))
    extra = torch.randn(BATCH, configuration["extra"], dtype=dtype) if configuration.get("extra") else None
    return sites, torch.randn(len(sites), 2, dtype=dtype), extra


def outputs(
    engine: ModuleType, net: SparseResNet, sites: Tensor, features: Tensor, extra: Tensor | None
) -> dict[str, Tensor]:
    """Logits, latent, and the gradients of a weighted sum of both."""
    leaf = features.clone().requires_grad_()
    logits, latent = net(engine.SparseTensor(leaf, sites), BATCH, extra)
    both = torch.cat([logits, latent], dim=1)
    weights = torch.sin(torch.arange(both.numel(), dtype=both.dtype)).reshape(both.shape)
    leaves = {"input": leaf, **dict(net.named_parameters())}
    gradients = torch.autograd.grad((both * weights).sum(), list(leaves.values()))
    return {"logits": logits, "latent": latent, **dict(zip(leaves, gradients, strict=True))}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_both_engines_give_the_same_numbers(
    native: ModuleType,
    minkowski: ModuleType,
    configuration: dict[str, Any],
    training: bool,
    dtype: torch.dtype,
) -> None:
    ours, theirs = (
        SparseResNet(engine, 2, 5, **configuration).to(dtype).train(training)
        for engine in (native, minkowski)
    )
    states = ours.state_dict(), theirs.state_dict()
    assert [(k, v.shape) for k, v in states[0].items()] == [(k, v.shape) for k, v in states[1].items()]
    ours.load_state_dict(states[1])
    batch = batch_for(configuration, dtype)
    actual, expected = outputs(native, ours, *batch), outputs(minkowski, theirs, *batch)
    for name, numbers in actual.items():
        scale = max(1.0, float(expected[name].detach().abs().max()))
        assert_close(numbers / scale, expected[name] / scale, name)
    for key, value in ours.state_dict().items():
        if value.is_floating_point():
            assert_close(value, theirs.state_dict()[key], key)


def test_shapes(engine: ModuleType, configuration: dict[str, Any]) -> None:
    net = SparseResNet(engine, 2, 5, **configuration).double()
    sites, features, extra = batch_for(configuration)
    logits, latent = net(engine.SparseTensor(features, sites), BATCH, extra)
    assert tuple(logits.shape) == (BATCH, 5)
    assert tuple(latent.shape) == (BATCH, 10)
    assert logits.dtype is torch.float64


def test_each_stage_after_the_first_halves_the_resolution(
    engine: ModuleType, configuration: dict[str, Any]
) -> None:
    net = SparseResNet(engine, 2, 5, **configuration).double()
    strides: list[int] = []
    for stage in net.stages:
        stage.register_forward_hook(lambda _module, _inputs, output: strides.append(output.tensor_stride[0]))
    sites, features, extra = batch_for(configuration)
    net(engine.SparseTensor(features, sites), BATCH, extra)
    after_stem = math.prod(configuration.get("stem_strides", ()))
    assert strides == [after_stem * 2**number for number in range(len(configuration["channels"]))]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_empty_items_have_one_and_the_same_finite_row(engine: ModuleType, training: bool) -> None:
    net = SparseResNet(engine, 2, 5, **CONFIGURATIONS["2D"]).double().train(training)
    sites, features, _ = batch_for(CONFIGURATIONS["2D"])
    for rows in net(engine.SparseTensor(features, sites), BATCH):
        assert torch.isfinite(rows).all()
        assert torch.equal(rows[1], rows[5])
        assert not torch.equal(rows[0], rows[1])


def test_a_batch_of_nothing_but_empty_items(native: ModuleType) -> None:
    net = SparseResNet(native, 2, 5, **CONFIGURATIONS["3D with a stem"]).eval()
    nothing = native.SparseTensor(torch.zeros(0, 2), torch.zeros(0, 4, dtype=torch.int32))
    logits, latent = net(nothing, 3)
    assert torch.isfinite(logits).all()
    assert torch.equal(latent, latent[:1].expand(3, -1))


def test_an_item_has_the_same_row_in_every_batch(engine: ModuleType, configuration: dict[str, Any]) -> None:
    net = SparseResNet(engine, 2, 5, **configuration).double().eval()
    sites, features, extra = batch_for(configuration)
    together, _ = net(engine.SparseTensor(features, sites), BATCH, extra)
    for item in (0, 2, 3, 4):
        rows = sites[:, 0] == item
        alone = sites[rows].clone()
        alone[:, 0] = 0
        given = extra if extra is None else extra[item : item + 1]
        logits, _ = net(engine.SparseTensor(features[rows], alone), 1, given)
        assert_close(logits[0], together[item])


def test_one_site_in_the_batch(native: ModuleType) -> None:
    net = SparseResNet(native, 1, 3, **CONFIGURATIONS["2D with a stem"]).eval()
    site = native.SparseTensor(torch.ones(1, 1), torch.tensor([[0, 19999, 3]], dtype=torch.int32))
    assert torch.isfinite(net(site, 1)[0]).all()


def test_dropout_is_used_in_training_only(native: ModuleType) -> None:
    net = SparseResNet(native, 2, 5, dropout=0.5, **CONFIGURATIONS["2D"]).double()
    sites, features, _ = batch_for(CONFIGURATIONS["2D"])
    batch = native.SparseTensor(features, sites)
    assert not torch.equal(net(batch, BATCH)[1], net(batch, BATCH)[1])
    net.eval()
    assert torch.equal(net(batch, BATCH)[1], net(batch, BATCH)[1])


def test_extras_reach_the_logits(native: ModuleType) -> None:
    net = SparseResNet(native, 2, 5, **CONFIGURATIONS["2D with extras"]).double().eval()
    sites, features, extra = batch_for(CONFIGURATIONS["2D with extras"])
    assert extra is not None
    batch = native.SparseTensor(features, sites)
    assert not torch.allclose(net(batch, BATCH, extra)[0], net(batch, BATCH, extra + 1)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stem_strides": (4, 2), "stem_channels": (8,)}, "2 stem strides for 1 stem channels"),
        ({"channels": (4, 8), "blocks": (1,)}, "1 numbers of blocks for 2 stages"),
        ({"channels": (), "blocks": ()}, "0 numbers of blocks for 0 stages"),
        ({"dimension": 4}, "dimension must be 2 or 3, not 4"),
        ({"dimension": 1}, "dimension must be 2 or 3, not 1"),
        ({"stem_strides": (0,), "stem_channels": (8,)}, "must be positive"),
    ],
)
def test_bad_configurations_are_refused(native: ModuleType, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparseResNet(native, 1, 3, **arguments)


def test_bad_inputs_are_refused(native: ModuleType) -> None:
    sites = torch.zeros(1, 3, dtype=torch.int32)
    plain = SparseResNet(native, 1, 3, **CONFIGURATIONS["2D"]).eval()
    extended = SparseResNet(native, 1, 3, **CONFIGURATIONS["2D with extras"]).eval()
    one = native.SparseTensor(torch.ones(1, 1), sites)
    with pytest.raises(ValueError, match="expected 0 extra numbers"):
        plain(one, 1, torch.ones(1, 2))
    for extra in (None, torch.ones(1, 2)):
        with pytest.raises(ValueError, match="expected 3 extra numbers"):
            extended(one, 1, extra)
    with pytest.raises(ValueError, match="expected 1 channels, got 2"):
        plain(native.SparseTensor(torch.ones(1, 2), sites), 1)
    with pytest.raises(ValueError, match="2D layer got a tensor of 3"):
        plain(native.SparseTensor(torch.ones(1, 1), torch.zeros(1, 4, dtype=torch.int32)), 1)


class Work(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that all operations write, and the largest tensor among them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self.largest = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for item in result if isinstance(result, tuple) else (result,):
            if isinstance(item, Tensor):
                self.total += item.numel()
                self.largest = max(self.largest, item.numel())
        return result


def work(engine: ModuleType, dimension: int, side: int, count: int) -> Work:
    """What it takes to build the maps of `count` scattered sites, run forward and go back."""
    torch.manual_seed(2)
    net = SparseResNet(engine, 1, 5, dimension=dimension, stem_strides=(4, 4), stem_channels=(4, 4), **SMALL)
    sites = random_sites(count, dimension, 0, side, batch=(0, 1))
    counted = Work()
    with counted:
        logits, _ = net(engine.SparseTensor(torch.ones(len(sites), 1), sites), 2)
        logits.sum().backward()
    return counted


@pytest.mark.parametrize(("dimension", "side"), [(2, 2_000), (3, 500)])
def test_cost_follows_the_sites_and_not_the_resolution(native: ModuleType, dimension: int, side: int) -> None:
    """Ten times the resolution costs no more; ten times the sites cost about ten times as much."""
    base = work(native, dimension, side, 1_000)
    finer = work(native, dimension, 10 * side, 1_000)
    fuller = work(native, dimension, 10 * side, 10_000)
    assert finer.total < 1.3 * base.total
    assert finer.largest <= 1.3 * base.largest
    assert fuller.total < 13 * finer.total


def test_pairs_follow_the_sites(native: ModuleType) -> None:
    """1,000 sites among 20,000 x 20,000: every kernel map lists a few pairs a site."""
    sites = random_sites(1_000, 2, 0, 20_000, batch=(0,))
    tensor = native.SparseTensor(torch.ones(len(sites), 1), sites)
    x = tensor
    for size, stride in ((4, 4), (4, 4), (3, 2), (3, 1)):
        manager = x.coordinate_manager
        generator = native.KernelGenerator(size, stride, dimension=2)
        key, pairs = manager.convolution_map(x.coordinate_map_key, generator, False)
        assert len(pairs.complete.in_rows) <= 4 * len(sites)
        assert manager.size(key) <= len(sites)
        x = native.SparseTensor(
            torch.ones(manager.size(key), 1), coordinate_map_key=key, coordinate_manager=manager
        )
