"""Every layer that looks at neighbours against reads of a dense grid, for drawn sites, strides and kernels.

1 to 4 dimensions, negative sites, several and absent batch items, tensor strides, cubes of even, odd and
unequal sizes, crosses, offsets of one's own, dilations; numbers and gradients.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor, nn

from tests.sparse_backbones.oracle import Outcome, assert_same, coarser, distinct, outcome
from tests.sparse_backbones.stencil import POOLS, cross, cube, reached, under_kernel

thoroughly = settings(max_examples=60, deadline=None, derandomize=True, database=None)

REACH = {1: 20, 2: 6, 3: 3, 4: 2}
LARGEST = {1: 6, 2: 5, 3: 4, 4: 3}
POOLING = {"max": "MinkowskiMaxPooling", "avg": "MinkowskiAvgPooling", "sum": "MinkowskiSumPooling"}


class Case(NamedTuple):
    """Sites at multiples of `unit`, and a kernel of these arguments with `offsets` (K, D) times the unit."""

    sites: Tensor
    unit: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    region: str
    offsets: Tensor

    @property
    def dimension(self) -> int:
        return len(self.unit)

    @property
    def coarse(self) -> tuple[int, ...]:
        return tuple(u * s for u, s in zip(self.unit, self.stride, strict=True))

    @property
    def shifts(self) -> Tensor:
        """The offsets in units of the original grid."""
        return self.offsets * torch.tensor(self.unit)

    @property
    def rounds(self) -> bool:
        """Whether pooling takes sites to where they round down, whatever the kernel's places."""
        return self.region != "CUSTOM" and self.size == self.stride

    def generator(self, engine: ModuleType, expand: bool = False) -> Any:
        custom = self.region == "CUSTOM"
        return engine.KernelGenerator(
            -1 if custom else self.size,
            self.stride,
            1 if custom else self.dilation,
            region_type=engine.RegionType[self.region],
            region_offsets=self.offsets.int() if custom else None,
            expand_coordinates=expand,
            dimension=self.dimension,
        )

    def convolution(self, engine: ModuleType, name: str, expand: bool = False) -> nn.Module:
        """2 to 3 channels with a bias, float64, the weights fixed."""
        torch.manual_seed(5)
        further = {"expand_coordinates": True} if expand else {}
        generator = self.generator(engine, expand)
        layer = getattr(engine, name)(
            2, 3, bias=True, kernel_generator=generator, dimension=self.dimension, **further
        )
        return layer.double()  # type: ignore[no-any-return]


def features_at(sites: Tensor) -> Tensor:
    """Numbers that belong to the site, all different, float64 (N, 2)."""
    mixed = sites.double() @ torch.tensor([7.1414, 1.0, 2.2361, 5.9161, 11.2697][: sites.shape[1]]).double()
    return torch.stack([torch.sin(mixed + 0.37), torch.cos(1.7 * mixed + 0.61)], dim=1)


@st.composite
def places(draw: st.DrawFn, dimension: int, unit: tuple[int, ...] | None = None, most: int = 25) -> Tensor:
    """Distinct places (N, 1 + D) int32 at multiples of the unit, N from 1 on, of batch items drawn too."""
    reach = REACH[dimension]
    item = st.sampled_from(draw(st.sampled_from([(0,), (0, 1), (0, 2, 5), (3,)])))
    place = st.tuples(item, *[st.integers(-reach, reach)] * dimension)
    drawn = torch.tensor(draw(st.lists(place, min_size=1, max_size=most, unique=True)), dtype=torch.int32)
    return drawn * torch.tensor((1, *(unit or (1,) * dimension)), dtype=torch.int32)


@st.composite
def cases(draw: st.DrawFn, regions: tuple[str, ...] = ("HYPER_CUBE", "HYPER_CROSS", "CUSTOM")) -> Case:
    dimension = draw(st.integers(1, 4))

    def per_axis(highest: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(1, highest)] * dimension))

    unit, stride, dilation, size = per_axis(3), per_axis(3), per_axis(2), per_axis(LARGEST[dimension])
    region = draw(st.sampled_from(regions))
    if region == "HYPER_CROSS":
        size = tuple(s - 1 + s % 2 for s in size)
        offsets = cross(size, dilation)
    elif region == "CUSTOM":
        place = st.tuples(*[st.integers(-3, 3)] * dimension)
        offsets = torch.tensor(draw(st.lists(place, min_size=1, max_size=6, unique=True)))
    else:
        offsets = cube(size, dilation)
    sites = draw(places(dimension, unit))
    return Case(sites, unit, size, stride, dilation, region, offsets)


def result_of(layer: Any, x: Any, *further: Any) -> Outcome:
    """What the layer gives for a tensor whose features are a leaf."""
    y = layer(x, *further)
    return outcome(y.C, y.F, {"input": x.F, **dict(layer.named_parameters())})


