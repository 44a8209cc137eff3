"""Drawn scenes: people are where the labels say, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.crowd.generate.people import APART, walked
from pipelines.crowd.generate.scene import Scene, draw_scene, photograph


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(480, 320, 30, np.random.default_rng(5))


def test_the_same_seed_draws_the_same(scene: Scene) -> None:
    again = draw_scene(480, 320, 30, np.random.default_rng(5))
    assert again.people == scene.people
    first, second = (photograph(one, one.people, np.random.default_rng(1)) for one in (scene, again))
    np.testing.assert_array_equal(first, second)
    assert draw_scene(480, 320, 30, np.random.default_rng(6)).people != scene.people


def test_heads_lie_in_the_picture_and_people_apart(scene: Scene) -> None:
    assert len(scene.people) == 30
    heads = scene.heads
    assert ((heads >= 0) & (heads < [480, 320])).all()
    places = np.array([[one.x, one.z] for one in scene.people])
    distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert distance[~np.eye(30, dtype=bool)].min() >= APART


def test_a_head_is_drawn_where_its_label_is(scene: Scene) -> None:
    """One person at a time, against the same photograph without."""
    for number, one in enumerate(scene.people[:8]):
        alone = photograph(scene, [one], np.random.default_rng(number)).astype(float)
        empty = photograph(scene, (), np.random.default_rng(number)).astype(float)
        changed = np.abs(alone - empty).max(axis=2) > 8
        rows, columns = np.nonzero(changed)
        x, y = scene.camera.project([one.head])[0]
        size = scene.camera.focal / float(scene.camera.away(one.z, one.size))  # px of a metre
        assert changed[int(y), int(x)]
        assert abs(rows.min() - (y - 0.12 * size)) < 0.1 * size + 2, "its top is the top of the head"
        feet = scene.camera.project([[one.x, 0, one.z]])[0, 1]
        assert rows.max() < feet + 0.35 * size + 2
        assert np.abs(columns - x).max() < 1.0 * size + 3


def test_a_crowded_place_holds_fewer_than_asked() -> None:
    crowded = draw_scene(200, 150, 100, np.random.default_rng(0), near=9.0, far=10.0)
    assert 10 < len(crowded.people) < 100


def test_who_walks_goes_straight_on(scene: Scene) -> None:
    one = scene.people[0]
    later = walked(one, 2.0)
    assert np.hypot(later.x - one.x, later.z - one.z) == pytest.approx(2.4)
    halfway = walked(one, 1.0)
    assert halfway.x == pytest.approx((one.x + later.x) / 2)
