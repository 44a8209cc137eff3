"""What code written for MinkowskiEngine relies on, beyond layers: GPU, checks, old names, kernels."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.sparse_backbones.oracle import random_sites

SITES = torch.tensor([[0, 0, 0], [0, 3, 1], [1, 2, 2], [1, 5, 5]], dtype=torch.int32)


def test_the_gpu_is_what_torch_says(native: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert native.is_cuda_available() == torch.cuda.is_available()
    assert native.cuda_version() == native.cudart_version()
    assert (native.cuda_version() == -1) == (torch.version.cuda is None)
    free, total = native.get_gpu_memory_info()
    assert 0 <= free <= total
    native.print_diagnostics()
    assert f"torch: {torch.__version__}" in capsys.readouterr().out


def test_cuda_versions_are_numbers(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    assert native.cuda_version() == 12040


def test_allocators_are_accepted(native: ModuleType) -> None:
    native.set_gpu_allocator(native.GPUMemoryAllocatorType.CUDA)
    with pytest.warns(UserWarning, match="use set_gpu_allocator"):
        native.set_memory_manager_backend(native.GPUMemoryAllocatorType.PYTORCH)
    with pytest.raises(ValueError, match="must be a GPUMemoryAllocatorType, not 'cuda'"):
        native.set_gpu_allocator("cuda")


def test_the_old_manager_says_its_new_name(engine: ModuleType) -> None:
    with pytest.raises(DeprecationWarning, match="CoordinateManager"):
        engine.CoordsManager(D=2)


def test_one_number_per_axis(engine: ModuleType) -> None:
    for given in (2, [2, 2, 2], np.array([2, 2, 2])):
        made = engine.convert_to_int_tensor(given, 3)
        assert made.dtype is torch.int32
        assert made.tolist() == [2, 2, 2]


class Wrong(torch.autograd.Function):
    """Squares, with half of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x)
        return x * x * scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.saved_tensors[0], None


def test_gradcheck(native: ModuleType) -> None:
    from sparse_backbones.engines.native.utils.gradcheck import gradcheck

    tensor = native.SparseTensor(torch.randn(4, 2).double().requires_grad_(), SITES)
    layer = native.MinkowskiConvolution(2, 3, 3, stride=2, dimension=2).double()
    out = layer(tensor)
    arguments = (
        tensor.F,
        layer.kernel,
        layer.kernel_generator,
        layer.convolution_mode,
        tensor.coordinate_map_key,
        out.coordinate_map_key,
        tensor.coordinate_manager,
    )
    assert gradcheck(native.MinkowskiConvolutionFunction(), arguments)

    x = torch.rand(3).double().requires_grad_()
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(Wrong, (x, 1.0))
    assert not gradcheck(Wrong, (x, 1.0), raise_exception=False)
    with pytest.raises(ValueError, match="require gradient"):
        gradcheck(Wrong, (x.detach(), 1.0))


