"""Where the sites lie: negative, far out, few or none. No layer may care."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.index import CoordinateIndex, _group_columns
from tests.sparse_backbones.oracle import (
    Kernel,
    Outcome,
    assert_close,
    assert_same,
    coarser,
    convolution_by_pairs,
    distinct,
    outcome,
    random_sites,
    run,
)

LOWEST, HIGHEST = -(2**31), 2**31 - 1


def clustered(dimension: int, low: int, high: int, items: int) -> Tensor:
    """Sites all over [low, high], most with a neighbour, so that kernels find pairs."""
    sites = random_sites(60, dimension, low + 1, high, batch=range(items)).long().repeat(3, 1)
    sites[:, 1:] += torch.randint(-1, 2, (len(sites), dimension))
    sites = distinct(sites)
    return sites[torch.randperm(len(sites))].int()


def expected(layer: nn.Module, sites: Tensor, features: Tensor, kernel: Kernel) -> Outcome:
    leaf = features.clone().requires_grad_()
    weight = layer.get_parameter("kernel").detach().requires_grad_()
    return outcome(*convolution_by_pairs(sites, leaf, weight, kernel), {"input": leaf, "kernel": weight})


def check_convolution(engine: ModuleType, kernel: Kernel, sites: Tensor) -> None:
    features = torch.randn(len(sites), 2).double()
    layer = engine.MinkowskiConvolution(2, 3, **kernel.arguments()).double()
    assert_same(run(engine, layer, sites, features), expected(layer, sites, features, kernel))


KERNELS = {
    2: [Kernel.of(2, 3), Kernel.of(2, 2), Kernel.of(2, 2, 2), Kernel.of(2, 3, 2), Kernel.of(2, 4, 4)],
    3: [Kernel.of(3, 3), Kernel.of(3, 2, 2), Kernel.of(3, 3, 2)],
}
BOTH = [(dimension, kernel) for dimension, kernels in KERNELS.items() for kernel in kernels]


@pytest.mark.parametrize(("dimension", "kernel"), BOTH)
def test_negative_coordinates_round_down(engine: ModuleType, dimension: int, kernel: Kernel) -> None:
    sites = clustered(dimension, -9, -1, items=2)
    assert int(sites[:, 1:].max()) < 0
    check_convolution(engine, kernel, sites)


@pytest.mark.parametrize(("dimension", "kernel"), BOTH)
@pytest.mark.parametrize(
    ("low", "high", "items"),
    [(-(2**15) - 5000, 2**15 + 5000, 2), (0, 2**20, 64), (-(2**20), 2**20, 64)],
    ids=["beyond 2^15", "up to 2^20", "2^21 a side"],
)
def test_large_grids(
    engine: ModuleType, dimension: int, kernel: Kernel, low: int, high: int, items: int
) -> None:
    check_convolution(engine, kernel, clustered(dimension, low, high, items))


@pytest.mark.parametrize(("dimension", "kernel"), BOTH)
def test_all_of_int32(native: ModuleType, dimension: int, kernel: Kernel) -> None:
    """Native alone: MinkowskiEngine divides in float32, which is exact up to 2^24 only."""
    corners = torch.tensor([[0, *[LOWEST] * dimension], [0, *[HIGHEST] * dimension]]).int()
    sites = torch.cat([clustered(dimension, LOWEST + 1, HIGHEST - 1, items=64), corners])
    check_convolution(native, kernel, sites)


def test_large_batch_indices(native: ModuleType) -> None:
    sites = clustered(2, -5, 5, items=3)
    sites[:, 0] *= HIGHEST // 2
    check_convolution(native, Kernel.of(2, 3), sites)


@pytest.mark.parametrize(
    ("low", "high", "items", "fits"),
    [(0, 2**20, 1, True), (0, 2**20, 64, False), (-5, 5, 2, True)],
)
def test_which_sites_fit_into_one_key(low: int, high: int, items: int, fits: bool) -> None:
    """The tests above look sites up in both ways: by one 63-bit key, and by ranks where that is too small."""
    sites = torch.tensor([[0, low, low, low], [items - 1, high, high, high]])
    assert CoordinateIndex(sites).shiftable is fits


def test_ranks_leave_room_for_the_columns_that_follow_them() -> None:
    """A run of columns after the first starts with a rank, which may be as large as the number of sites."""
    radix, count = [2**31, 2**31, 2**30, 2**30], 2**10
    groups = _group_columns(radix, count)
    assert [column for group in groups for column in group] == [0, 1, 2, 3]
    for number, group in enumerate(groups):
        size = math.prod(radix[column] for column in group) * (count if number else 1)
        assert size < 2**63


def test_rounding_down_below_int32_is_an_error(native: ModuleType) -> None:
    sites = torch.tensor([[0, LOWEST, 0]], dtype=torch.int32)
    tensor = native.SparseTensor(torch.ones(1, 1), sites)
    with pytest.raises(ValueError, match="do not fit in 32 bits"):
        native.MinkowskiSumPooling(kernel_size=3, stride=3, dimension=2)(tensor)
    even = native.MinkowskiSumPooling(kernel_size=2, stride=2, dimension=2)(tensor)
    assert even.C.tolist() == [[0, LOWEST, 0]]


class Hourglass(nn.Module):
    """Layers of every kind, down and up again."""

    def __init__(self, engine: ModuleType, dimension: int) -> None:
        super().__init__()
        self.first = engine.MinkowskiConvolution(2, 4, kernel_size=3, bias=True, dimension=dimension)
        self.down = engine.MinkowskiConvolution(4, 4, kernel_size=3, stride=2, dimension=dimension)
        self.highest = engine.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=dimension)
        self.mean = engine.MinkowskiAvgPooling(kernel_size=3, dimension=dimension)
        self.wide = engine.MinkowskiConvolution(4, 4, kernel_size=3, dilation=2, dimension=dimension)
        self.up = engine.MinkowskiConvolutionTranspose(4, 3, kernel_size=4, stride=4, dimension=dimension)

    def forward(self, x: object) -> object:
        return self.up(self.wide(self.mean(self.highest(self.down(self.first(x))))))


def hourglass(engine: ModuleType, dimension: int) -> Hourglass:
    """One with fixed weights."""
    torch.manual_seed(1)
    return Hourglass(engine, dimension).double()


def features_for(sites: Tensor) -> Tensor:
    return torch.sin(torch.arange(2.0 * len(sites), dtype=torch.float64)).reshape(-1, 2)


@pytest.mark.parametrize("dimension", [2, 3])
def test_both_engines_agree_on_a_network_over_a_large_grid(
    native: ModuleType, minkowski: ModuleType, dimension: int
) -> None:
    sites = clustered(dimension, -(2**20), 2**20, items=64)
    ours, theirs = hourglass(native, dimension), hourglass(minkowski, dimension)
    ours.load_state_dict(theirs.state_dict())
    features = features_for(sites)
    assert_same(run(native, ours, sites, features), run(minkowski, theirs, sites, features))


@pytest.mark.parametrize("dimension", [2, 3])
def test_sites_far_away_change_nothing(native: ModuleType, dimension: int) -> None:
    """Items at the ends of int32 make the look-ups take another way, to the same numbers."""
    sites = random_sites(60, dimension, -4, 5, batch=(0, 1))
    features = features_for(sites)
    far = torch.tensor([[2, *[LOWEST] * dimension], [63, *[HIGHEST] * dimension]], dtype=torch.int32)
    net = hourglass(native, dimension)
    alone = net(native.SparseTensor(features, sites))
    together = net(native.SparseTensor(torch.cat([features, features[:2]]), torch.cat([sites, far])))
    assert not together.coordinate_manager.sites(together.coordinate_map_key).index.shiftable
    near = together.C[:, 0] < 2
    assert_same(
        outcome(together.C[near], together.F[near], {}),
        outcome(alone.C, alone.F, {}),
    )


def test_kernels_that_reach_further_than_a_key_can_be_shifted(native: ModuleType) -> None:
    sites = clustered(2, -40, 40, items=2)
    check_convolution(native, Kernel.of(2, 3, dilation=17), sites)
    check_convolution(native, Kernel.of(2, 2, 2, 30), sites)
    check_convolution(native, Kernel.of(2, 33, 33), sites)


def test_an_empty_item_between_others(engine: ModuleType) -> None:
    sites = random_sites(60, 2, -4, 5, batch=(0, 2))
    features = features_for(sites)
    net = hourglass(engine, 2)
    close = sites.clone()
    close[:, 0] //= 2
    result, other = run(engine, net, sites, features), run(engine, net, close, features)
    assert set(result.sites[:, 0].tolist()) == {0, 2}
    assert_close(result.features, other.features)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_single_site(engine: ModuleType, dimension: int) -> None:
    """Only the centre of a kernel sees it."""
    sites = torch.tensor([[0, *[-7] * dimension]], dtype=torch.int32)
    features = torch.tensor([[1.5, -2.0]]).double()
    layer = engine.MinkowskiConvolution(2, 3, kernel_size=3, dimension=dimension).double()
    result = run(engine, layer, sites, features)
    assert_close(result.features, features @ layer.kernel[3**dimension // 2])
    down = engine.MinkowskiConvolution(2, 3, kernel_size=2, stride=2, dimension=dimension).double()
    result = run(engine, down, sites, features)
    assert result.sites.tolist() == [[0, *[-8] * dimension]]
    assert_close(result.features, features @ down.kernel[-1])
    assert run(engine, hourglass(engine, dimension), sites, features).sites.tolist() == sites.tolist()


@pytest.mark.parametrize("dimension", [2, 3])
def test_no_site_at_all(native: ModuleType, dimension: int) -> None:
    """Every layer works and gives nothing, forward and backward."""
    leaf = torch.zeros(0, 2, dtype=torch.float64, requires_grad=True)
    empty = native.SparseTensor(leaf, torch.zeros(0, dimension + 1, dtype=torch.int32))
    net = hourglass(native, dimension)
    result = net(empty)
    assert tuple(result.F.shape) == (0, 3)
    assert tuple(result.C.shape) == (0, dimension + 1)
    result.F.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.shape == leaf.shape
    assert all(float(p.grad.abs().sum()) == 0 for p in net.parameters() if p.grad is not None)
    for name in ("Sum", "Avg", "Max"):
        assert tuple(getattr(native, f"MinkowskiGlobal{name}Pooling")()(empty).F.shape) == (0, 2)
    assert tuple(native.cat(empty, empty).F.shape) == (0, 4)
    assert tuple(native.MinkowskiReLU()(empty + empty).F.shape) == (0, 2)
    assert tuple(native.MinkowskiBatchNorm(2).eval().double()(empty).F.shape) == (0, 2)
    assert empty.decomposed_features == []
    dense, low, _ = empty.dense()
    assert not dense.any()
    assert low.tolist() == [0] * dimension


def test_layers_after_global_pooling(native: ModuleType) -> None:
    """Its sites stand alone at the origin, so a kernel sees the site itself."""
    sites = random_sites(20, 2, -4, 5, batch=(0, 2))
    features = features_for(sites)
    pooled = native.MinkowskiGlobalSumPooling()(native.SparseTensor(features, sites))
    layer = native.MinkowskiConvolution(2, 3, kernel_size=3, dimension=2).double()
    assert_close(layer(pooled).F, pooled.F @ layer.kernel[4])


def test_global_pooling_of_other_batch_items_in_the_same_manager_is_refused(native: ModuleType) -> None:
    first = native.SparseTensor(torch.ones(2, 1), torch.tensor([[0, 0, 0], [1, 0, 0]]))
    manager = first.coordinate_manager
    pool = native.MinkowskiGlobalSumPooling()
    pool(first)
    second = native.SparseTensor(
        torch.ones(2, 1), torch.tensor([[0, 0, 0], [2, 0, 0]]), coordinate_manager=manager
    )
    with pytest.raises(ValueError, match="do not hold the same batch indices"):
        pool(second)


def test_wrong_inputs_are_named(native: ModuleType) -> None:
    tensor = native.SparseTensor(torch.ones(2, 3), torch.tensor([[0, 0, 0], [0, 2, 4]], dtype=torch.int32))
    cases = [
        (
            native.MinkowskiConvolution(3, 1, 3, dimension=3),
            "a 3D layer got a tensor of 2 spatial dimensions",
        ),
        (native.MinkowskiMaxPooling(2, 2, dimension=3), "a 3D layer got a tensor of 2 spatial dimensions"),
        (native.MinkowskiConvolution(4, 1, 3, dimension=2), "expected 4 channels, got 3"),
        (native.MinkowskiConvolution(4, 1, 1, dimension=2), "expected 4 channels, got 3"),
        (native.MinkowskiConvolutionTranspose(3, 1, 2, 2, dimension=2), "cannot be refined"),
    ]
    for layer, message in cases:
        with pytest.raises(ValueError, match=message):
            layer(tensor)


def test_transposed_convolution_without_a_map_to_go_back_to_makes_one(
    native: ModuleType, minkowski: ModuleType
) -> None:
    sites = torch.tensor([[0, 0, 0], [0, 2, 4]], dtype=torch.int32)
    outcomes = []
    for engine in (native, minkowski):
        coarse = engine.SparseTensor(torch.ones(2, 3), sites, tensor_stride=2)
        layer = engine.MinkowskiConvolutionTranspose(3, 1, 3, 2, dimension=2)
        torch.nn.init.ones_(layer.kernel)
        fine = layer(coarse)
        assert fine.tensor_stride == [1, 1]
        outcomes.append(sorted(torch.cat([fine.C, fine.F], dim=1).tolist()))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimension": 2}, "kernel_size must be positive"),
        ({"kernel_size": 3}, "dimension must be positive"),
        ({"kernel_size": (3, 3, 3), "dimension": 2}, "kernel_size has 3 numbers, but there are 2"),
        ({"kernel_size": 3, "stride": 0, "dimension": 2}, "stride must be positive"),
        ({"kernel_size": 3, "dilation": -1, "dimension": 2}, "dilation must be positive"),
    ],
)
def test_impossible_kernels_are_refused(
    native: ModuleType, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        native.MinkowskiConvolution(1, 1, **arguments)


def test_the_rounded_down_sites_are_distinct(engine: ModuleType) -> None:
    sites = clustered(2, -30, 30, items=3)
    result = engine.MinkowskiSumPooling(kernel_size=5, stride=5, dimension=2)(
        engine.SparseTensor(features_for(sites), sites)
    )
    assert torch.equal(outcome(result.C, result.F, {}).sites, coarser(sites, (5, 5)))
