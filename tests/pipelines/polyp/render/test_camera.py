from __future__ import annotations

import numpy as np
import pytest

from pipelines.polyp.render.camera import Camera, Field, last_radius, looking, undistorted_scale


def camera(k1: float) -> Camera:
    return Camera(width=120, height=100, fx=70.0, fy=71.0, cx=61.5, cy=48.0, k1=k1)


@pytest.mark.parametrize("k1", [0.0, -0.05, -0.3, -0.4])
def test_rays_go_through_the_pixels_that_their_points_fall_on(k1: float) -> None:
    eye = camera(k1)
    x, y = eye.pixels()
    most = 0.98 * last_radius(k1)
    inside = (np.hypot(x, y) < most * (1 + k1 * most**2)).ravel() if k1 else np.ones(x.size, bool)
    assert inside.mean() > 0.4
    pixels = eye.project(eye.rays()[:, inside] * 30)
    rows, columns = np.divmod(np.arange(120 * 100)[inside], 120)
    np.testing.assert_allclose(pixels, np.stack([columns, rows]), atol=1e-3)


def test_barrel_distortion_draws_points_to_the_middle() -> None:
    point = np.array([[10.0], [0.0], [20.0]])
    straight, bent = camera(0.0).project(point), camera(-0.2).project(point)
    assert straight[0, 0] == pytest.approx(61.5 + 35)
    assert bent[0, 0] == pytest.approx(61.5 + 35 * (1 - 0.2 * 0.25))


def test_points_behind_the_camera_have_no_pixel() -> None:
    assert np.isnan(camera(0.0).project(np.array([[1.0], [1.0], [-5.0]]))).all()


def test_the_inverse_stays_finite_beyond_the_last_radius() -> None:
    scale = undistorted_scale(np.array([0.0, 0.3, 5.0]), -0.4)
    assert np.isfinite(scale).all()
    assert scale[0] == 1


@pytest.mark.parametrize("roll", [0.0, 1.0])
def test_the_target_is_seen_where_it_was_asked_for(roll: float) -> None:
    place, target = np.array([1.0, -2.0, 3.0]), np.array([4.0, 8.0, 20.0])
    pose = looking(place, target, off=0.4, towards=1.2, roll=roll)
    np.testing.assert_allclose(pose.axes.T @ pose.axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose.axes) == pytest.approx(1)
    x, y, z = pose.to_camera(target[:, None])[:, 0]
    assert np.arctan2(np.hypot(x, y), z) == pytest.approx(0.4)
    assert np.arctan2(y, x) == pytest.approx(1.2)
    np.testing.assert_allclose(pose.to_world(pose.to_camera(target[:, None]))[:, 0], target)


def test_fields_have_their_shapes() -> None:
    circle = Field("circle", (49.5, 49.5), 40).inside(100, 100)
    octagon = Field("octagon", (49.5, 49.5), 40).inside(100, 100)
    assert circle.sum() == pytest.approx(np.pi * 40**2, rel=0.02)
    assert octagon.sum() == pytest.approx((80**2) - 2 * (0.58 * 40) ** 2, rel=0.02)
    assert not circle[0, 0]
    assert not octagon[12, 12]
    assert octagon[12, 50]