def tensor_at(engine: ModuleType, sites: Tensor, unit: tuple[int, ...]) -> Any:
    return engine.SparseTensor(features_at(sites).requires_grad_(), sites, tensor_stride=unit)


def convolved(layer: Any, case: Case, sites: Tensor, places: Tensor, shifts: Tensor) -> Outcome:
    """What a convolution with the layer's kernel and bias gives for the sites."""
    leaf = features_at(sites).requires_grad_()
    leaves = {name: value.detach().clone().requires_grad_() for name, value in layer.named_parameters()}
    values, _ = under_kernel(sites, leaf, places, shifts)
    weight = leaves["kernel"].reshape(len(shifts), 2, -1)
    result = torch.einsum("kmc,kco->mo", values, weight) + leaves["bias"]
    return outcome(places, result, {"input": leaf, **leaves})


def pooled(sites: Tensor, places: Tensor, shifts: Tensor, mode: str) -> Outcome:
    leaf = features_at(sites).requires_grad_()
    return outcome(places, POOLS[mode](*under_kernel(sites, leaf, places, shifts)), {"input": leaf})


@thoroughly
@given(case=cases())
def test_convolution(native: ModuleType, case: Case) -> None:
    layer = case.convolution(native, "MinkowskiConvolution")
    actual = result_of(layer, tensor_at(native, case.sites, case.unit))
    targets = coarser(case.sites, case.coarse)
    if case.stride == (1,) * case.dimension:
        assert torch.equal(targets, distinct(case.sites.long()))
    assert_same(actual, convolved(layer, case, case.sites, targets, case.shifts))


@thoroughly
@given(case=cases(), data=st.data(), own_stride=st.booleans())
def test_convolution_onto(native: ModuleType, case: Case, data: Any, own_stride: bool) -> None:
    """Onto coordinates given, or onto a map with the stride that the layer's own output would have."""
    onto = data.draw(places(case.dimension, case.coarse if own_stride else None))
    layer = case.convolution(native, "MinkowskiConvolution")
    x = tensor_at(native, case.sites, case.unit)
    key = x.coordinate_manager.insert_and_map(onto, case.coarse)[0] if own_stride else onto
    assert_same(result_of(layer, x, key), convolved(layer, case, case.sites, onto, case.shifts))


@thoroughly
@given(case=cases())
def test_expanding_convolution(native: ModuleType, case: Case) -> None:
    targets = reached(case.sites, case.shifts, case.coarse)
    layer = case.convolution(native, "MinkowskiConvolution", expand=True)
    actual = result_of(layer, tensor_at(native, case.sites, case.unit))
    assert_same(actual, convolved(layer, case, case.sites, targets, case.shifts))


@thoroughly
@given(case=cases())
def test_transposed_convolution(native: ModuleType, case: Case) -> None:
    """From the rounded-down sites back onto those that were there."""
    layer = case.convolution(native, "MinkowskiConvolutionTranspose")
    fine = tensor_at(native, case.sites, case.unit)
    manager = fine.coordinate_manager
    key = manager.stride(fine.coordinate_map_key, case.stride)
    leaf = features_at(manager.get_coordinates(key)).requires_grad_()
    x = native.SparseTensor(leaf, coordinate_map_key=key, coordinate_manager=manager)
    actual = result_of(layer, x)
    assert layer(x).coordinate_map_key == fine.coordinate_map_key
    assert_same(actual, convolved(layer, case, x.C, case.sites, -case.shifts))


@thoroughly
@given(case=cases(), generative=st.booleans())
def test_transposed_convolution_onto_new_sites(native: ModuleType, case: Case, generative: bool) -> None:
    sites = case.sites * torch.tensor((1, *case.stride), dtype=torch.int32)
    targets = reached(sites, case.shifts, case.unit)
    name = "MinkowskiGenerativeConvolutionTranspose" if generative else "MinkowskiConvolutionTranspose"
    layer = case.convolution(native, name)
    actual = result_of(layer, tensor_at(native, sites, case.coarse))
    if max(case.stride) == 1 and not generative:
        targets = sites
    assert_same(actual, convolved(layer, case, sites, targets, -case.shifts))


@thoroughly
@given(case=cases())
def test_channelwise_convolution(native: ModuleType, case: Case) -> None:
    layer = native.MinkowskiChannelwiseConvolution(
        2, bias=True, kernel_generator=case.generator(native), dimension=case.dimension
    ).double()
    actual = result_of(layer, tensor_at(native, case.sites, case.unit))
    leaf = features_at(case.sites).requires_grad_()
    leaves = {name: value.detach().clone().requires_grad_() for name, value in layer.named_parameters()}
    targets = coarser(case.sites, case.coarse)
    values, _ = under_kernel(case.sites, leaf, targets, case.shifts)
    result = (values * leaves["kernel"][:, None]).sum(0) + leaves["bias"]
    assert_same(actual, outcome(targets, result, {"input": leaf, **leaves}))


