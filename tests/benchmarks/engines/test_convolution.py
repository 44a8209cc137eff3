"""The contestants: that they compute the same, and that the check of it sees when they do not."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from benchmarks.engines.cases import MOST_GFLOP, RESAMPLED, Layer, layers
from benchmarks.engines.convolution import Convolution, Floor, NewMap, Result, difference, row_order
from benchmarks.engines.run import Disagreement, agreed
from benchmarks.engines.workloads import drawn
from sparse_backbones import engines

LAYERS = [Layer(3, 4), Layer(5, 4), Layer(2, 4, 2), Layer(3, 4, 2), Layer(2, 4, 2, transposed=True)]
COORDINATES = {2: torch.from_numpy(drawn(9, 2, 30)).int(), 3: torch.from_numpy(drawn(5, 3, 40)).int()}


@pytest.fixture
def native() -> ModuleType:
    return engines.load("native")


@pytest.fixture
def minkowski() -> ModuleType:
    try:
        return engines.load("minkowski")
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("dimension", [2, 3])
def test_engines_agree(layer: Layer, dimension: int, native: ModuleType, minkowski: ModuleType) -> None:
    coordinates = COORDINATES[dimension][torch.randperm(len(COORDINATES[dimension]))]
    contestants = {
        name: Convolution(engine, layer, coordinates)
        for name, engine in {"native": native, "minkowski": minkowski}.items()
    }
    apart = agreed(contestants)
    assert apart is not None and apart < 1e-5
    assert sorted(contestants["native"].counts) == sorted(contestants["minkowski"].counts)
    sites = len(contestants["native"].out_order)
    assert sites == len(coordinates) if layer.stride == 1 or layer.transposed else sites < len(coordinates)


@pytest.mark.parametrize("row_of_kernel", [0, 4])
def test_a_wrong_engine_is_found_out(native: ModuleType, row_of_kernel: int) -> None:
    right, wrong = (Convolution(native, LAYERS[0], COORDINATES[2]) for _ in range(2))
    assert agreed({"native": right}) is None
    assert agreed({"native": right, "other": wrong}) == 0
    with torch.no_grad():
        wrong.conv.kernel[row_of_kernel, 1, 2] += 0.01
    with pytest.raises(Disagreement, match="other on k3_c4"):
        agreed({"native": right, "other": wrong})


def test_each_part_of_a_result_is_compared() -> None:
    parts = {name: torch.tensor([[1.0, -4.0]]) for name in ("output", "features", "kernel")}
    for name in parts:
        other = Result(**{**parts, name: torch.tensor([[1.0, -3.0]])})
        assert Result(**parts).disagreement(other) == 0.25
    assert Result(**parts).disagreement(Result(**parts)) == 0


def test_what_cannot_be_compared_is_infinitely_apart() -> None:
    assert difference(torch.ones(2, 3), torch.ones(3, 2)) == float("inf")
    assert difference(torch.ones(2), torch.tensor([1.0, float("nan")])) == float("inf")
    assert difference(torch.zeros(0, 3), torch.zeros(0, 3)) == 0


def test_rows_are_in_order_of_batch_then_coordinates() -> None:
    coordinates = torch.tensor([[1, 0, 0], [0, 2, 1], [0, 1, 5], [0, 2, 0]])
    assert row_order(coordinates).tolist() == [2, 3, 1, 0]


def test_pairs_are_those_of_neighbours(native: ModuleType) -> None:
    coordinates = torch.tensor([[0, 0, 0], [0, 0, 1], [0, 5, 5]], dtype=torch.int32)
    # Three places that meet themselves, and two neighbours that meet each other.
    assert sorted(Convolution(native, Layer(3, 2), coordinates).counts) == [1, 1, 3]
    assert sum(Convolution(native, Layer(2, 2, 2), coordinates).counts) == 3
    assert sum(Convolution(native, Layer(2, 2, 2, transposed=True), coordinates).counts) == 3


def test_the_floor_makes_three_products_an_offset() -> None:
    made: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    floor = Floor([5, 1, 3], 4)
    real = torch.mm

    def mm(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> None:
        made.append((tuple(a.shape), tuple(b.shape)))
        real(a, b, out=out)
        assert torch.equal(out, a @ b)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "mm", mm)
        floor.forward()
        assert made == [((n, 4), (4, 4)) for n in (5, 1, 3)]
        floor.forward_backward()
    backward = made[6:]
    assert backward[::2] == [((n, 4), (4, 4)) for n in (5, 1, 3)]
    assert backward[1::2] == [((4, n), (n, 4)) for n in (5, 1, 3)]
    Floor([], 4).forward_backward()


def test_a_new_map_takes_time_and_computes_gradients(native: ModuleType) -> None:
    first = NewMap(native, 3, 2, COORDINATES[3])
    assert first.map_seconds() > 0
    first.forward_backward()
    assert first.features.grad is not None and first.features.grad.abs().sum() > 0
    assert first.conv.kernel.grad.abs().sum() > 0


def test_names_and_operations_of_layers() -> None:
    assert [layer.name for layer in LAYERS] == ["k3_c4", "k5_c4", "k2s2_c4", "k3s2_c4", "k2s2t_c4"]
    assert Layer(3, 100).gflop(1_000_000) == pytest.approx(20)
    assert Layer(3, 128).gflop(110_592 * 26) < MOST_GFLOP
    plain, more = layers("3d_full", [16, 64]), layers(RESAMPLED[0], [16, 32])
    assert [layer.name for layer in plain] == ["k3_c16", "k3_c64", "k5_c16", "k5_c64"]
    assert [layer.name for layer in more[4:]] == ["k2s2_c32", "k3s2_c32", "k2s2t_c32"]
    assert {layer.channels for layer in layers(RESAMPLED[0], [16])} == {16}
