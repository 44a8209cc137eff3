"""Layers that join, leave out, pool or interpolate sets of sites, against plain loops over dictionaries.

1 to 4 dimensions, negative sites, several and absent batch items, tensor strides; numbers and gradients.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.sparse_backbones.oracle import assert_close, assert_same, distinct, outcome
from tests.sparse_backbones.stencil import interpolated

thoroughly = settings(max_examples=60, deadline=None, derandomize=True, database=None)

REACH = {1: 12, 2: 4, 3: 2, 4: 1}


@st.composite
def layouts(draw: st.DrawFn, maps: int = 1) -> tuple[tuple[int, ...], list[Tensor]]:
    """A tensor stride, and the sites (N, 1 + D) int32 of so many maps, N from 1 on."""
    dimension = draw(st.integers(1, 4))
    unit = draw(st.tuples(*[st.integers(1, 3)] * dimension))
    item = st.sampled_from(draw(st.sampled_from([(0,), (0, 1), (0, 2, 5), (3,)])))
    place = st.tuples(item, *[st.integers(-REACH[dimension], REACH[dimension])] * dimension)
    scale = torch.tensor((1, *unit), dtype=torch.int32)
    drawn = [draw(st.lists(place, min_size=1, max_size=20, unique=True)) for _ in range(maps)]
    return unit, [torch.tensor(rows, dtype=torch.int32) * scale for rows in drawn]


def features_at(sites: Tensor, number: int = 0) -> Tensor:
    """Numbers that belong to the site, all different, float64 (N, 2), as a leaf."""
    weights = torch.tensor([7.1414, 1.0, 2.2361, 5.9161, 11.2697][: sites.shape[1]]).double()
    mixed = sites.double() @ weights + number
    return torch.stack([torch.sin(mixed + 0.37), torch.cos(1.7 * mixed + 0.61)], dim=1).requires_grad_()


def tensors(engine: ModuleType, unit: tuple[int, ...], sets: list[Tensor]) -> list[Any]:
    """One tensor per set of sites, of one manager."""
    manager = engine.CoordinateManager(D=len(unit))
    return [
        engine.SparseTensor(features_at(sites, number), sites, tensor_stride=unit, coordinate_manager=manager)
        for number, sites in enumerate(sets)
    ]


def rows_by_site(sites: Tensor, features: Tensor) -> dict[tuple[int, ...], Tensor]:
    return dict(zip(map(tuple, sites.tolist()), features, strict=True))


def assert_rows(result: Any, expected: dict[tuple[int, ...], Tensor], leaves: list[Tensor]) -> None:
    """The result's rows are those expected, and so are the gradients of the leaves."""
    named = {str(number): leaf for number, leaf in enumerate(leaves)}
    places = sorted(expected)
    assert_same(
        outcome(result.C, result.F, named),
        outcome(torch.tensor(places), torch.stack([expected[place] for place in places]), named),
    )


@thoroughly
@given(drawn=layouts(maps=3))
def test_union_adds_up(native: ModuleType, drawn: tuple[tuple[int, ...], list[Tensor]]) -> None:
    items = tensors(native, *drawn)
    expected: dict[tuple[int, ...], Tensor] = {}
    for item in items:
        for place, row in rows_by_site(item.C, item.F).items():
            expected[place] = expected[place] + row if place in expected else row
    assert_rows(native.MinkowskiUnion()(*items), expected, [item.F for item in items])


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul], ids=lambda o: o.__name__)
@thoroughly
@given(drawn=layouts(maps=2))
def test_arithmetic_on_the_union(
    native: ModuleType,
    operation: Callable[[Any, Any], Any],
    drawn: tuple[tuple[int, ...], list[Tensor]],
) -> None:
    left, right = tensors(native, *drawn)
    expected = rows_by_site(left.C, left.F)
    for place, row in rows_by_site(right.C, right.F).items():
        expected[place] = operation(expected.get(place, torch.zeros_like(row)), row)
    assert_rows(operation(left, right), expected, [left.F, right.F])


