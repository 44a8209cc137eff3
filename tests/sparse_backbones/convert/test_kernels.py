"""Convolutions and poolings of every kind of kernel: dense layers equal to them on full grids."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from sparse_backbones import engines
from sparse_backbones.convert import load_dense, to_dense
from tests.sparse_backbones.full_grid import (
    as_grid,
    as_sparse,
    assert_equal_on_a_full_grid,
    assert_near,
    random_grid,
)


def kernel_cases() -> list[Any]:
    cases = []
    for dimension, size, stride, dilation, shape in [
        (1, 3, 1, 1, (9,)),
        (1, 4, 2, 1, (9,)),
        (1, 3, 3, 2, (10,)),
        (2, 1, 1, 1, (4, 5)),
        (2, 1, 2, 1, (5, 4)),
        (2, 2, 2, 1, (7, 6)),
        (2, 2, 1, 1, (5, 6)),
        (2, 3, 1, 2, (6, 5)),
        (2, 3, 2, 1, (7, 4)),
        (2, 3, 3, 1, (7, 8)),
        (2, (3, 5), (2, 1), 1, (6, 7)),
        (2, (4, 3), (1, 3), (2, 1), (8, 7)),
        (2, 4, 2, 1, (6, 7)),
        (2, 2, 3, 1, (6, 7)),
        (3, 3, 1, 1, (4, 3, 5)),
        (3, 2, 2, 1, (4, 3, 5)),
        (3, (1, 3, 2), (2, 1, 2), (1, 2, 1), (4, 5, 3)),
    ]:
        name = f"{dimension}D-{size}-{stride}-{dilation}".replace(" ", "")
        arguments = {"kernel_size": size, "stride": stride, "dilation": dilation, "dimension": dimension}
        cases.append(pytest.param(arguments, shape, id=name))
    return cases


KERNELS = pytest.mark.parametrize(("kernel", "shape"), kernel_cases())


def whole(shape: tuple[int, ...], stride: Any) -> tuple[int, ...]:
    """The shape, enlarged to multiples of the stride."""
    steps = stride if isinstance(stride, tuple) else (stride,) * len(shape)
    return tuple(-(-size // step) * step for size, step in zip(shape, steps, strict=True))


@KERNELS
def test_convolution(engine: ModuleType, dtype: torch.dtype, kernel: Any, shape: tuple[int, ...]) -> None:
    def make(engine: Any) -> nn.Module:
        module: nn.Module = engine.MinkowskiConvolution(2, 3, bias=True, **kernel)
        return module

    assert_equal_on_a_full_grid(engine, make, random_grid(2, 2, *shape, dtype=dtype))


@KERNELS
def test_transposed_convolution(engine: ModuleType, kernel: Any, shape: tuple[int, ...]) -> None:
    def make(engine: Any) -> nn.Module:
        down = {**kernel, "kernel_size": 2, "dilation": 1}
        return nn.Sequential(
            engine.MinkowskiConvolution(2, 3, **down),
            engine.MinkowskiConvolutionTranspose(3, 2, bias=True, **kernel),
        )

    assert_equal_on_a_full_grid(engine, make, random_grid(2, 2, *whole(shape, kernel["stride"])))


@KERNELS
def test_channelwise_convolution(native: ModuleType, kernel: Any, shape: tuple[int, ...]) -> None:
    def make(engine: Any) -> nn.Module:
        module: nn.Module = engine.MinkowskiChannelwiseConvolution(3, bias=True, **kernel)
        return module

    assert_equal_on_a_full_grid(native, make, random_grid(2, 3, *shape))


def test_channelwise_convolution_of_minkowski(minkowski: ModuleType) -> None:
    def make(engine: Any) -> nn.Module:
        module: nn.Module = engine.MinkowskiChannelwiseConvolution(3, kernel_size=3, bias=True, dimension=2)
        return module

    sparse = make(minkowski)
    grid = random_grid(2, 3, 5, 4, dtype=torch.float32)
    assert_near(to_dense(sparse)(grid), as_grid(sparse(as_sparse(minkowski, grid))), "output")


@KERNELS
@pytest.mark.parametrize("mode", ["Sum", "Avg", "Max"])
def test_pooling(engine: ModuleType, mode: str, kernel: Any, shape: tuple[int, ...]) -> None:
    def make(engine: Any) -> nn.Module:
        module: nn.Module = getattr(engine, f"Minkowski{mode}Pooling")(**kernel)
        return module

    assert_equal_on_a_full_grid(engine, make, random_grid(2, 3, *shape) - 3)


@KERNELS
def test_pooling_transpose(engine: ModuleType, kernel: Any, shape: tuple[int, ...]) -> None:
    def make(engine: Any) -> nn.Module:
        down = {**kernel, "kernel_size": 2, "dilation": 1}
        return nn.Sequential(engine.MinkowskiSumPooling(**down), engine.MinkowskiPoolingTranspose(**kernel))

    assert_equal_on_a_full_grid(engine, make, random_grid(2, 2, *whole(shape, kernel["stride"])))


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (4, 2), (2, 1)])
def test_generative_transposed_convolution(engine: ModuleType, size: int, stride: int) -> None:
    def make(engine: Any) -> nn.Module:
        return nn.Sequential(
            engine.MinkowskiConvolution(2, 3, kernel_size=2, stride=stride, dimension=2),
            engine.MinkowskiGenerativeConvolutionTranspose(
                3, 2, kernel_size=size, stride=stride, bias=True, dimension=2
            ),
        )

    assert_equal_on_a_full_grid(engine, make, random_grid(2, 2, 6, 5))


axis = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(1, 6))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    axes=st.lists(axis, min_size=1, max_size=3),
    kind=st.sampled_from(["Convolution", "ConvolutionTranspose", "SumPooling", "AvgPooling", "MaxPooling"]),
)
def test_any_kernel(axes: list[tuple[int, int, int, int]], kind: str) -> None:
    size, stride, dilation, cells = (list(numbers) for numbers in zip(*axes, strict=True))
    kernel = {"kernel_size": size, "stride": stride, "dilation": dilation, "dimension": len(axes)}

    def make(engine: Any) -> nn.Module:
        layer = getattr(engine, f"Minkowski{kind}")
        if "Pooling" in kind:
            return layer(**kernel)  # type: ignore[no-any-return]
        if kind == "Convolution":
            return layer(1, 2, **kernel)  # type: ignore[no-any-return]
        down = engine.MinkowskiConvolution(1, 2, stride, stride, dimension=len(axes))
        return nn.Sequential(down, layer(2, 2, bias=True, **kernel))

    shape = whole(tuple(cells), tuple(stride)) if kind == "ConvolutionTranspose" else tuple(cells)
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(2, 1, *shape, generator=generator, dtype=torch.float64)
    assert_equal_on_a_full_grid(engines.load("native"), make, grid)


def custom(engine: Any, offsets: list[list[int]], dilation: int = 1, stride: int = 1) -> nn.Module:
    generator = engine.KernelGenerator(
        stride=stride,
        dilation=dilation,
        region_type=engine.RegionType.CUSTOM,
        region_offsets=torch.tensor(offsets, dtype=torch.int32),
        dimension=2,
    )
    layer: nn.Module = engine.MinkowskiConvolution(2, 3, bias=True, kernel_generator=generator, dimension=2)
    return layer


def cross(engine: Any, size: Any = 3, stride: int = 1, dilation: int = 1) -> nn.Module:
    generator = engine.KernelGenerator(
        size, stride, dilation, region_type=engine.RegionType.HYPER_CROSS, dimension=2
    )
    layer: nn.Module = engine.MinkowskiConvolution(2, 3, kernel_generator=generator, dimension=2)
    return layer


SPARSE_KERNELS = {
    "cross": lambda ME: cross(ME),
    "longer cross": lambda ME: cross(ME, (5, 3), 2, 2),
    "custom": lambda ME: custom(ME, [[0, 0], [2, -1], [-1, 0]]),
    "custom off the centre": lambda ME: custom(ME, [[1, 1], [2, 3]], dilation=2, stride=2),
    "custom of one offset": lambda ME: custom(ME, [[-1, 2]]),
}


@pytest.mark.parametrize("name", SPARSE_KERNELS)
def test_kernels_with_holes(native: ModuleType, name: str) -> None:
    layer = SPARSE_KERNELS[name](native).double()
    dense = to_dense(layer)
    grid = random_grid(2, 2, 9, 8)
    assert_near(dense(grid), as_grid(layer(as_sparse(native, grid))), "output")
    other = load_dense(SPARSE_KERNELS[name](native).double(), dense)
    assert torch.equal(other.get_parameter("kernel"), layer.get_parameter("kernel"))


def test_cross_of_minkowski(minkowski: ModuleType) -> None:
    layer = cross(minkowski).double()
    grid = random_grid(2, 2, 9, 8)
    assert_near(to_dense(layer)(grid), as_grid(layer(as_sparse(minkowski, grid))), "output")


def test_weights_in_the_holes_of_a_kernel_are_not_dropped(native: ModuleType) -> None:
    layer = nn.Sequential(cross(native))
    before = layer.get_parameter("0.kernel").clone()
    state = to_dense(layer).state_dict()
    state["0.weight"][0, 0, 0, 0] = 0.5
    with pytest.raises(ValueError, match=r"'0.weight': the dense kernel of size \[3, 3\] has weights other"):
        load_dense(layer, state)
    assert torch.equal(layer.get_parameter("0.kernel"), before)
