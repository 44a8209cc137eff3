"""Tensor fields, arithmetic on unions, operation modes and the coordinate manager's own queries."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from sparse_backbones.engines.native.kernels import convolve
from tests.sparse_backbones.every_layer import MAPS, NORMS, POINTWISE, POOLING, Make, plain
from tests.sparse_backbones.oracle import assert_close, in_order, random_sites

# MinkowskiEngine's sparse products use old idioms of PyTorch.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:An output with one or more elements was resized:UserWarning"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.sparse.SparseTensor.* is deprecated:UserWarning"),
]

MODES = ["RANDOM_SUBSAMPLE", "UNWEIGHTED_AVERAGE", "UNWEIGHTED_SUM", "MAX_POOL"]


def points(dimension: int, count: int = 40) -> tuple[Tensor, Tensor]:
    """Float points (n, 1 + D) of two batch items, several to a voxel, and features (n, 3)."""
    places = torch.rand(count, dimension) * 4 - 1
    batch = (torch.arange(count) % 2)[:, None].float()
    return torch.cat([batch, places], dim=1), torch.rand(count, 3)


def by_site(tensor: Any) -> tuple[Tensor, Tensor]:
    rows = in_order(tensor.C)
    return tensor.C[rows], tensor.F[rows].detach()


def both(run: Callable[[ModuleType], Any], native: ModuleType, minkowski: ModuleType) -> None:
    """The engines give the same sites, features and gradient."""
    ours, theirs = run(native), run(minkowski)
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(mine, Tensor):
            assert_close(mine, other)
        else:
            assert torch.equal(by_site(mine)[0], by_site(other)[0])
            assert_close(by_site(mine)[1], by_site(other)[1])


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_field_to_sparse_and_back(
    native: ModuleType, minkowski: ModuleType, dimension: int, mode: str
) -> None:
    coordinates, features = points(dimension)

    def run(engine: ModuleType) -> tuple[Any, ...]:
        leaf = features.clone().requires_grad_()
        field = engine.TensorField(
            leaf, coordinates, quantization_mode=engine.SparseTensorQuantizationMode[mode]
        )
        sparse = field.sparse()
        if mode == "RANDOM_SUBSAMPLE" or mode == "MAX_POOL":
            (sparse.F**2).sum().backward()
            return (sparse, leaf.grad) if mode == "MAX_POOL" else (sparse.F.sum(),)
        if mode == "UNWEIGHTED_SUM":
            (sparse.F**2).sum().backward()
            return sparse, leaf.grad
        back = sparse.slice(field)
        joined = sparse.cat_slice(field)
        (joined.F**2).sum().backward()
        return sparse, back.F, joined.F, leaf.grad

    if mode == "RANDOM_SUBSAMPLE":
        field = native.TensorField(
            features, coordinates, quantization_mode=native.SparseTensorQuantizationMode[mode]
        )
        sparse = field.sparse()
        first = [
            int((field.inverse_mapping(sparse.coordinate_map_key) == r).nonzero()[0])
            for r in range(len(sparse))
        ]
        assert torch.equal(sparse.F, features[first])
    else:
        both(run, native, minkowski)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_splat_and_interpolation(native: ModuleType, minkowski: ModuleType, dimension: int) -> None:
    coordinates, features = points(dimension)

    def run(engine: ModuleType) -> tuple[Any, ...]:
        leaf = features.clone().requires_grad_()
        field = engine.TensorField(leaf, coordinates)
        splat = field.splat()
        again = splat.interpolate(field)
        queried = splat.features_at_coordinates(coordinates + 0.25 * (torch.arange(dimension + 1) > 0))
        (again.F**2 + queried).sum().backward()
        return splat, again.F, queried, leaf.grad

    both(run, native, minkowski)


def _stacked(name: str) -> Make:
    return lambda engine, _: getattr(engine, name)(engine.MinkowskiLinear(4, 3), engine.MinkowskiLinear(4, 3))


ON_FIELDS: dict[str, Make] = {
    **POINTWISE,
    **MAPS,
    "batch norm": NORMS["batch norm"],
    "global max": POOLING["global Max"],
    "feature": plain("MinkowskiToFeature"),
    "sparse": plain("MinkowskiToSparseTensor"),
    **{f"stack {kind}": _stacked(f"MinkowskiStack{kind}") for kind in ("Cat", "Sum", "Mean", "Var")},
}


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ON_FIELDS)
def test_layers_on_fields(native: ModuleType, minkowski: ModuleType, name: str, dimension: int) -> None:
    """Fields stay fields, with the same features and gradients, in both engines."""
    coordinates, _ = points(dimension)
    features = torch.randn(len(coordinates), 4)
    state = ON_FIELDS[name](minkowski, dimension).state_dict()

    def run(engine: ModuleType) -> tuple[Any, ...]:
        layer = ON_FIELDS[name](engine, dimension).eval()
        layer.load_state_dict(state)
        leaf = features.clone().requires_grad_()
        result = layer(engine.TensorField(leaf, coordinates))
        rows = result if isinstance(result, Tensor) else result.F
        gradients = torch.autograd.grad(rows.square().sum(), [leaf, *layer.parameters()])
        if isinstance(result, engine.SparseTensor):
            return result, *gradients
        assert isinstance(result, (Tensor, engine.TensorField))
        return rows, *gradients

    both(run, native, minkowski)


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul], ids=lambda o: o.__name__)
def test_arithmetic_on_a_union(
    native: ModuleType, minkowski: ModuleType, operation: Callable[[Any, Any], Any]
) -> None:
    left, right = random_sites(30, 2, 0, 6, batch=(0, 1)), random_sites(30, 2, 2, 8, batch=(0, 1))
    a, b = torch.rand(len(left), 2), torch.rand(len(right), 2)

    def run(engine: ModuleType) -> tuple[Any, ...]:
        leaves = [a.clone().requires_grad_(), b.clone().requires_grad_()]
        first = engine.SparseTensor(leaves[0], left)
        second = engine.SparseTensor(leaves[1], right, coordinate_manager=first.coordinate_manager)
        result = operation(first, second)
        (result.F**2).sum().backward()
        return result, leaves[0].grad, leaves[1].grad

    both(run, native, minkowski)


def test_sparse_is_a_torch_sparse_tensor(native: ModuleType) -> None:
    sites = torch.tensor([[0, -2, 4], [1, 2, 0]], dtype=torch.int32)
    tensor = native.SparseTensor(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), sites, tensor_stride=2)
    made, low, stride = tensor.sparse()
    assert (made.shape, low.tolist(), stride.tolist()) == ((2, 3, 3, 2), [[-1, 0]], [2, 2])
    dense = made.to_dense()
    assert dense[0, 0, 2].tolist() == [1, 2]
    assert dense[1, 2, 0].tolist() == [3, 4]
    assert float(dense.sum()) == 10


def test_operation_mode_shares_a_manager_until_it_is_cleared(engine: ModuleType) -> None:
    modes = engine.SparseTensorOperationMode
    sites = torch.tensor([[0, 1], [0, 2]], dtype=torch.int32)
    try:
        engine.set_sparse_tensor_operation_mode(modes.SHARE_COORDINATE_MANAGER)
        one, two = (engine.SparseTensor(torch.ones(2, 1), sites) for _ in range(2))
        assert one.coordinate_manager is two.coordinate_manager is engine.global_coordinate_manager()
        assert float((one + two).F.sum()) == 4
    finally:
        engine.clear_global_coordinate_manager()
        engine.set_sparse_tensor_operation_mode(modes.SEPARATE_COORDINATE_MANAGER)
    assert engine.global_coordinate_manager() is None
    assert engine.SparseTensor(torch.ones(2, 1), sites).coordinate_manager is not one.coordinate_manager


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_copies_carry_their_maps(native: ModuleType, copied: Callable[[Any], Any]) -> None:
    sites = random_sites(30, 2, 0, 6)
    tensor = native.SparseTensor(torch.rand(len(sites), 2), sites)
    layer = native.MinkowskiConvolution(2, 3, kernel_size=3, dimension=2)
    expected = layer(tensor)
    other = copied(tensor.detach())
    assert torch.equal(other.C, tensor.C)
    assert torch.equal(layer(other).F, expected.F)
    assert torch.equal((other + layer(other).replace(other.F)).F, 2 * tensor.F)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3},
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 3, "stride": 3, "is_pool": True},
        {"kernel_size": 3, "stride": 2, "is_transpose": True},
    ],
    ids=str,
)
def test_kernel_map(native: ModuleType, minkowski: ModuleType, arguments: dict[str, Any]) -> None:
    sites = random_sites(40, 2, 0, 8, batch=(0, 1))

    def run(engine: ModuleType) -> dict[int, list[Any]]:
        manager = engine.CoordinateManager(D=2)
        key, _ = manager.insert_and_map(sites, [1, 1])
        out = manager.stride(key, arguments.get("stride", 1))
        ends = (out, key) if arguments.get("is_transpose") else (key, out)
        places = [manager.get_coordinates(end).tolist() for end in ends]
        found = manager.kernel_map(*ends, **arguments)
        return {
            k: sorted((places[0][i], places[1][o]) for i, o in pairs.t().tolist())
            for k, pairs in found.items()
        }

    assert run(native) == run(minkowski)


def test_a_cross_is_a_cube_without_its_corners(native: ModuleType) -> None:
    sites = random_sites(60, 2, 0, 8)
    tensor = native.SparseTensor(torch.rand(len(sites), 2).double(), sites)
    cube = native.KernelGenerator(3, dimension=2)
    for generator in (
        native.KernelGenerator(3, region_type=native.RegionType.HYPER_CROSS, dimension=2),
        native.KernelGenerator(
            region_type=native.RegionType.CUSTOM,
            region_offsets=torch.tensor([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]]),
            dimension=2,
        ),
    ):
        layer = native.MinkowskiConvolution(2, 3, kernel_generator=generator, dimension=2).double()
        full = native.MinkowskiConvolution(2, 3, kernel_generator=cube, dimension=2).double()
        with torch.no_grad():
            full.kernel.zero_()
            for row, offset in enumerate(generator.offsets().tolist()):
                full.kernel[cube.offsets().tolist().index(offset)] = layer.kernel[row]
        assert_close(layer(tensor).F, full(tensor).F)


def test_second_derivatives_of_a_convolution(native: ModuleType) -> None:
    sites = random_sites(8, 2, 0, 4)
    manager = native.CoordinateManager(D=2)
    key, _ = manager.insert_and_map(sites)
    _, pairs = manager.convolution_map(key, native.KernelGenerator(3, 2, dimension=2), False)
    leaves = [
        torch.rand(shape, dtype=torch.float64, requires_grad=True) for shape in ((len(sites), 2), (9, 2, 2))
    ]
    assert torch.autograd.gradgradcheck(lambda x, kernel: convolve(x, kernel, pairs) ** 2, leaves)
