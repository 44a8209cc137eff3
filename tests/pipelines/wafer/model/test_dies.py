"""Die-level encoding against loops over dies, and the network's indifference to what must not matter."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from pipelines.wafer.data.record import FAIL, NO_DIE, PASS
from pipelines.wafer.model.dies import MAP_FEATURES, REACHES, SITE_FEATURES, DieBatch, crop, encode_dies
from pipelines.wafer.model.kinds import Dies
from tests.pipelines.wafer import tiny

minkowski_warns = pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:<class 'sparse_matrix_functions.Minkowski:DeprecationWarning",
)
grids = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1)).map(
    lambda sizes: tiny.random_grid(np.random.default_rng(sizes[2]), *sizes[:2])
)


def network(engine: ModuleType) -> nn.Module:
    torch.manual_seed(1)
    return Dies(8).build(engine, 3, tiny.DIES["architecture"]).eval()


def a_batch(count: int = 5) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [tiny.random_grid(rng, int(rng.integers(5, 20)), int(rng.integers(5, 20))) for _ in range(count)]


@settings(deadline=None, max_examples=60)
@given(grids, st.integers(0, 3), st.integers(0, 3))
def test_crop_takes_off_the_frame_and_nothing_else(grid: NDArray[np.uint8], before: int, after: int) -> None:
    cropped = crop(grid)
    assert crop(np.pad(grid, (before, after))).tolist() == cropped.tolist()
    assert np.count_nonzero(cropped) == np.count_nonzero(grid)
    assert all(edge.any() for edge in (cropped[0], cropped[-1], cropped[:, 0], cropped[:, -1]))


def test_crop_of_no_dies_is_empty() -> None:
    assert crop(np.zeros((3, 4), np.uint8)).shape == (0, 0)
    assert crop(np.zeros((0, 0), np.uint8)).shape == (0, 0)


@settings(deadline=None, max_examples=60)
@given(grids, st.sampled_from([1, 4, 32]))
def test_every_site_is_what_a_loop_over_dies_says(grid: NDArray[np.uint8], cells: int) -> None:
    batch = encode_dies([grid], cells)
    grid = crop(grid)
    rows, cols = grid.shape
    total, failing = np.count_nonzero(grid), np.count_nonzero(grid == FAIL)
    expected = []
    for row in range(rows):
        for col in range(cols):
            if grid[row, col] != FAIL:
                continue
            x, y = (col + 0.5) / cols * 2 - 1, 1 - (row + 0.5) / rows * 2
            site = [x, y, (x * x + y * y) ** 0.5]
            site += [failing / total, np.log(total) / 10, np.log(1 + failing) / 10, 20 / min(rows, cols)]
            for reach in REACHES:
                near = [
                    grid[r, c]
                    for r in range(max(row - reach, 0), min(row + reach + 1, rows))
                    for c in range(max(col - reach, 0), min(col + reach + 1, cols))
                ]
                dies = sum(die != NO_DIE for die in near)
                site += [sum(die == FAIL for die in near) / dies, dies / (2 * reach + 1) ** 2]
            expected.append(((0, row, col), (0, row * cells // rows, col * cells // cols), site))
    assert batch.dies.tolist() == [list(die) for die, _, _ in expected]
    assert batch.cells.tolist() == [list(cell) for _, cell, _ in expected]
    assert batch.features.shape == (len(expected), SITE_FEATURES)
    np.testing.assert_allclose(
        batch.features.numpy(), np.array([s for *_, s in expected]).reshape(-1, SITE_FEATURES), rtol=1e-5
    )
    np.testing.assert_allclose(
        batch.extra.numpy(), [[failing / total, np.log(total) / 10, np.log1p(failing) / 10]], rtol=1e-5
    )


def test_types_and_ranges() -> None:
    batch = encode_dies(a_batch(), 8)
    assert len(batch) == 5
    assert {batch.dies.dtype, batch.cells.dtype} == {torch.int32}
    assert {batch.features.dtype, batch.extra.dtype} == {torch.float32}
    assert batch.cells[:, 1:].min() >= 0
    assert batch.cells[:, 1:].max() < 8
    assert batch.features[:, :2].abs().max() < 1
    assert batch.dies[:, 0].tolist() == sorted(batch.dies[:, 0].tolist())


@settings(deadline=None, max_examples=60)
@given(grids)
def test_turning_the_grid_turns_the_sites(grid: NDArray[np.uint8]) -> None:
    grid = crop(grid)
    one, turned = encode_dies([grid], 8), encode_dies([np.rot90(grid)], 8)
    _, row, col = one.dies.T
    moved = torch.stack([grid.shape[1] - 1 - col, row], dim=1)
    features = one.features.clone()
    features[:, 0], features[:, 1] = -one.features[:, 1], one.features[:, 0]
    order = np.lexsort((moved[:, 1], moved[:, 0]))
    assert moved[order].tolist() == turned.dies[:, 1:].tolist()
    torch.testing.assert_close(features[order], turned.features)
    torch.testing.assert_close(one.extra, turned.extra)


def test_maps_without_a_failing_die_have_no_site() -> None:
    batch = encode_dies([np.full((3, 4), PASS, np.uint8), np.zeros((2, 2), np.uint8)], 8)
    assert (batch.dies.shape, batch.cells.shape) == ((0, 3), (0, 3))
    assert batch.features.shape == (0, SITE_FEATURES)
    np.testing.assert_allclose(batch.extra.numpy(), [[0, np.log(12) / 10, 0], [0] * MAP_FEATURES], rtol=1e-6)
    assert len(encode_dies([], 8)) == 0


@minkowski_warns
def test_a_map_has_the_same_logits_in_every_batch(engine: ModuleType) -> None:
    net, maps = network(engine), [*a_batch(), np.full((3, 4), PASS, np.uint8)]
    together, latents = net(encode_dies(maps, 8))
    for number, grid in enumerate(maps):
        logits, latent = net(encode_dies([grid], 8))
        torch.testing.assert_close(logits[0], together[number], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(latent[0], latents[number], rtol=1e-4, atol=1e-5)
    backwards, _ = net(encode_dies(maps[::-1], 8))
    torch.testing.assert_close(backwards.flip(0), together, rtol=1e-4, atol=1e-5)
    assert together.std(0).min() > 1e-4


@minkowski_warns
def test_a_batch_without_any_failing_die_works(engine: ModuleType) -> None:
    net = network(engine)
    logits, latent = net(encode_dies([np.full((5, 5), PASS, np.uint8)] * 3, 8))
    assert (tuple(logits.shape), tuple(latent.shape)) == ((3, 3), (3, 6))
    assert torch.isfinite(logits).all()


@minkowski_warns
def test_one_failing_die_on_each_map_works(engine: ModuleType) -> None:
    grid = np.full((5, 5), PASS, np.uint8)
    grid[2, 3] = FAIL
    net = network(engine)
    many, one = net(encode_dies([grid] * 3, 8))[0], net(encode_dies([grid], 8))[0]
    torch.testing.assert_close(many, one.expand(3, -1), rtol=1e-4, atol=1e-5)


@minkowski_warns
def test_both_engines_agree(native: ModuleType, minkowski: ModuleType) -> None:
    nets = [network(engine) for engine in (native, minkowski)]
    nets[1].load_state_dict(nets[0].state_dict())
    batch: DieBatch = encode_dies(a_batch(), 8)
    for ours, theirs in zip(nets[0](batch), nets[1](batch), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