@thoroughly
@given(drawn=layouts(), data=st.data())
def test_pruning(native: ModuleType, drawn: tuple[tuple[int, ...], list[Tensor]], data: Any) -> None:
    (x,) = tensors(native, *drawn)
    keep = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(x), max_size=len(x))))
    pruned = native.MinkowskiPruning()(x, keep)
    assert torch.equal(pruned.C, x.C[keep])
    assert torch.equal(pruned.F, x.F[keep])
    assert pruned.tensor_stride == x.tensor_stride
    (gradient,) = torch.autograd.grad(pruned.F.sum(), x.F)
    assert torch.equal(gradient, keep[:, None].double().expand(-1, 2))


@thoroughly
@given(drawn=layouts(), data=st.data())
def test_interpolation(native: ModuleType, drawn: tuple[tuple[int, ...], list[Tensor]], data: Any) -> None:
    """Between, on and outside the sites; in units of the tensor stride, quarters are exact."""
    unit, (sites,) = drawn
    (x,) = tensors(native, *drawn)
    reach = 4 * (max(REACH[len(unit)] * max(unit), 1) + 2)
    place = st.tuples(st.integers(0, 3), *[st.integers(-reach, reach).map(lambda n: n / 4)] * len(unit))
    samples = torch.tensor(data.draw(st.lists(place, min_size=1, max_size=10)), dtype=torch.float64)
    samples = torch.cat([samples, sites.double()])
    actual = native.MinkowskiInterpolation()(x, samples)
    expected = interpolated(sites, x.F, samples, unit)
    assert_close(actual, expected)
    assert_close(x.features_at_coordinates(samples), expected)
    gradients = [torch.autograd.grad(torch.sin(rows).sum(), x.F)[0] for rows in (actual, expected)]
    assert_close(gradients[0], gradients[1])


@thoroughly
@given(drawn=layouts(), data=st.data())
def test_splatting_is_interpolation_turned_round(
    native: ModuleType, drawn: tuple[tuple[int, ...], list[Tensor]], data: Any
) -> None:
    """What a point gives to a site is the share that interpolation there would take."""
    (sites,) = drawn[1]
    parts = data.draw(
        st.lists(st.integers(0, 3), min_size=sites.numel(), max_size=sites.numel()).map(torch.tensor)
    )
    points = sites + parts.reshape(sites.shape) / 4 * (torch.arange(sites.shape[1]) > 0)
    leaf = features_at(sites)
    splat = native.TensorField(leaf, points.double()).splat()
    shares = interpolated(
        splat.C, torch.eye(len(splat), dtype=torch.float64), points, [1] * (sites.shape[1] - 1)
    )
    expected = outcome(splat.C, shares.t() @ leaf, {"0": leaf})
    assert_same(outcome(splat.C, splat.F, {"0": leaf}), expected)
    assert_close(splat.F.sum(0), leaf.sum(0))


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Sum": lambda rows: rows.sum(0),
    "Avg": lambda rows: rows.mean(0),
    "Max": lambda rows: rows.amax(0),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("kind", ["tensor", "field"])
@thoroughly
@given(drawn=layouts())
def test_global_pooling(
    native: ModuleType, name: str, kind: str, drawn: tuple[tuple[int, ...], list[Tensor]]
) -> None:
    unit, (sites,) = drawn
    if kind == "tensor":
        (x,) = tensors(native, *drawn)
    else:
        x = native.TensorField(features_at(sites), sites + torch.tensor([0.0, *[0.25] * len(unit)]))
    expected = {
        (item, *[0] * len(unit)): REDUCTIONS[name](x.F[sites[:, 0] == item])
        for item in set(sites[:, 0].tolist())
    }
    assert_rows(getattr(native, f"MinkowskiGlobal{name}Pooling")()(x), expected, [x.F])


@pytest.mark.parametrize("stable", [False, True])
@thoroughly
@given(drawn=layouts())
def test_instance_norm(native: ModuleType, stable: bool, drawn: tuple[tuple[int, ...], list[Tensor]]) -> None:
    (sites,) = drawn[1]
    (x,) = tensors(native, *drawn)
    layer = (native.MinkowskiStableInstanceNorm if stable else native.MinkowskiInstanceNorm)(2).double()
    torch.nn.init.uniform_(layer.weight)
    torch.nn.init.uniform_(layer.bias)
    expected = {}
    for item in set(sites[:, 0].tolist()):
        rows = x.F[sites[:, 0] == item]
        variance = rows.var(0, unbiased=False)
        normal = (rows - rows.mean(0)) / torch.sqrt(variance + layer.eps) * layer.weight + layer.bias
        expected.update(rows_by_site(sites[sites[:, 0] == item], normal))
    if all(int((sites[:, 0] == item).sum()) > 1 for item in set(sites[:, 0].tolist())):
        assert_rows(layer(x), expected, [x.F, layer.weight, layer.bias])
    else:
        # The gradient of a single site is 0 by cancellation of numbers of 1e4.
        assert_close(layer(x).F, torch.stack([expected[tuple(site)] for site in sites.tolist()]))