def test_summary(native: ModuleType, minkowski: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for engine in (native, minkowski):
        network = nn.Sequential(
            engine.MinkowskiConvolution(2, 3, 3, bias=True, dimension=2),
            engine.MinkowskiBatchNorm(3),
            engine.MinkowskiToFeature(),
            nn.Linear(3, 5),
        )
        network[0].kernel.requires_grad = False
        counts.append(engine.utils.summary(network, engine.SparseTensor(torch.rand(4, 2), SITES))[0])
        printed = capsys.readouterr().out
        assert "MinkowskiConvolution-1" in printed
        assert "[4, 5]" in printed
        assert not network[0]._forward_hooks
    assert counts == [83, 83]
    assert native.utils.summary(network[3], torch.rand(4, 3)) == (20, 20)


def test_summary_counts_what_is_trained(native: ModuleType) -> None:
    layer = native.MinkowskiConvolution(2, 3, 3, bias=True, dimension=2)
    layer.kernel.requires_grad = False
    assert native.utils.summary(layer, native.SparseTensor(torch.rand(4, 2), SITES)) == (57, 3)


def test_mixed_axes_are_a_cube_and_a_cross(native: ModuleType) -> None:
    cube, cross = native.RegionType.HYPER_CUBE, native.RegionType.HYPER_CROSS
    generator = native.KernelGenerator([3, 5, 2], axis_types=[cube, cross, cube], dimension=3)
    offsets = {tuple(row) for row in generator.offsets().tolist()}
    plane = {(x, 0, z) for x in (-1, 0, 1) for z in (0, 1)}
    assert offsets == plane | {(0, y, 0) for y in (-2, -1, 1, 2)}
    assert generator.kernel_volume == len(offsets) == 10

    for kind in (cube, cross):
        mixed = native.KernelGenerator(3, axis_types=[kind] * 2, dimension=2)
        assert torch.equal(
            mixed.offsets(), native.KernelGenerator(3, region_type=kind, dimension=2).offsets()
        )
        assert mixed.kernel_volume == len(mixed.offsets())


def test_mixed_axes_convolve_as_their_offsets_do(native: ModuleType) -> None:
    sites = random_sites(80, 3, -4, 5)
    features = torch.randn(len(sites), 2).double()
    types = [native.RegionType.HYPER_CUBE, native.RegionType.HYPER_CROSS, native.RegionType.HYPER_CUBE]
    for stride in (1, 2):
        mixed = native.KernelGenerator(3, stride, axis_types=types, dimension=3)
        plain = native.KernelGenerator(
            stride=stride,
            region_type=native.RegionType.CUSTOM,
            region_offsets=mixed.offsets().int(),
            dimension=3,
        )
        tensor = native.SparseTensor(features, sites)
        layer, same = (
            native.MinkowskiConvolution(2, 3, kernel_generator=made, dimension=3).double()
            for made in (mixed, plain)
        )
        cube = native.MinkowskiConvolution(2, 3, 3, stride, dimension=3).double()
        cube(tensor)  # A cube of the same size must not lend its pairs.
        same.load_state_dict(layer.state_dict())
        assert torch.equal(layer(tensor).F, same(tensor).F)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis_types": [0, 1, 0]}, "must be 2 of HYPER_CUBE and HYPER_CROSS"),
        ({"axis_types": [0, 2]}, "must be 2 of HYPER_CUBE and HYPER_CROSS"),
        ({"axis_types": [0, 1], "kernel_size": [3, 2]}, "needs odd kernel sizes"),
    ],
)
def test_wrong_axis_types_are_refused(native: ModuleType, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        native.KernelGenerator(**{"kernel_size": 3, **arguments}, dimension=2)


def test_regions_are_told(native: ModuleType, minkowski: ModuleType) -> None:
    for engine in (native, minkowski):
        generator = engine.KernelGenerator([3, 5], dimension=2)
        kind, offsets, volume = generator.get_kernel([1, 1], False)
        assert (kind, offsets.numel(), volume) == (engine.RegionType.HYPER_CUBE, 0, 15)
    types = [native.RegionType.HYPER_CUBE, native.RegionType.HYPER_CROSS]
    kind, offsets, volume = native.convert_region_type(
        native.RegionType.HYPER_CUBE, [4, 4], [3, 3], [2, 2], [1, 3], None, types, 2
    )
    assert kind is native.RegionType.CUSTOM
    assert {tuple(row) for row in offsets.tolist()} == {(-2, 0), (0, 0), (2, 0), (0, -6), (0, 6)}
    assert volume == 5
    region = native.KernelRegion([3], [1], [1], native.RegionType.HYPER_CUBE, None, 1)
    assert region.kernel_size == [3]


def test_options_are_their_numbers(engine: ModuleType) -> None:
    tensor = engine.SparseTensor(torch.rand(4, 1), SITES)
    manager, key = tensor.coordinate_manager, tensor.coordinate_map_key
    pairs = manager.kernel_map(key, key, kernel_size=1, region_type=1)
    assert pairs.keys() == {0}
    assert sorted(pairs[0].t().tolist()) == [[row, row] for row in range(4)]
    assert engine.RegionType.CUSTOM == 2


def test_the_old_name_of_the_kernel_map(engine: ModuleType) -> None:
    manager = engine.SparseTensor(torch.rand(4, 1), SITES).coordinate_manager
    with pytest.warns(UserWarning, match="kernel_map"):
        old = manager.get_kernel_map(1, 1, kernel_size=1)
    assert torch.equal(old[0], manager.kernel_map(1, 1, kernel_size=1)[0])


def test_different_managers_are_an_assertion_error_too(engine: ModuleType) -> None:
    first, second = (engine.SparseTensor(torch.rand(4, 1), SITES) for _ in range(2))
    with pytest.raises(AssertionError, match="coordinate manager"):
        first + second


def test_quantize(native: ModuleType) -> None:
    from sparse_backbones.engines.native.utils.quantization import quantize

    rows = np.array([[4, 1], [0, 0], [4, 1], [0, 1]], dtype=np.int32)
    first, inverse = quantize(rows)
    assert isinstance(first, np.ndarray)
    assert sorted(first.tolist()) == [0, 1, 3]
    assert (rows[first][inverse] == rows).all()
    first, inverse = quantize(torch.from_numpy(rows))
    assert torch.equal(torch.from_numpy(rows)[first[inverse]], torch.from_numpy(rows))


@pytest.mark.parametrize("name", ["Sum", "Avg", "Max"])
def test_global_pooling_onto_coordinates(native: ModuleType, minkowski: ModuleType, name: str) -> None:
    features, target = torch.randn(4, 2).double(), torch.tensor([[0, 7, 7], [1, 8, 0]], dtype=torch.int32)
    results = []
    for engine in (native, minkowski):
        tensor = engine.SparseTensor(features, SITES)
        out = getattr(engine, f"MinkowskiGlobal{name}Pooling")()(tensor, target)
        assert torch.equal(out.C, target)
        results.append(out.F)
    # MinkowskiEngine gives the items to the coordinates in the order of its own hash table.
    torch.testing.assert_close(*(rows.sort(0).values for rows in results))


def test_global_pooling_gives_each_coordinate_its_item(native: ModuleType) -> None:
    tensor = native.SparseTensor(torch.tensor([[1.0], [2.0], [10.0], [20.0]]), SITES)
    pool = native.MinkowskiGlobalSumPooling()
    target = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 4, 4]], dtype=torch.int32)
    assert pool(tensor, target).F.flatten().tolist() == [30, 3, 30]
    assert torch.equal(pool(tensor, tensor).C, tensor.C)
    key = native.CoordinateMapKey(3)
    assert pool(tensor, key).coordinate_map_key == key
    assert key.get_tensor_stride() == [0, 0]
    with pytest.raises(ValueError, match="batch indices that the input has not"):
        pool(tensor, torch.tensor([[2, 0, 0]], dtype=torch.int32))


