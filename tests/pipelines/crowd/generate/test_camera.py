"""The camera of drawn scenes, against its own geometry said in another way."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.crowd.generate.camera import Camera

CAMERA = Camera(960, 640, 1000.0, 7.0, 0.32)


def test_the_ground_comes_back_from_the_image() -> None:
    rng = np.random.default_rng(0)
    ground = np.stack([rng.uniform(-10, 10, 50), rng.uniform(5, 60, 50)], 1)
    pixels = CAMERA.project(np.stack([ground[:, 0], np.zeros(50), ground[:, 1]], 1))
    np.testing.assert_allclose(CAMERA.ground(pixels), ground, rtol=1e-9)


def test_the_homography_says_the_same_as_the_camera() -> None:
    pixels = np.array([[480.0, 320.0], [10.0, 600.0], [900.0, 200.0]])
    lifted = np.concatenate([pixels, np.ones((3, 1))], 1) @ CAMERA.homography().T
    np.testing.assert_allclose(lifted[:, :2] / lifted[:, 2:], CAMERA.ground(pixels), rtol=1e-9)


def test_the_middle_of_the_image_is_where_the_axis_meets_the_ground() -> None:
    x, z = CAMERA.ground([[480.0, 320.0]])[0]
    assert x == 0
    assert z == pytest.approx(7.0 / np.tan(0.32))


def test_above_the_horizon_is_no_ground() -> None:
    assert np.isnan(CAMERA.ground([[480.0, CAMERA.horizon - 1]])).all()
    assert np.isfinite(CAMERA.ground([[480.0, CAMERA.horizon + 1]])).all()


def test_a_metre_is_smaller_far_away() -> None:
    near, far = (float(np.ptp(CAMERA.project([[0, 0, z], [1, 0, z]])[:, 0])) for z in (10.0, 40.0))
    assert near == pytest.approx(1000.0 / float(CAMERA.away(10.0)))
    assert near > 3 * far