@pytest.mark.parametrize("mode", POOLING)
@thoroughly
@given(case=cases())
def test_pooling(native: ModuleType, mode: str, case: Case) -> None:
    layer = getattr(native, POOLING[mode])(kernel_generator=case.generator(native), dimension=case.dimension)
    shifts = block(case) if case.rounds else case.shifts
    actual = result_of(layer, tensor_at(native, case.sites, case.unit))
    assert_same(actual, pooled(case.sites, coarser(case.sites, case.coarse), shifts, mode))


@pytest.mark.parametrize("mode", POOLING)
@thoroughly
@given(case=cases(), data=st.data())
def test_pooling_onto(native: ModuleType, mode: str, case: Case, data: Any) -> None:
    assume(not case.rounds)
    onto = data.draw(places(case.dimension))
    layer = getattr(native, POOLING[mode])(kernel_generator=case.generator(native), dimension=case.dimension)
    actual = result_of(layer, tensor_at(native, case.sites, case.unit), onto)
    assert_same(actual, pooled(case.sites, onto, case.shifts, mode))


def block(case: Case) -> Tensor:
    """All places from 0 up to the stride, in units of the original grid."""
    ranges = [torch.arange(s) * u for s, u in zip(case.stride, case.unit, strict=True)]
    return torch.cartesian_prod(*ranges).reshape(-1, case.dimension)


@thoroughly
@given(case=cases())
def test_pooling_transpose(native: ModuleType, case: Case) -> None:
    layer = native.MinkowskiPoolingTranspose(
        1, 1, kernel_generator=case.generator(native), dimension=case.dimension
    )
    fine = tensor_at(native, case.sites, case.unit)
    manager = fine.coordinate_manager
    key = manager.stride(fine.coordinate_map_key, case.stride)
    leaf = features_at(manager.get_coordinates(key)).requires_grad_()
    x = native.SparseTensor(leaf, coordinate_map_key=key, coordinate_manager=manager)
    shifts = block(case) if case.rounds else case.shifts
    assert_same(result_of(layer, x), pooled(x.C, case.sites, -shifts, "sum"))


@pytest.mark.parametrize("transposed", [False, True], ids=["convolution", "transposed"])
@thoroughly
@given(case=cases())
def test_repeated_calls_make_nothing_new(native: ModuleType, transposed: bool, case: Case) -> None:
    """A second call finds its maps made, and gives the same bits."""
    name = "MinkowskiConvolutionTranspose" if transposed else "MinkowskiConvolution"
    layer = case.convolution(native, name)
    sites = case.sites * torch.tensor((1, *case.stride), dtype=torch.int32) if transposed else case.sites
    x = tensor_at(native, sites, case.coarse if transposed else case.unit)
    first = layer(x)
    state = repr(x.coordinate_manager)
    again = layer(x)
    assert again.coordinate_map_key == first.coordinate_map_key
    assert torch.equal(again.F, first.F)
    assert repr(x.coordinate_manager) == state


@thoroughly
@given(case=cases(), data=st.data(), company=st.booleans())
def test_far_away_is_like_nearby(native: ModuleType, case: Case, data: Any, company: bool) -> None:
    """Up to the ends of int32, and with another batch item's site at the other end."""
    down = case.convolution(native, "MinkowskiConvolution")
    up = case.convolution(native, "MinkowskiConvolutionTranspose")
    step = torch.tensor(case.coarse)
    # Room for the sites, the kernel and the rounding.
    room = 400
    ends = [2**20, 2**24 + 1, 2**31 - room, -(2**31) + room, -(2**20)]
    drawn = [data.draw(st.sampled_from(ends)) for _ in case.unit]
    shift = torch.cat([torch.zeros(1), torch.tensor(drawn, dtype=torch.float64)]).long()
    shift[1:] = shift[1:] // step * step
    sites = (case.sites + shift).int()
    features = features_at(case.sites)
    if company:
        other = -torch.tensor(drawn).sign() * 2**30 // step * step
        sites = torch.cat([sites, torch.cat([torch.tensor([9]), other])[None].int()])
        features = torch.cat([features, torch.ones(1, 2, dtype=features.dtype)])

    def through(places: Tensor, numbers: Tensor) -> list[tuple[Tensor, Tensor]]:
        x = native.SparseTensor(numbers, places, tensor_stride=case.unit)
        coarse = native.SparseTensor(
            down(x).F[:, :2].detach(),
            coordinate_map_key=x.coordinate_manager.stride(x.coordinate_map_key, case.stride),
            coordinate_manager=x.coordinate_manager,
        )
        results = (
            down(x),
            up(coarse),
            native.MinkowskiMaxPooling(kernel_generator=case.generator(native), dimension=case.dimension)(x),
        )
        return [(y.C[y.C[:, 0] < 9].long(), y.F[y.C[:, 0] < 9]) for y in results]

    for near, far in zip(through(case.sites, features_at(case.sites)), through(sites, features), strict=True):
        moved = far[0] - shift
        assert_same(outcome(moved, far[1], {}), outcome(near[0], near[1], {}))
