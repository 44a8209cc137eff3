"""What the lens does is undone: against the forward formula, and a sphere of known size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.polyp.data.record import Camera
from pipelines.polyp.geometry import Floats, apparent_size, measured_size, undistorted


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


def seen_ball(middle: tuple[float, float, float], mm: float, k1: float) -> tuple[Floats, Floats]:
    """Depths float32 (480, 640) of a ball of `mm` across before nothing, NaN beside it, and its mask: each
    pixel's ray meets the ball where a quadratic equation says."""
    row, column = np.mgrid[:480, :640] + 0.5
    rays = undistorted(camera(k1), np.stack([column.ravel(), row.ravel()], 1))
    rays = np.concatenate([rays, np.ones((len(rays), 1))], 1)
    half = rays @ np.asarray(middle)
    square = (rays**2).sum(1)
    root = half**2 - square * (np.dot(middle, middle) - (mm / 2) ** 2)
    with np.errstate(invalid="ignore"):
        depth = (half - np.sqrt(root)) / square
    return depth.reshape(480, 640).astype(np.float32), np.isfinite(depth).reshape(480, 640)


@pytest.mark.parametrize("k1", [0.0, -0.3])
@pytest.mark.parametrize(("middle", "mm"), [((0, 0, 20), 6.0), ((5, -3, 30), 12.0), ((-4, 2, 15), 3.0)])
def test_a_ball_is_as_wide_as_what_is_seen_of_it(
    middle: tuple[float, float, float], mm: float, k1: float
) -> None:
    depth, mask = seen_ball(middle, mm, k1)
    away = np.linalg.norm(middle)
    rim = mm * np.sqrt(1 - (mm / 2 / away) ** 2)  # the circle in which a cone of rays touches a ball
    found = measured_size(depth, camera(k1), (0, 0, 640, 480), mask)
    assert found == pytest.approx(rim, rel=0.03)
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0)
    cruder = measured_size(depth, camera(k1), box)
    assert cruder == pytest.approx(mm * (1 - mm / 2 / away), rel=0.08)


def test_without_depths_on_the_lesion_nothing_is_measured() -> None:
    nothing = np.full((480, 640), np.nan, np.float32)
    mask = np.zeros((480, 640), bool)
    mask[100:200, 100:200] = True
    box = (100.0, 100.0, 200.0, 200.0)
    assert measured_size(nothing, camera(), box, mask) is None
    assert measured_size(nothing, camera(), box) is None
    assert measured_size(np.zeros_like(nothing), camera(), box) is None
    few = np.where(np.arange(640) == 150, 20.0, np.nan)[None].repeat(480, 0).astype(np.float32)
    few[:150] = few[155:] = np.nan
    assert measured_size(few, camera(), box, mask) is None, "five points are too few"


@pytest.mark.parametrize(
    "box", [(-50, -50, 20, 20), (630, 470, 700, 500), (10, 10, 10.2, 10.2), (900, 900, 950, 950)]
)
def test_boxes_off_the_frame_and_tiny_ones_do_no_harm(box: tuple[float, float, float, float]) -> None:
    depth = np.full((480, 640), 20.0, np.float32)
    found = measured_size(depth, camera(), box)
    assert found is not None
    assert found > 0


def test_a_wide_plane_is_measured_along_any_direction() -> None:
    rng = np.random.default_rng(0)
    for angle in rng.uniform(0, np.pi, 12):
        row, column = np.mgrid[:480, :640] + 0.5
        along = (column - 330) * np.cos(angle) + (row - 235) * np.sin(angle)
        across = -(column - 330) * np.sin(angle) + (row - 235) * np.cos(angle)
        mask = (np.abs(along) < 80) & (np.abs(across) < 6)
        depth = np.full((480, 640), 20.0, np.float32)
        rays = undistorted(camera(), np.stack([column[mask], row[mask]], 1)) * 20
        longest = np.linalg.norm(rays[:, None] - rays[None, ::7], axis=2).max()
        assert measured_size(depth, camera(), (0, 0, 1, 1), mask) == pytest.approx(longest, rel=0.01)
