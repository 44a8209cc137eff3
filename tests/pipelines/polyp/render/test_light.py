from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.polyp.render.frame import Shot, truth
from pipelines.polyp.render.light import REFERENCE_MM, WRAP, Lamps, beams, irradiance
from pipelines.polyp.render.march import trace
from pipelines.polyp.render.scene import LESION, Scene
from pipelines.polyp.render.sensor import Sensor, develop
from pipelines.polyp.render.shadows import lit_parts
from tests.pipelines.polyp.render.scenes import AHEAD, ball, everywhere, eye, plane

LAMP = Lamps(((0.0, 0.0),), 1.0, (1.0,))
SENSOR = Sensor(0.25, 0.95, (1.0, 1.0, 1.0), 0.1, 15.0, 0.0, 0.0, False, 0.0, 1.0)


def test_light_falls_off_with_the_square_of_the_distance() -> None:
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [10.0, 40.0]])
    facing = torch.tensor([[0.0, 0.0], [0.0, 0.0], [-1.0, -1.0]])
    near, far = irradiance(beams(LAMP, AHEAD, points), facing).tolist()
    assert near == pytest.approx((REFERENCE_MM / 10) ** 2)
    assert near / far == pytest.approx(16)


def test_light_falls_off_with_the_cosine() -> None:
    turns = np.radians([0.0, 60.0, 90.0, 170.0])
    normals = torch.tensor(np.stack([np.sin(turns), 0 * turns, -np.cos(turns)]), dtype=torch.float32)
    points = torch.tensor([[0.0], [0.0], [REFERENCE_MM]]).expand(3, 4)
    found = irradiance(beams(LAMP, AHEAD, points), normals)
    np.testing.assert_allclose(found, [1, 0.5 + 0.5 * WRAP, WRAP, 0], atol=1e-6)


def test_two_lamps_share_the_light() -> None:
    pair = Lamps(((-3.0, 0.0), (3.0, 0.0)), 1.0, (0.5, 0.5))
    points, facing = torch.tensor([[0.0], [0.0], [200.0]]), torch.tensor([[0.0], [0.0], [-1.0]])
    one, two = (irradiance(beams(lamps, AHEAD, points), facing) for lamps in (LAMP, pair))
    assert two.item() == pytest.approx(one.item(), rel=1e-3)


def test_a_lamp_aside_throws_a_shadow_to_the_other_side() -> None:
    camera = eye()
    scene = plane(30.0)
    scene = Scene(scene.wall, ball((0.0, 0.0, 20.0), 2.0), pool=scene.pool)
    hits = trace(scene, camera, AHEAD, everywhere(camera))
    lit = lit_parts(camera, AHEAD, hits, ((-4.0, 0.0),))[0].view(128, 128)
    label = truth(scene, camera, Shot(AHEAD), everywhere(camera))[1]
    columns = np.flatnonzero(label[64] == LESION)
    # On the plane the shadow's middle lies 4 / 20 * 10 = 2 mm to the right; the ball itself hides the rest.
    assert lit[64, columns[-1] + 3] < 0.4
    assert lit[64, columns[0] - 6] > 0.99
    assert (lit < 0.5).float().mean() < 0.05


def test_exposure_follows_the_light() -> None:
    camera = eye(size=64)
    light = np.full((64, 64, 3), 0.3, np.float32)
    light += np.linspace(0, 0.05, 64, dtype=np.float32)[:, None]
    depth, seen = np.full((64, 64), 15, np.float32), np.ones((64, 64), bool)
    frames = [develop(np.random.default_rng(0), SENSOR, camera, light * much, depth, seen) for much in (1, 5)]
    np.testing.assert_allclose(frames[0].astype(int), frames[1].astype(int), atol=1)
    assert frames[0].mean() == pytest.approx(255 * 0.25 ** (1 / 2.2), abs=6)


def test_what_is_out_of_focus_is_blurred() -> None:
    camera = eye(size=64, focal=300.0)
    light = np.zeros((64, 64, 3), np.float32)
    light[:, 32:] = 0.3
    seen = np.ones((64, 64), bool)
    edges = [
        np.abs(
            np.diff(
                develop(np.random.default_rng(0), SENSOR, camera, light, depth, seen)[32, :, 0].astype(int)
            )
        ).max()
        for depth in (np.full((64, 64), 15, np.float32), np.full((64, 64), 2, np.float32))
    ]
    assert edges[1] < 0.6 * edges[0]
