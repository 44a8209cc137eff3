"""As many points as people, where the map has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.crowd.count.heads import place_heads
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.data import LabelledImage, read_cases, read_dataset
from pipelines.crowd.density import block_counts, density_map
from pipelines.crowd.metrics import hits, localisation


def map_of(counts: np.ndarray, stride: int = 8) -> CountMap:
    height, width = counts.shape
    return CountMap(counts.astype(np.float32), stride, height * stride, width * stride)


@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("seed", range(4))
def test_there_are_as_many_points_as_people(stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.gamma(0.2, 0.5, (23, 31)) * (stride / 8) ** 2
    counts[rng.random(counts.shape) < 0.3] = -0.01  # as density networks may have it
    points, shares = place_heads(map_of(counts, stride))
    assert len(points) == len(shares) == round(max(0.0, counts.sum()))
    assert ((points >= 0) & (points <= (31 * stride, 23 * stride))).all()
    assert ((shares >= 0) & (shares <= 1)).all() and (np.diff(shares) <= 1e-9).all()


def test_an_even_map_and_an_empty_one() -> None:
    assert len(place_heads(map_of(np.full((20, 30), 0.25)))[0]) == 150
    assert len(place_heads(map_of(np.zeros((4, 5))))[0]) == 0
    assert len(place_heads(map_of(np.full((1, 1), 3.0)))[0]) == 3


def test_a_head_between_blocks_is_one_point_there() -> None:
    counts = np.zeros((9, 9))
    counts[4, 4:6] = 0.5
    points, shares = place_heads(map_of(counts))
    assert len(points) == 1 and shares[0] > 0.4
    np.testing.assert_allclose(points[0], (40, 36), atol=1.5)
    counts = np.zeros((9, 9))
    counts[3:5, 4:6] = 0.25
    np.testing.assert_allclose(place_heads(map_of(counts))[0], [(40, 32)], atol=1.5)


def test_true_counts_give_points_in_the_true_blocks() -> None:
    rng = np.random.default_rng(0)
    heads = rng.uniform((0, 0), (640, 480), (120, 2))
    points, _ = place_heads(map_of(block_counts(heads, 480, 640, 8)))
    found = localisation([hits(heads, points, 8.0)])
    assert found.f1 is not None and found.f1 > 0.95


def test_a_sharp_density_gives_back_its_heads() -> None:
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(20, 620, 40), np.arange(20, 460, 40)), -1).reshape(-1, 2)
    heads = grid + rng.uniform(-8, 8, grid.shape)
    found = CountMap(density_map(heads, 480, 640, 4.0, cell=4), 4, 480, 640)
    points, _ = place_heads(found)
    one = localisation([hits(heads, points, 4.0)])
    assert one.f1 is not None and one.f1 > 0.97


def test_a_large_crowd_is_placed() -> None:
    counts = np.random.default_rng(0).gamma(0.3, 0.4, (400, 400))
    points, _ = place_heads(map_of(counts))
    assert len(points) > 15_000


def test_real_heads_are_found_again_from_their_blocks(shared_data: Path) -> None:
    cases = read_dataset(shared_data / "crowd" / "sha_train").cases[:6]
    counted = []
    for one in read_cases(cases):
        assert isinstance(one, LabelledImage) and one.heads is not None
        height, width = one.picture.height, one.picture.width
        people = block_counts(one.heads.points, height, width, 8).astype(np.float32)
        points, _ = place_heads(CountMap(people, 8, height, width))
        assert len(points) == len(one.heads.points)
        counted.append(hits(one.heads.points, points, 8.0))
    found = localisation(counted)
    assert found.f1 is not None and found.f1 > 0.9
