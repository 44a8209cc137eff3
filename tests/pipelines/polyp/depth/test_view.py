"""What of a frame the network sees, and along which rays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.polyp.depth.view import picture_fit, rays_of, squared_map, squared_picture
from pipelines.polyp.geometry import undistorted
from pipelines.polyp.lesion.config import FOLD
from tests.pipelines.polyp.depth.builders import CAMERA

SIDE = 32


def test_the_square_holds_the_part_that_is_not_black() -> None:
    pixels = np.zeros((64, 80, 3), np.uint8)
    pixels[10:50, 20:70] = (200, 90, 80)
    fit = picture_fit(pixels, SIDE)
    assert fit.field == (20, 10, 70, 50)
    square = squared_picture(pixels, fit, SIDE)
    rows, columns = fit.size
    assert (rows, columns) == (26, 32)
    assert np.array_equal(np.unique(square[:rows, :columns].reshape(-1, 3), axis=0), [[200, 90, 80]])
    assert not square[rows:].any()


def test_a_black_frame_is_taken_whole() -> None:
    fit = picture_fit(np.zeros((64, 80, 3), np.uint8), SIDE)
    assert fit.field == (0, 0, 80, 64)


def test_depths_come_to_lie_where_their_pixels_do() -> None:
    pixels = np.full((64, 80, 3), 9, np.uint8)
    depth = np.zeros((64, 80), np.float32)
    depth[:, 40:] = 12.5
    found = squared_map(depth, picture_fit(pixels, SIDE), SIDE)
    assert found.shape == (SIDE // FOLD, SIDE // FOLD)
    rows = 26 // FOLD
    assert not found[:, :8].any()
    assert (found[:rows, 8:] == 12.5).all()
    assert not found[rows:].any(), "there is no picture"


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_rays_are_those_of_the_camera_at_any_number_of_pixels(share: float) -> None:
    height, width = round(64 * share), round(80 * share)
    pixels = np.full((height, width, 3), 9, np.uint8)
    pixels[:, : width // 4] = 0  # the picture is what is right of it
    fit = picture_fit(pixels, SIDE)
    x, y = rays_of(CAMERA, fit, SIDE)
    assert x.shape == (SIDE // FOLD, SIDE // FOLD)
    scale = (80 - 20) / fit.size[1]
    for row, column in ((0, 0), (3, 11), (9, 15)):
        place = (20 + (column + 0.5) * FOLD * scale, (row + 0.5) * FOLD * 64 / fit.size[0])
        assert np.allclose((x[row, column], y[row, column]), undistorted(CAMERA, [place])[0], atol=1e-5)


def test_a_wider_lens_has_wider_rays() -> None:
    fit = picture_fit(np.full((64, 80, 3), 9, np.uint8), SIDE)
    wide = replace(CAMERA, fx=30.0, fy=30.0, k1=0.0)
    narrow = replace(CAMERA, k1=0.0)
    assert np.allclose(rays_of(wide, fit, SIDE), 2 * rays_of(narrow, fit, SIDE), atol=1e-5)