@pytest.mark.parametrize("mode", ["RANDOM_SUBSAMPLE", "UNWEIGHTED_AVERAGE", "UNWEIGHTED_SUM", "MAX_POOL"])
@thoroughly
@given(drawn=layouts(), data=st.data())
def test_quantization(
    native: ModuleType, mode: str, drawn: tuple[tuple[int, ...], list[Tensor]], data: Any
) -> None:
    """Of a field at a stride, and back by slicing."""
    unit, (sites,) = drawn
    rows = data.draw(st.lists(st.integers(0, len(sites) - 1), min_size=1, max_size=30))
    parts = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))) / 4
    points = sites[rows].double()
    points[:, 1:] += parts[:, None] * torch.tensor(unit)
    leaf = features_at(torch.arange(len(rows))[:, None])
    field = native.TensorField(leaf, points, quantization_mode=native.SparseTensorQuantizationMode[mode])
    reduction: dict[str, Callable[[Tensor], Tensor]] = {
        "RANDOM_SUBSAMPLE": lambda part: part[0],
        "UNWEIGHTED_AVERAGE": REDUCTIONS["Avg"],
        "UNWEIGHTED_SUM": REDUCTIONS["Sum"],
        "MAX_POOL": REDUCTIONS["Max"],
    }
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(tuple(sites[row].tolist()), []).append(number)
    expected = {place: reduction[mode](leaf[group]) for place, group in groups.items()}
    sparse = field.sparse(tensor_stride=unit)
    assert_rows(sparse, expected, [leaf])
    if mode in ("RANDOM_SUBSAMPLE", "UNWEIGHTED_AVERAGE"):
        assert_close(
            sparse.slice(field).F, torch.stack([expected[tuple(sites[row].tolist())] for row in rows])
        )


@thoroughly
@given(drawn=layouts(), data=st.data())
def test_dense_and_back(native: ModuleType, drawn: tuple[tuple[int, ...], list[Tensor]], data: Any) -> None:
    (x,) = tensors(native, *drawn)
    dense, low, stride = x.dense()
    back = native.to_sparse(dense)
    places = back.C.clone()
    places[:, 1:] = places[:, 1:] * stride + low
    assert torch.equal(distinct(places), distinct(x.C))
    assert_same(outcome(places, back.F, {"0": x.F}), outcome(x.C, x.F, {"0": x.F}))


def test_maps_of_pruned_tensors_are_not_taken_for_each_other(native: ModuleType) -> None:
    """A pruned coarse tensor is no coarser map of a pruned fine one."""
    sites = torch.tensor([[0, 0], [0, 1], [0, 4], [0, 5]], dtype=torch.int32)
    fine = native.SparseTensor(torch.ones(4, 1), sites)
    down = native.MinkowskiSumPooling(kernel_size=2, stride=2, dimension=1)
    coarse = down(fine)
    native.MinkowskiPruning()(coarse, coarse.C[:, 1] >= 4)
    left = native.MinkowskiPruning()(fine, fine.C[:, 1] < 4)
    assert down(left).C.tolist() == [[0, 0]]


def test_maps_of_unions_are_not_taken_for_each_other(native: ModuleType) -> None:
    sites = torch.tensor([[0, 0], [0, 1], [0, 4], [0, 5]], dtype=torch.int32)
    fine = native.SparseTensor(torch.ones(4, 1), sites)
    down = native.MinkowskiSumPooling(kernel_size=2, stride=2, dimension=1)
    coarse = down(fine)
    manager = fine.coordinate_manager
    far = native.SparseTensor(torch.ones(1, 1), torch.tensor([[0, 8]]), 2, coordinate_manager=manager)
    assert len(coarse + far) == 3
    near = native.SparseTensor(torch.ones(1, 1), torch.tensor([[0, 2]]), coordinate_manager=manager)
    assert sorted(down(fine + near).C[:, 1].tolist()) == [0, 2, 4]
