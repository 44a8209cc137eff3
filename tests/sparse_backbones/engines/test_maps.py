"""Kernel maps against pairs found one by one, and maps made once and shared."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from sparse_backbones.engines.native import compiled
from sparse_backbones.engines.native import manager as manager_module
from sparse_backbones.engines.native.kernels import convolve
from sparse_backbones.engines.native.maps import (
    CoordinateMap,
    KernelMap,
    strided_map,
    submanifold_map,
    tiling_map,
)
from sparse_backbones.engines.native.regions import KernelGenerator
from tests.sparse_backbones.oracle import Kernel, joined_pairs, random_sites

SUBMANIFOLD = [
    Kernel.of(1, 3),
    Kernel.of(2, 1),
    Kernel.of(2, 3),
    Kernel.of(2, (1, 5)),
    Kernel.of(2, 3, dilation=(2, 1)),
    Kernel.of(2, 3, dilation=25),
    Kernel.of(3, 3),
    Kernel.of(3, (3, 1, 5)),
]


def offsets(kernel: Kernel) -> torch.Tensor:
    return KernelGenerator(kernel.size, kernel.stride, kernel.dilation, dimension=kernel.dimension).offsets()


def listed(pairs: KernelMap) -> list[tuple[int, int, int]]:
    numbers = torch.repeat_interleave(torch.arange(len(pairs.counts)), torch.tensor(pairs.counts))
    return list(zip(numbers.tolist(), pairs.in_rows.tolist(), pairs.out_rows.tolist(), strict=True))


def sites_for(kernel: Kernel) -> torch.Tensor:
    spread = 12 if kernel.dimension < 3 else 5
    sites = random_sites(90, kernel.dimension, -spread, spread)
    if max(kernel.dilation) > 8:
        sites[:, 1:] *= 5
    return sites


@pytest.mark.parametrize("kernel", SUBMANIFOLD, ids=str)
def test_submanifold_map(kernel: Kernel) -> None:
    sites = sites_for(kernel)
    made = submanifold_map(CoordinateMap(sites, (1,) * kernel.dimension), offsets(kernel))
    pairs = listed(made.complete)
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == joined_pairs(sites, sites, kernel)


def test_the_centre_is_not_listed_in_plain_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "library", lambda: None)
    sites = random_sites(90, 2, -12, 12)
    made = submanifold_map(CoordinateMap(sites, (1, 1)), offsets(Kernel.of(2, 3)))
    assert made.identity == 4
    assert made.counts[4] == 0
    assert made.complete.counts[4] == len(sites)


@pytest.mark.parametrize("kernel", [Kernel.of(2, 3), Kernel.of(1, 5)], ids=str)
def test_sites_between_the_multiples_of_the_stride(kernel: Kernel) -> None:
    """Offsets are multiples of the stride, wherever the sites are."""
    sites = random_sites(60, kernel.dimension, -9, 9)
    made = submanifold_map(CoordinateMap(sites, (2,) * kernel.dimension), offsets(kernel))
    wide = Kernel(kernel.size, kernel.stride, tuple(2 * d for d in kernel.dilation))
    assert set(listed(made.complete)) == joined_pairs(sites, sites, wide)


def test_a_reach_at_which_keys_would_meet() -> None:
    """41 columns on from the last site of a row is, by key alone, the first site of the next row."""
    kernel = Kernel.of(2, 3, dilation=41)
    sites = torch.tensor([[0, 0, 0], [0, 0, 9], [0, 1, 8], [0, 1, 0], [0, 41, 0]], dtype=torch.int32)
    made = submanifold_map(CoordinateMap(sites, (1, 1)), offsets(kernel))
    assert set(listed(made.complete)) == joined_pairs(sites, sites, kernel)


@pytest.mark.parametrize("kernel", SUBMANIFOLD, ids=str)
def test_the_second_half_mirrors_the_first(kernel: Kernel) -> None:
    sites = sites_for(kernel)
    made = submanifold_map(CoordinateMap(sites, (1,) * kernel.dimension), offsets(kernel))
    assert made.counts == made.counts[::-1]
    last = kernel.volume - 1
    mirrored = {(last - number, out_row, in_row) for number, in_row, out_row in listed(made)}
    assert mirrored == set(listed(made))


@pytest.mark.parametrize("stride", [2, 3])
def test_submanifold_map_at_a_coarser_stride(stride: int) -> None:
    kernel = Kernel.of(2, 3)
    sites = sites_for(kernel)
    scaled = sites * torch.tensor([1, stride, stride], dtype=torch.int32)
    made = submanifold_map(CoordinateMap(scaled, (stride, stride)), offsets(kernel))
    assert set(listed(made.complete)) == joined_pairs(sites, sites, kernel)


@pytest.mark.parametrize(
    "kernel",
    [
        Kernel.of(1, 2, 2),
        Kernel.of(2, 2, 2),
        Kernel.of(2, 3, 2),
        Kernel.of(2, (4, 1), (4, 1)),
        Kernel.of(2, 5, 3, 2),
        Kernel.of(2, 2),
        Kernel.of(2, 30, 30),
        Kernel.of(3, 3, 2),
    ],
    ids=str,
)
def test_strided_map(kernel: Kernel) -> None:
    fine = CoordinateMap(sites_for(kernel), (1,) * kernel.dimension)
    coarse = fine.strided(kernel.stride)
    assert coarse.stride == kernel.stride
    pairs = listed(strided_map(fine, coarse, offsets(kernel)))
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == joined_pairs(fine.coordinates, coarse.coordinates, kernel)


@pytest.mark.parametrize(
    "kernel", [Kernel.of(2, 2, 2), Kernel.of(2, (4, 2), (4, 2)), Kernel.of(3, 2, 2)], ids=str
)
def test_tiling_map(kernel: Kernel) -> None:
    """It parts the fine sites among the coarse ones, and is what the general way gives."""
    fine = CoordinateMap(sites_for(kernel), (1,) * kernel.dimension)
    coarse = fine.strided(kernel.stride)
    made = tiling_map(fine, coarse, kernel.stride)
    assert sorted(made.in_rows.tolist()) == list(range(len(fine)))
    general = strided_map(fine, coarse, offsets(kernel))
    assert made.counts == general.counts
    assert set(listed(made)) == set(listed(general))


@pytest.mark.parametrize("kernel", [Kernel.of(2, 2, 2), Kernel.of(2, (4, 2), (4, 2))], ids=str)
def test_tiling_onto_a_map_without_some_of_the_tiles(kernel: Kernel) -> None:
    fine = CoordinateMap(sites_for(kernel), (1, 1))
    coarse = fine.strided(kernel.stride)
    some = CoordinateMap(coarse.coordinates[::2], coarse.stride)
    made = tiling_map(fine, some, kernel.stride)
    assert set(listed(made)) == joined_pairs(fine.coordinates, some.coordinates, kernel)
    assert len(made.in_rows) < len(fine)


@pytest.mark.parametrize("kernel", [Kernel.of(2, 2, 2), Kernel.of(2, 3, 2), Kernel.of(2, 4, 2)], ids=str)
def test_a_coarse_map_that_does_not_come_from_the_fine_one(native: ModuleType, kernel: Kernel) -> None:
    """It lies all around the fine one, and only sites that really meet are joined."""
    sites = random_sites(20, 2, -3, 4, batch=(2, 3))
    around = torch.cartesian_prod(torch.arange(6), *[torch.arange(-90, 90, 2)] * 2).int()
    fine = native.SparseTensor(torch.ones(len(sites), 1), sites)
    manager = fine.coordinate_manager
    coarse = native.SparseTensor(
        torch.ones(len(around), 1), around, tensor_stride=2, coordinate_manager=manager
    )
    generator = native.KernelGenerator(kernel.size, kernel.stride, dimension=2)
    for transposed, start in ((False, fine), (True, coarse)):
        key, pairs = manager.convolution_map(start.coordinate_map_key, generator, transposed)
        assert key == (fine if transposed else coarse).coordinate_map_key
        downwards = pairs.transposed if transposed else pairs
        assert set(listed(downwards)) == joined_pairs(sites, around, kernel)


@pytest.mark.parametrize("kernel", [Kernel.of(2, 3), Kernel.of(2, 2, 2)], ids=str)
def test_views_of_a_kernel_map(kernel: Kernel) -> None:
    fine = CoordinateMap(sites_for(kernel), (1,) * kernel.dimension)
    coarse = fine.strided(kernel.stride)
    made = strided_map(fine, coarse, offsets(kernel))
    assert {(n, o, i) for n, i, o in listed(made)} == set(listed(made.transposed))
    assert set(listed(made.transposed.transposed)) == set(listed(made))
    for (order, starts), rows, count in (
        (made.by_output, made.out_rows, made.n_out),
        (made.transposed.by_output, made.in_rows, made.n_in),
    ):
        assert sorted(order.tolist()) == list(range(len(rows)))
        for row in range(count):
            assert (rows[order[starts[row] : starts[row + 1]]] == row).all()
        assert int(starts[-1]) == len(rows)


def test_offsets_run_over_the_first_axis_fastest() -> None:
    assert offsets(Kernel.of(2, (3, 2), dilation=(1, 5))).tolist() == [
        [-1, 0],
        [0, 0],
        [1, 0],
        [-1, 5],
        [0, 5],
        [1, 5],
    ]


class Counter:
    """Counts the calls of a function that it stands in for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.calls = 0
        self.function = getattr(manager_module, name)
        monkeypatch.setattr(manager_module, name, self)

    def __call__(self, *arguments: object) -> object:
        self.calls += 1
        return self.function(*arguments)


