"""SparseTensor: duplicates, joining, arithmetic, dense tensors, and what it refuses."""

from __future__ import annotations

import operator
import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.sparse_backbones.oracle import assert_close, assert_same, distinct, in_order, outcome, random_sites

# MinkowskiEngine averages and sums duplicates by functions that torch has deprecated.
minkowski_merges = pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:<class 'sparse_matrix_functions.Minkowski:DeprecationWarning",
)


def duplicated(count: int = 60) -> tuple[Tensor, Tensor]:
    """Sites of which most occur more than once."""
    return torch.randint(0, 3, (count, 3)).int(), torch.randn(count, 2).double()


def merged(sites: Tensor, features: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """The distinct sites, and the features of each merged by hand."""
    kept = distinct(sites)
    groups = [features[(sites == site).all(1)] for site in kept]
    by_mode = {
        "RANDOM_SUBSAMPLE": lambda group: group[0],
        "UNWEIGHTED_AVERAGE": lambda group: group.mean(0),
        "UNWEIGHTED_SUM": lambda group: group.sum(0),
        "MAX_POOL": lambda group: group.amax(0),
    }
    return kept, torch.stack([by_mode[mode](group) for group in groups])


def check_merge(engine: ModuleType, mode: str, dtype: torch.dtype) -> None:
    sites, features = duplicated()
    leaf, twin = features.to(dtype).requires_grad_(), features.requires_grad_()
    tensor = engine.SparseTensor(leaf, sites, quantization_mode=engine.SparseTensorQuantizationMode[mode])
    expected = outcome(*merged(sites, twin, mode), {"input": twin})
    assert_same(outcome(tensor.C, tensor.F, {"input": leaf}), expected)


@minkowski_merges
@pytest.mark.parametrize("mode", ["RANDOM_SUBSAMPLE", "UNWEIGHTED_AVERAGE", "UNWEIGHTED_SUM"])
def test_duplicates(engine: ModuleType, mode: str) -> None:
    check_merge(engine, mode, torch.float32)


@pytest.mark.parametrize("mode", ["RANDOM_SUBSAMPLE", "UNWEIGHTED_AVERAGE", "UNWEIGHTED_SUM", "MAX_POOL"])
def test_duplicates_in_full_precision(native: ModuleType, mode: str) -> None:
    """Native alone: MinkowskiEngine averages with float32 weights, and merges nothing by maximum."""
    check_merge(native, mode, torch.float64)


def test_duplicates_that_must_not_be_merged_are_an_error(native: ModuleType) -> None:
    mode = native.SparseTensorQuantizationMode.NO_QUANTIZATION
    sites = torch.tensor([[0, 1, 1], [0, 1, 1], [0, 2, 2]], dtype=torch.int32)
    with pytest.raises(ValueError, match="1 coordinates occur more than once; choose a quantization_mode"):
        native.SparseTensor(torch.ones(3, 1), sites, quantization_mode=mode)
    kept = native.SparseTensor(torch.ones(2, 1), sites[1:], quantization_mode=mode)
    assert kept.C.tolist() == [[0, 1, 1], [0, 2, 2]]


def test_rows_can_be_followed_through_the_merge(engine: ModuleType) -> None:
    sites, features = duplicated()
    tensor = engine.SparseTensor(features, sites)
    assert torch.equal(tensor.C, sites[tensor.unique_index])
    assert torch.equal(tensor.C[tensor.inverse_mapping.long()], sites)
    single = engine.SparseTensor(features[:1], sites[:1])
    assert single.unique_index.tolist() == [0]
    assert single.inverse_mapping.tolist() == [0]


def test_without_duplicates_the_rows_stay_in_place(native: ModuleType) -> None:
    sites = random_sites(50, 3, -4, 5)
    features = torch.randn(len(sites), 2)
    tensor = native.SparseTensor(features, sites)
    assert torch.equal(tensor.C, sites)
    assert tensor.F is features


@pytest.mark.parametrize("kind", [torch.int64, torch.int16, torch.float32, torch.float64])
def test_other_types_of_coordinates(native: ModuleType, kind: torch.dtype) -> None:
    """Floats are rounded down, not towards 0."""
    sites = torch.tensor([[0, -3, 7], [1, 2, -8]]).to(kind)
    if kind.is_floating_point:
        sites[:, 1:] += 0.75
    tensor = native.SparseTensor(torch.ones(2, 1), sites)
    assert tensor.C.dtype is torch.int32
    assert tensor.C.tolist() == [[0, -3, 7], [1, 2, -8]]


@pytest.mark.parametrize(
    "sites",
    [
        torch.tensor([[0, 2**31, 0]]),
        torch.tensor([[0, 0, -(2**31) - 1]]),
        torch.tensor([[0, 2**31, 0]], dtype=torch.uint32),
        torch.tensor([[0, 2**64 - 1, 0]], dtype=torch.uint64),
        torch.tensor([[0.0, float(2**31), 0.0]]),
        torch.tensor([[0.0, torch.nan, 0.0]]),
        torch.tensor([[0.0, 0.0, -torch.inf]]),
        torch.tensor([[0.0, 0.0, -torch.inf]], dtype=torch.float16),
    ],
    ids=str,
)
def test_coordinates_that_int32_cannot_hold_are_an_error(native: ModuleType, sites: Tensor) -> None:
    with pytest.raises(ValueError, match="must be finite and fit in 32 bits"):
        native.SparseTensor(torch.ones(1, 1), sites)


SITES = torch.tensor([[0, 0, 0], [0, 2, 4]], dtype=torch.int32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": torch.ones(2), "coordinates": SITES}, "features must have the shape (N, C), not (2,)"),
        ({"features": torch.ones(3, 1), "coordinates": SITES}, "3 features for 2 coordinates"),
        ({"features": torch.ones(2, 1), "coordinates": SITES[0]}, "must have the shape (N, 1 + D)"),
        ({"features": torch.ones(2, 1), "coordinates": SITES[:, :1]}, "not (2, 1)"),
        ({"features": torch.ones(2, 1)}, "give coordinates, or a coordinate_map_key"),
        (
            {"features": torch.ones(2, 1), "coordinates": SITES, "tensor_stride": [2]},
            "there are 2 spatial dimensions",
        ),
        ({"features": torch.ones(2, 1), "coordinates": SITES - 1}, "batch indices must not be negative"),
    ],
    ids=range(7),
)
def test_what_a_tensor_refuses(native: ModuleType, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        native.SparseTensor(**arguments)


def test_keys_and_managers_that_do_not_fit_are_refused(native: ModuleType) -> None:
    first = native.SparseTensor(torch.ones(2, 1), SITES)
    manager = first.coordinate_manager
    with pytest.raises(ValueError, match="3 features for 2 sites"):
        native.SparseTensor(
            torch.ones(3, 1), coordinate_map_key=first.coordinate_map_key, coordinate_manager=manager
        )
    with pytest.raises(ValueError, match="not both"):
        native.SparseTensor(torch.ones(2, 1), SITES, coordinate_map_key=first.coordinate_map_key)
    with pytest.raises(ValueError, match="not in this coordinate manager"):
        native.SparseTensor(
            torch.ones(2, 1), coordinate_map_key=native.CoordinateMapKey([2, 2]), coordinate_manager=manager
        )
    with pytest.raises(ValueError, match=re.escape("shape (N, 3)")):
        native.SparseTensor(
            torch.ones(1, 1), torch.zeros(1, 4, dtype=torch.int32), coordinate_manager=manager
        )


@pytest.mark.parametrize("as_list", [False, True])
def test_joined_channels(engine: ModuleType, as_list: bool) -> None:
    sites = random_sites(30, 2, -4, 5)
    leaf = torch.randn(len(sites), 2).double().requires_grad_()
    first = engine.SparseTensor(leaf, sites)
    parts = [first, engine.MinkowskiSigmoid()(first), engine.MinkowskiTanh()(first)]
    joined = engine.cat(parts) if as_list else engine.cat(*parts)
    expected = outcome(sites, torch.cat([leaf, leaf.sigmoid(), leaf.tanh()], dim=1), {"input": leaf})
    assert_same(outcome(joined.C, joined.F, {"input": leaf}), expected)


def test_arithmetic_on_one_map(engine: ModuleType) -> None:
    sites = random_sites(30, 2, -4, 5)
    first = engine.SparseTensor(torch.rand(len(sites), 2).double() + 1, sites)
    second = engine.MinkowskiSigmoid()(first)
    a, b = first.F, second.F
    assert_close((first + second).F, a + b)
    assert_close((first - second).F, a - b)
    assert_close((first * second).F, a * b)
    assert_close((first / second).F, a / b)
    assert_close((first + b).F, a + b)
    assert (first + second).coordinate_map_key == first.coordinate_map_key


def test_arithmetic_with_numbers(native: ModuleType) -> None:
    tensor = native.SparseTensor(torch.tensor([[1.0], [4.0]]), SITES)
    assert ((tensor * 3 + 1) / 2 - 0.5).F.tolist() == [[1.5], [6.0]]


def test_managers_do_not_mix(native: ModuleType) -> None:
    first = native.SparseTensor(torch.ones(2, 1), SITES)
    stranger = native.SparseTensor(torch.ones(2, 1), SITES)
    for operation in (operator.add, operator.mul, operator.iadd, native.cat):
        with pytest.raises(ValueError, match="same coordinate map"):
            operation(first, stranger)


def test_cat_and_operators_in_place_need_one_map(native: ModuleType) -> None:
    first = native.SparseTensor(torch.ones(2, 1), SITES)
    coarse = native.MinkowskiSumPooling(kernel_size=2, stride=2, dimension=2)(first)
    for operation in (operator.iadd, operator.imul, native.cat):
        with pytest.raises(ValueError, match="same coordinate map"):
            operation(first, coarse)


def test_dense(engine: ModuleType) -> None:
    sites = random_sites(40, 3, 0, 5, batch=(0, 2))
    leaf = torch.randn(len(sites), 2).double().requires_grad_()
    dense, low, stride = engine.SparseTensor(leaf, sites).dense(shape=torch.Size([4, 2, 5, 6, 7]))
    expected = torch.zeros(4, 2, 5, 6, 7, dtype=torch.float64)
    for (item, *place), row in zip(sites.tolist(), leaf.detach(), strict=True):
        expected[item, :, *place] = row
    assert_close(dense, expected)
    assert low.flatten().tolist() == sites[:, 1:].amin(0).tolist() or not low.any()
    assert stride.tolist() == [1, 1, 1]
    weights = torch.randn_like(dense)
    (dense * weights).sum().backward()
    places = sites.long()
    assert leaf.grad is not None
    assert_close(leaf.grad, weights[places[:, 0], :, places[:, 1], places[:, 2], places[:, 3]])


def test_dense_at_a_coarser_stride(engine: ModuleType) -> None:
    sites = random_sites(40, 2, -9, 10)
    tensor = engine.MinkowskiSumPooling(kernel_size=4, stride=4, dimension=2)(
        engine.SparseTensor(torch.randn(len(sites), 2).double(), sites)
    )
    lowest = torch.tensor([-12, -12], dtype=torch.int32)
    dense, low, stride = tensor.dense(min_coordinate=lowest)
    assert low.flatten().tolist() == [-12, -12]
    assert stride.tolist() == [4, 4]
    cells = (tensor.C[:, 1:] + 12) // 4
    for item, (x, y), row in zip(tensor.C[:, 0].tolist(), cells.tolist(), tensor.F, strict=True):
        assert torch.equal(dense[item, :, x, y], row)
    assert int((dense != 0).sum()) == tensor.F.numel()
    spread = tensor.dense(min_coordinate=lowest, contract_stride=False)[0]
    assert_close(spread[:, :, ::4, ::4], dense)


def test_dense_of_negative_coordinates_starts_at_the_lowest(native: ModuleType) -> None:
    sites = torch.tensor([[0, -2, 3], [1, 1, 5]], dtype=torch.int32)
    dense, low, _ = native.SparseTensor(torch.tensor([[1.0], [2.0]]), sites).dense()
    assert low.tolist() == [-2, 3]
    assert tuple(dense.shape) == (2, 1, 4, 3)
    assert dense[0, 0, 0, 0] == 1
    assert dense[1, 0, 3, 2] == 2


def test_dense_takes_the_channels_from_the_features(engine: ModuleType) -> None:
    tensor = engine.SparseTensor(torch.ones(2, 3), SITES)
    assert tensor.dense(shape=torch.Size((1, 7, 9, 9)))[0].shape == (1, 3, 9, 9)


def test_dense_after_global_pooling(native: ModuleType) -> None:
    tensor = native.SparseTensor(torch.tensor([[1.0], [3.0]]), SITES)
    dense, low, _ = native.MinkowskiGlobalAvgPooling()(tensor).dense()
    assert dense.tolist() == [[[[2.0]]]]
    assert low.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (1, 1, 3, 4)}, "outside the dense shape (1, 1, 3, 4)"),
        ({"shape": (0, 1, 9, 9)}, "outside the dense shape"),
        ({"shape": (1, 1, 9)}, "shape must be (B, C, and 2 sizes)"),
        ({"min_coordinate": torch.tensor([2, 2])}, "outside the dense shape"),
    ],
    ids=range(4),
)
def test_dense_refuses_what_does_not_fit(native: ModuleType, arguments: dict[str, Any], message: str) -> None:
    tensor = native.SparseTensor(torch.ones(2, 1), SITES)
    with pytest.raises(ValueError, match=re.escape(message)):
        tensor.dense(**arguments)


