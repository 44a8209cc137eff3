"""What is seen of planes, balls and tubes, against what geometry says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.polyp.render.camera import looking
from pipelines.polyp.render.frame import Shot, truth
from pipelines.polyp.render.scene import LESION, POOL, TOOL, WALL, Scene
from pipelines.polyp.render.tool import WIDTH_MM, make_tool
from tests.pipelines.polyp.render.scenes import AHEAD, ball, everywhere, eye, plane, tube


@pytest.mark.parametrize("k1", [0.0, -0.25])
def test_a_plane_across_the_axis_has_one_depth(k1: float) -> None:
    camera = eye(k1)
    depth, label = truth(plane(30.0), camera, Shot(AHEAD), everywhere(camera))
    assert (label == POOL).all()
    np.testing.assert_allclose(depth, 30.0, atol=0.02)


def test_depths_of_a_slanting_plane() -> None:
    camera = eye()
    pose = looking(np.zeros(3), np.array([0.0, 0.0, 10.0]), off=0.5, towards=0.0, roll=0.3)
    depth, _ = truth(plane(20.0), camera, Shot(pose), everywhere(camera))
    rays = pose.axes @ (camera.rays() / camera.rays()[2])
    np.testing.assert_allclose(depth.ravel(), 20.0 / rays[2], rtol=2e-3)


def test_depths_of_a_tube() -> None:
    camera = eye()
    depth, label = truth(Scene(tube(20.0)), camera, Shot(AHEAD), everywhere(camera))
    rays = camera.rays() / camera.rays()[2]
    wanted = np.minimum(20.0 / np.hypot(rays[0], rays[1]), 110.0)
    assert (label == WALL).all()
    np.testing.assert_allclose(depth.ravel(), wanted, rtol=5e-3)


@pytest.mark.parametrize("k1", [0.0, -0.1, -0.4])
@pytest.mark.parametrize(("radius", "distance"), [(0.5, 8.0), (2.0, 15.0), (8.0, 30.0), (12.5, 60.0)])
def test_the_width_of_a_ball_in_pixels(k1: float, radius: float, distance: float) -> None:
    camera = eye(k1, size=192, focal=200.0)
    scene = Scene(tube(), ball((0.0, 0.0, distance), radius))
    depth, label = truth(scene, camera, Shot(AHEAD), everywhere(camera))
    mask = label == LESION
    # The rim of a ball on the axis is where rays touch it: tan = r / sqrt(d^2 - r^2).
    rim = radius / np.sqrt(distance**2 - radius**2)
    rim = 200.0 * rim * (1 + k1 * rim**2)
    assert np.sqrt(mask.sum() / np.pi) == pytest.approx(rim, abs=0.15)
    assert depth[mask].min() == pytest.approx(distance - radius, abs=0.03)


def test_depths_of_a_ball_aside() -> None:
    camera, centre, radius = eye(-0.2), np.array([4.0, -3.0, 25.0]), 5.0
    depth, label = truth(
        Scene(tube(), ball((4.0, -3.0, 25.0), radius)), camera, Shot(AHEAD), everywhere(camera)
    )
    rays = camera.rays()
    along = centre @ rays
    free = along**2 - centre @ centre + radius**2
    well_inside = free > 0.2
    wanted = ((along - np.sqrt(np.maximum(free, 0))) * rays[2])[well_inside]
    assert (label.ravel()[well_inside] == LESION).all()
    np.testing.assert_allclose(depth.ravel()[well_inside], wanted, rtol=4e-3)
    assert not (label.ravel()[free < -0.2] == LESION).any()


def test_the_same_apparent_size_has_two_true_ones() -> None:
    camera = eye()
    masks = [
        truth(Scene(tube(30.0), ball((0, 0, far), radius)), camera, Shot(AHEAD), everywhere(camera))[1]
        == LESION
        for far, radius in ((12.0, 2.0), (48.0, 8.0))
    ]
    assert np.logical_xor(*masks).mean() < 0.005


def test_an_instrument_is_as_wide_as_it_says() -> None:
    camera = eye(size=192, focal=200.0)
    tool = make_tool("snare", 0, np.array([-12.0, 0.0, 20.0]), np.array([12.0, 0.0, 20.0]), 0.0)
    depth, label = truth(Scene(tube()), camera, Shot(AHEAD, replace(tool, wires=())), everywhere(camera))
    column = label[:, 96] == TOOL
    half = WIDTH_MM / 2 / np.sqrt(20.0**2 - (WIDTH_MM / 2) ** 2)
    assert column.sum() == pytest.approx(2 * 200 * half, abs=1.1)
    assert depth[96, 96] == pytest.approx(20 - WIDTH_MM / 2, abs=0.02)


def test_what_is_in_front_hides_the_polyp() -> None:
    camera = eye()
    lesion = ball((0.0, 0.0, 30.0), 3.0)
    tool = make_tool("forceps", 0, np.array([-5.0, 0.0, 15.0]), np.array([5.0, 0.0, 15.0]), 0.0)
    free = truth(Scene(tube(), lesion), camera, Shot(AHEAD), everywhere(camera))[1] == LESION
    hidden = truth(Scene(tube(), lesion), camera, Shot(AHEAD, tool), everywhere(camera))[1] == LESION
    assert 0 < hidden.sum() < 0.8 * free.sum()
    assert not (hidden & ~free).any()


def test_nothing_is_followed_outside_the_field() -> None:
    camera = eye()
    seen = everywhere(camera)
    seen[:40] = False
    depth, label = truth(Scene(tube()), camera, Shot(AHEAD), seen)
    assert (label[:40] == 255).all() and (depth[:40] == 0).all()
    assert (label[40:] == WALL).all() and (depth[40:] > 0).all()
