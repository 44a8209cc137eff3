"""What the lens does is undone: against the forward formula, and a sphere of known size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.polyp.data.record import Camera
from pipelines.polyp.geometry import Floats, apparent_size, undistorted


def camera(k1: float = 0.0) -> Camera:
    return Camera(640, 480, 400.0, 380.0, 330.0, 235.0, k1)


def pixels(camera: Camera, rays: Floats) -> Floats:
    """Where rays x / z, y / z are seen: the formula of the lens, as it is defined."""
    bent = rays * (1 + camera.k1 * (rays**2).sum(1, keepdims=True))
    return np.asarray(bent * [camera.fx, camera.fy] + [camera.cx, camera.cy])


@settings(max_examples=80, deadline=None)
@given(k1=st.floats(-0.5, 0.5), radius=st.floats(0, 0.75), angle=st.floats(0, 6.3))
def test_undistorted_is_the_inverse_of_the_lens(k1: float, radius: float, angle: float) -> None:
    rays = radius * np.array([[np.cos(angle), np.sin(angle)]])
    assert undistorted(camera(k1), pixels(camera(k1), rays)) == pytest.approx(rays, abs=1e-6)


def test_beyond_what_the_lens_can_show_the_last_ray_is_taken() -> None:
    one = camera(-0.4)
    last = np.sqrt(1 / (3 * 0.4))
    far = undistorted(one, [(5000.0, one.cy)])
    assert far[0, 0] == pytest.approx(last, rel=1e-2)
    assert far[0, 1] == 0


@pytest.mark.parametrize("k1", [0.0, -0.35])
@pytest.mark.parametrize(("mm", "distance"), [(3.0, 10.0), (12.0, 45.0)])
def test_a_disc_that_faces_the_camera_has_its_size_over_its_distance(
    k1: float, mm: float, distance: float
) -> None:
    """Off the axis too: a plane across the axis keeps its proportions in normalised coordinates."""
    half = mm / 2 / distance
    for x, y in ((0.0, 0.0), (0.25, -0.2)):
        ends = np.array([(x - half, y), (x + half, y), (x, y - half), (x, y + half)])
        seen = pixels(camera(k1), ends)
        box = (seen[0, 0], seen[2, 1], seen[1, 0], seen[3, 1])
        across, down = apparent_size(box, camera(k1))
        assert across * distance == pytest.approx(mm, rel=0.03)
        assert down * distance == pytest.approx(mm, rel=0.03)