def test_dense_refuses_an_origin_between_the_sites(native: ModuleType) -> None:
    tensor = native.SparseTensor(torch.ones(2, 1), SITES, tensor_stride=2)
    with pytest.raises(ValueError, match="multiple of the stride"):
        tensor.dense(min_coordinate=torch.tensor([-1, 0]))


def test_batch_items_taken_apart(engine: ModuleType) -> None:
    sites = random_sites(40, 2, -4, 5, batch=(0, 1))
    features = torch.randn(len(sites), 2)
    coordinates, parts = engine.SparseTensor(features, sites).decomposed_coordinates_and_features
    for item in (0, 1):
        expected = sites[:, 0] == item
        rows, others = in_order(coordinates[item]), in_order(sites[expected, 1:])
        assert torch.equal(coordinates[item][rows], sites[expected, 1:][others])
        assert torch.equal(parts[item][rows], features[expected][others])


def test_an_empty_item_is_an_empty_part(native: ModuleType) -> None:
    sites = torch.tensor([[2, 5, 5]], dtype=torch.int32)
    tensor = native.SparseTensor(torch.ones(1, 3), sites)
    assert [len(part) for part in tensor.decomposed_coordinates] == [0, 0, 1]
    assert [tuple(part.shape) for part in tensor.decomposed_features] == [(0, 3), (0, 3), (1, 3)]


def test_views_of_a_tensor(native: ModuleType) -> None:
    leaf = torch.ones(2, 3, requires_grad=True)
    tensor = native.SparseTensor(leaf, SITES, tensor_stride=np.array([2, 4]))
    assert tensor.tensor_stride == [2, 4]
    assert (len(tensor), tensor.D, tuple(tensor.shape), tuple(tensor.size())) == (2, 2, (2, 3), (2, 3))
    assert (tensor.dtype, tensor.device.type) == (torch.float32, "cpu")
    assert torch.equal(tensor.features, tensor.F)
    assert torch.equal(tensor.coordinates, tensor.C)
    assert tensor.requires_grad
    assert not tensor.detach().requires_grad
    assert tensor.detach().coordinate_map_key == tensor.coordinate_map_key
    assert repr(tensor) == "SparseTensor(sites=2, channels=3, stride=[2, 4])"
    assert native.SparseTensor(torch.ones(2, 1), SITES, requires_grad=True).requires_grad