def test_global_pooling_function_of_a_field(native: ModuleType) -> None:
    """MinkowskiEngine fails once a map has the field's key too."""
    places = torch.tensor([[0, 0.2, 0.1], [0, 0.4, 0.3], [0, 3, 3], [1, 0, 0], [1, 0.5, 0]])
    field = native.TensorField(torch.randn(5, 2), places)
    for maps in (0, 1):
        if maps:
            field.sparse()
        pooled = native.MinkowskiGlobalPoolingFunction.apply(
            field.F,
            native.PoolingMode.GLOBAL_MAX_POOLING_PYTORCH_INDEX,
            field.coordinate_field_map_key,
            None,
            field.coordinate_manager,
        )
        assert torch.equal(pooled, torch.stack([field.F[:3].amax(0), field.F[3:].amax(0)]))


def test_pruning_onto_the_key_it_once_gave(native: ModuleType) -> None:
    tensor = native.SparseTensor(torch.rand(4, 1), SITES)
    keep = torch.tensor([True, False, True, True])
    out = native.MinkowskiPruning()(tensor, keep)
    key, manager = out.coordinate_map_key, tensor.coordinate_manager
    before = key.get_key()
    apply = native.MinkowskiPruningFunction.apply
    assert torch.equal(apply(tensor.F, keep, tensor.coordinate_map_key, key, manager), out.F)
    assert key.get_key() == before
    with pytest.raises(ValueError, match="4 sites are kept, but"):
        apply(tensor.F, torch.ones(4, dtype=torch.bool), tensor.coordinate_map_key, key, manager)


def test_a_field_by_its_stride(engine: ModuleType) -> None:
    field = engine.TensorField(torch.rand(2, 1), torch.tensor([[0, 0.5], [0, 1.5]]))
    manager = field.coordinate_manager
    assert torch.equal(manager.get_coordinate_field(field.coordinate_field_map_key), field.C)
    assert len(manager.get_coordinates(manager.origin_field())) == 1


def test_points_take_the_coarser_site_that_they_round_down_to(native: ModuleType) -> None:
    """MinkowskiEngine 0.5.4 mixes the points up here: it reads the pairs of a map as if they were sorted."""
    places = torch.cat([torch.randint(0, 2, (60, 1)), torch.rand(60, 2) * 20 - 10], dim=1)
    field = native.TensorField(torch.rand(60, 3), places)
    coarse = native.MinkowskiSumPooling(2, 2, dimension=2)(field.sparse())
    rows = {tuple(site): feature for site, feature in zip(coarse.C.tolist(), coarse.F, strict=True)}
    rounded = places.clone()
    rounded[:, 1:] = torch.floor(places[:, 1:] / 2) * 2
    expected = torch.stack([rows[tuple(place)] for place in rounded.int().tolist()])
    assert torch.equal(coarse.slice(field).F, expected)


def test_parameters_are_reset_within_their_bounds(native: ModuleType) -> None:
    layer = native.MinkowskiConvolutionTranspose(400, 4, 1, stride=1, dimension=2)
    assert 0.4 < layer.kernel.abs().max() <= 0.5
    layer.reset_parameters()
    assert 0.04 < layer.kernel.abs().max() <= 0.05
