"""Encoding of defect coordinates, and the network's indifference to what must not matter."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from pipelines.wafer.model.fullres import STEM_CELLS, encode_defects, stem_strides
from pipelines.wafer.model.kinds import Coordinates
from tests.pipelines.wafer import tiny

RESOLUTION = 512
FINE = 20_000  # no two defects of these maps share a site, of which an engine may keep either
minkowski_warns = pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:<class 'sparse_matrix_functions.Minkowski:DeprecationWarning",
)


def network(engine: ModuleType, resolution: int = RESOLUTION) -> nn.Module:
    torch.manual_seed(1)
    return Coordinates(resolution).build(engine, 3, tiny.COORDINATES["architecture"]).eval()


def some_maps() -> tuple[list[NDArray[np.float64]], list[float]]:
    rng = np.random.default_rng(0)
    maps = [tiny.toy_defects(rng, label) for label in ("normal", "center", "ring", "normal")]
    return maps, [300.0, 300.0, 300.0, 200.0]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-150, 150), st.floats(-150, 150)), max_size=20),
    st.integers(64, 2**20),
    st.sampled_from([200.0, 300.0]),
)
def test_every_defect_is_its_own_site(
    points: list[tuple[float, float]], resolution: int, diameter: float
) -> None:
    batch = encode_defects([np.array(points).reshape(-1, 2)], [diameter], resolution)
    for (x, y), site, features in zip(points, batch.sites.tolist(), batch.features.numpy(), strict=True):
        # The middle of the site, back in mm, lies within half a site of the defect.
        for place, wanted in zip(site[1:], (x, y), strict=True):
            size = diameter / resolution
            assert abs((place + 0.5) * size - diameter / 2 - wanted) <= size / 2 * (1 + 1e-6)
        x, y = x / diameter * 2, y / diameter * 2
        np.testing.assert_allclose(features, [1, x, y, np.hypot(x, y)], rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(
        batch.extra.numpy(), [[np.log(1 + len(points)) / 10, diameter / 300]], rtol=1e-6
    )
    assert batch.sites.dtype == torch.int32
    assert {batch.features.dtype, batch.extra.dtype} == {torch.float32}


def test_sites_carry_the_number_of_their_map() -> None:
    maps, diameters = some_maps()
    maps.insert(1, np.zeros((0, 2)))
    batch = encode_defects(maps, [300.0, *diameters], RESOLUTION)
    assert len(batch) == 5
    assert np.bincount(batch.sites[:, 0], minlength=5).tolist() == [len(one) for one in maps]
    assert batch.extra[1].tolist() == [0, 1]
    assert len(encode_defects([], [], RESOLUTION)) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_precision_is_enough(dtype: type) -> None:
    maps, diameters = some_maps()
    exact = encode_defects(maps, diameters, 2_000)
    rounded = encode_defects([one.astype(dtype) for one in maps], diameters, 2_000)
    assert (exact.sites - rounded.sites).abs().max() <= 1
    assert exact.features.dtype == rounded.features.dtype == torch.float32


def test_defects_beyond_the_edge_keep_their_place() -> None:
    batch = encode_defects([np.array([[-151.4, 0.0], [0.0, 153.1]])], [300.0], 1_000)
    assert batch.sites[:, 1:].tolist() == [[-5, 500], [500, 1010]]


@pytest.mark.parametrize("far", [1e4, 1e12, 1e300])
def test_a_position_far_out_is_kept_within_bounds(far: float, native: ModuleType) -> None:
    near, diameter = np.array([[10.0, 10.0], [12.0, 10.0]]), 300.0
    batch = encode_defects([np.concatenate([near, [[far, -far]]])], [diameter], 2**20)
    assert batch.sites[:, 1:].abs().max() <= 2 * 2**20
    assert batch.features.abs().max() <= 3
    assert torch.isfinite(network(native)(batch)[0]).all()


def test_only_the_place_on_the_wafer_matters() -> None:
    maps, _ = some_maps()
    small = encode_defects([one / 1.5 for one in maps], [200.0] * 4, RESOLUTION)
    large = encode_defects(maps, [300.0] * 4, RESOLUTION)
    assert (small.sites - large.sites).abs().max() <= 1
    torch.testing.assert_close(small.features, large.features)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 2**20))
def test_the_stem_takes_any_resolution_down(resolution: int) -> None:
    strides = stem_strides(resolution)
    across = resolution
    for stride in strides:
        across = -(-across // stride)
    assert across <= STEM_CELLS
    assert resolution <= STEM_CELLS or across > STEM_CELLS // 4
    assert set(strides) <= {2, 4}


def test_the_latest_stem_width_goes_for_further_strides(native: ModuleType) -> None:
    wide = network(native, 2**15)
    assert len(wide.get_submodule("body.stem")) == len(stem_strides(2**15)) > 1  # type: ignore[arg-type]


@minkowski_warns
def test_a_map_has_the_same_logits_in_every_batch(engine: ModuleType) -> None:
    net = network(engine, FINE)
    maps, diameters = some_maps()
    maps, diameters = [*maps, np.zeros((0, 2))], [*diameters, 300.0]
    together, latents = net(encode_defects(maps, diameters, FINE))
    for number, (one, diameter) in enumerate(zip(maps, diameters, strict=True)):
        logits, latent = net(encode_defects([one], [diameter], FINE))
        torch.testing.assert_close(logits[0], together[number], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(latent[0], latents[number], rtol=1e-4, atol=1e-5)
    assert together.std(0).min() > 1e-4


@minkowski_warns
def test_the_order_of_the_defects_does_not_matter(engine: ModuleType) -> None:
    net = network(engine, FINE)
    maps, diameters = some_maps()
    forward, _ = net(encode_defects(maps, diameters, FINE))
    backward, _ = net(encode_defects([one[::-1] for one in maps], diameters, FINE))
    torch.testing.assert_close(forward, backward, rtol=1e-4, atol=1e-5)


@minkowski_warns
def test_defects_at_the_same_site_count_once(engine: ModuleType) -> None:
    net = network(engine)
    one = encode_defects([tiny.toy_defects(np.random.default_rng(0), "center")], [300.0], RESOLUTION)
    twice = replace(one, sites=one.sites.repeat(2, 1), features=one.features.repeat(2, 1))
    torch.testing.assert_close(net(one)[0], net(twice)[0], rtol=1e-4, atol=1e-5)


@minkowski_warns
def test_a_batch_without_any_defect_works(engine: ModuleType) -> None:
    logits, latent = network(engine)(encode_defects([np.zeros((0, 2))] * 2, [300.0] * 2, RESOLUTION))
    assert (tuple(logits.shape), tuple(latent.shape)) == ((2, 3), (2, 6))
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[0], logits[1])


@minkowski_warns
def test_one_defect_on_each_map_works(engine: ModuleType) -> None:
    net, point = network(engine), np.array([[10.0, 20.0]])
    many = net(encode_defects([point] * 3, [300.0] * 3, RESOLUTION))[0]
    one = net(encode_defects([point], [300.0], RESOLUTION))[0]
    torch.testing.assert_close(many, one.expand(3, -1), rtol=1e-4, atol=1e-5)


@minkowski_warns
def test_both_engines_agree(native: ModuleType, minkowski: ModuleType) -> None:
    nets = [network(engine, FINE) for engine in (native, minkowski)]
    nets[1].load_state_dict(nets[0].state_dict())
    batch = encode_defects(*some_maps(), FINE)
    for ours, theirs in zip(nets[0](batch), nets[1](batch), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