def test_maps_are_made_once(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Counter(monkeypatch, name) for name in ("submanifold_map", "strided_map", "tiling_map")]
    sites = random_sites(60, 2, -8, 9)
    tensor = native.SparseTensor(torch.randn(len(sites), 2), sites)

    def pass_through() -> None:
        conv = native.MinkowskiConvolution(2, 2, kernel_size=3, dimension=2)
        down = native.MinkowskiConvolution(2, 2, kernel_size=2, stride=2, dimension=2)
        pool = native.MinkowskiMaxPooling(kernel_size=3, stride=2, dimension=2)
        up = native.MinkowskiConvolutionTranspose(2, 2, kernel_size=2, stride=2, dimension=2)
        fine = conv(conv(tensor))
        coarse = down(fine)
        assert pool(fine).coordinate_map_key == coarse.coordinate_map_key
        assert up(conv(coarse)).coordinate_map_key == tensor.coordinate_map_key
        native.MinkowskiGlobalAvgPooling()(coarse).F.sum().backward()

    pass_through()
    calls = [counter.calls for counter in made]
    assert sum(calls) == 4
    state = repr(tensor.coordinate_manager)
    pass_through()
    assert [counter.calls for counter in made] == calls
    assert repr(tensor.coordinate_manager) == state


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pairs: pickle.loads(pickle.dumps(pairs))])
def test_a_copy_needs_no_compiled_kernels(
    copied: Callable[[KernelMap], KernelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = CoordinateMap(random_sites(60, 2, -9, 9), (1, 1))
    made = submanifold_map(sites, offsets(Kernel.of(2, 3)))
    assert made.volume == 9
    features, kernel = torch.randn(len(sites), 2), torch.randn(9, 2, 3)
    expected = [convolve(features, kernel, pairs) for pairs in (made, made.transposed)]
    again = copied(made)
    assert again.volume == 9
    for _ in range(2):
        for pairs, sums in zip((again, again.transposed), expected, strict=True):
            torch.testing.assert_close(convolve(features, kernel, pairs), sums)
        again = copied(made)
        monkeypatch.setattr(compiled, "library", lambda: None)


def test_tensors_of_their_own_have_managers_of_their_own(native: ModuleType) -> None:
    sites = random_sites(20, 2, -8, 9)
    first, second = (native.SparseTensor(torch.ones(len(sites), 1), sites) for _ in range(2))
    assert first.coordinate_manager is not second.coordinate_manager
    third = native.SparseTensor(torch.ones(len(sites), 1), sites, coordinate_manager=first.coordinate_manager)
    assert third.coordinate_manager is first.coordinate_manager
    assert third.coordinate_map_key != first.coordinate_map_key


def test_what_the_manager_tells(native: ModuleType) -> None:
    sites = torch.tensor([[0, 0, 0], [0, 3, 1]], dtype=torch.int32)
    tensor = native.SparseTensor(torch.ones(2, 1), sites)
    manager, key = tensor.coordinate_manager, tensor.coordinate_map_key
    coarse = manager.stride(key, 2)
    assert manager.stride(key, [2, 2]) == coarse
    assert manager.exists(coarse)
    assert manager.size(coarse) == 2
    assert sorted(manager.get_coordinates(coarse).tolist()) == [[0, 0, 0], [0, 2, 0]]
    assert coarse.get_tensor_stride() == [2, 2]
    assert coarse.get_key() == ([2, 2], "")
    assert coarse.get_dimension() == 3
    assert len({coarse, manager.stride(key, 2), key}) == 2
    assert "[2, 2]: 2" in repr(manager)
    assert native.CoordinateMapKey(3, dimension=2).get_tensor_stride() == [3, 3]


def test_below_the_map_of_global_pooling_lies_the_same_map(native: ModuleType) -> None:
    sites = random_sites(60, 2, -8, 9)
    x = native.SparseTensor(torch.randn(len(sites), 2), sites)
    pooled = native.MinkowskiGlobalSumPooling()(x)
    strided = native.MinkowskiConvolution(2, 3, kernel_size=1, stride=2, dimension=2)(pooled)
    assert torch.equal(strided.C, pooled.C)
