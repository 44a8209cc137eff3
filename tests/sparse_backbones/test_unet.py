"""The U-network: its sites, its dense counterpart, its levels, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from sparse_backbones.convert import to_dense
from sparse_backbones.unet import SparseDecoder, SparseEncoder, SparseUNet, Stride, per_axis
from tests.sparse_backbones.full_grid import (
    as_grid,
    as_sparse,
    assert_equal_on_a_full_grid,
    assert_near,
    random_grid,
    randomise,
)
from tests.sparse_backbones.oracle import coarser, distinct, random_sites

CHANNELS, BLOCKS = (4, 6, 8), (1, 2, 1)
ANISOTROPIC: Sequence[Stride] = ((2, 2, 1), (2, 3, 2))


GRIDS = pytest.mark.parametrize(
    ("sides", "strides"), [((8, 12), (2, 2)), ((4, 8, 8), (2, 2)), ((8, 12, 4), ANISOTROPIC)]
)


def make(engine: Any, sides: tuple[int, ...], strides: Sequence[Stride], heads: int) -> nn.Module:
    torch.manual_seed(3)
    return SparseUNet(
        engine, 2, 5, channels=CHANNELS, blocks=BLOCKS, strides=strides, heads=heads, dimension=len(sides)
    )


@pytest.mark.parametrize("training", [True, False])
@GRIDS
def test_on_a_full_grid_it_is_the_dense_network(
    engine: Any, sides: tuple[int, ...], strides: Sequence[Stride], training: bool
) -> None:
    assert_equal_on_a_full_grid(
        engine,
        lambda module: make(module, sides, strides, 1),
        random_grid(2, 2, *sides),
        training=training,
        call=lambda network, x: network(x)[0],
    )


@GRIDS
def test_every_head_has_its_dense_counterpart(
    engine: Any, sides: tuple[int, ...], strides: Sequence[Stride]
) -> None:
    network = make(engine, sides, strides, 2).double()
    randomise(network)
    grid = random_grid(2, 2, *sides)
    with torch.no_grad():
        sparse, dense = network(as_sparse(engine, grid)), to_dense(network)(grid)
    assert len(sparse) == len(dense) == 2
    for number, (one, other) in enumerate(zip(sparse, dense, strict=True)):
        assert_near(other, as_grid(one), f"head {number}")


@pytest.mark.parametrize("strides", [(2, 2), ANISOTROPIC])
def test_scores_lie_on_the_sites_of_their_level(engine: Any, strides: Sequence[Stride]) -> None:
    sites = random_sites(120, 3, 0, 24)
    network = SparseUNet(engine, 2, 5, channels=CHANNELS, blocks=BLOCKS, strides=strides, heads=2)
    outputs = network(engine.SparseTensor(torch.randn(len(sites), 2), sites))
    assert [tuple(out.F.shape[1:]) for out in outputs] == [(5,), (5,)]
    assert torch.equal(distinct(outputs[0].C.long()), distinct(sites.long()))
    assert torch.equal(distinct(outputs[1].C.long()), coarser(sites, per_axis(strides[0], 3)))


def test_the_encoder_is_that_of_the_unet_by_name_and_number(engine: Any) -> None:
    torch.manual_seed(0)
    encoder = SparseEncoder(engine, 1, channels=CHANNELS, blocks=BLOCKS, strides=(2, 2), dimension=2)
    network = SparseUNet(engine, 1, 3, channels=CHANNELS, blocks=BLOCKS, strides=(2, 2), dimension=2)
    names = {f"encoder.{name}" for name in encoder.state_dict()}
    assert names == {name for name in network.state_dict() if name.startswith("encoder.")}
    network.load_state_dict(
        {**network.state_dict(), **{f"encoder.{name}": value for name, value in encoder.state_dict().items()}}
    )
    x = engine.SparseTensor(torch.randn(50, 1), random_sites(50, 2, 0, 300)[:50])
    for one, other in zip(encoder.eval()(x), network.eval().encoder(x), strict=True):
        assert torch.equal(one.F, other.F)


def test_what_is_far_away_is_not_seen(engine: Any) -> None:
    """A batch item, and a site beyond the reach of the kernels, change nothing."""
    torch.manual_seed(0)
    network = SparseUNet(
        engine, 1, 2, channels=CHANNELS, blocks=(1, 1, 1), strides=(2, 2), dimension=2
    ).eval()
    near = torch.tensor([[0, x, y] for x in range(4) for y in range(4)], dtype=torch.int32)
    far = torch.tensor([[0, 400, 400], [1, 0, 0], [1, 1, 1]], dtype=torch.int32)
    features = torch.randn(19, 1)
    with torch.no_grad():
        alone = network(engine.SparseTensor(features[:16], near))[0]
        among = network(engine.SparseTensor(features, torch.cat([near, far])))[0]
    one = dict(zip(map(tuple, alone.C.tolist()), alone.F, strict=True))
    other = dict(zip(map(tuple, among.C.tolist()), among.F, strict=True))
    for place, value in one.items():
        torch.testing.assert_close(other[place], value)


@pytest.mark.parametrize(
    ("strides", "total"), [((2, 2), (4, 4, 4)), (ANISOTROPIC, (4, 6, 2)), (((1, 1, 2), 1), (1, 1, 2))]
)
def test_total_stride_is_the_product_per_axis(
    native: Any, strides: Sequence[Stride], total: tuple[int, ...]
) -> None:
    encoder = SparseEncoder(native, 1, channels=CHANNELS, blocks=BLOCKS, strides=strides)
    assert encoder.total_stride == total
    last = encoder(native.SparseTensor(torch.randn(30, 1), random_sites(30, 3, 0, 900)[:30]))[-1]
    assert tuple(last.tensor_stride) == total


def test_a_single_level_has_no_way_down(native: Any) -> None:
    network = SparseUNet(native, 1, 2, channels=(4,), blocks=(1,), strides=(), dimension=2)
    x = native.SparseTensor(torch.randn(9, 1), random_sites(9, 2, 0, 900)[:9])
    assert [out.F.shape for out in network(x)] == [(9, 2)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (4, 6)}, "2 widths need as many numbers of blocks and one stride fewer, not 3 and 2"),
        ({"blocks": (1, 1)}, "3 widths need .* not 2 and 2"),
        ({"strides": (2,)}, "3 widths need .* not 3 and 1"),
        ({"channels": (), "blocks": (), "strides": ()}, "0 widths"),
        ({"strides": (2, 0)}, "a stride in 3D is a whole number, or 3 of them: not 0"),
        ({"strides": ((2, 2), 2)}, "a stride in 3D"),
        ({"dimension": 4}, "dimension must be 2 or 3, not 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(native: Any, changes: dict[str, Any], message: str) -> None:
    sizes = {"channels": CHANNELS, "blocks": BLOCKS, "strides": (2, 2), "dimension": 3, **changes}
    with pytest.raises(ValueError, match=message):
        SparseEncoder(native, 1, **sizes)


@pytest.mark.parametrize("heads", [0, 3])
def test_heads_that_no_level_has_are_refused(native: Any, heads: int) -> None:
    with pytest.raises(ValueError, match="3 levels can give 1 to 2 outputs"):
        SparseDecoder(native, 2, channels=CHANNELS, strides=(2, 2), heads=heads)
