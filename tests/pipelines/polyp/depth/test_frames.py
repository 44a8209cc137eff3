"""Frames changed at random keep what is seen, along which ray and how far away, together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.polyp.depth.frames import DepthFrame, changed, depth_frames, flipped, turned
from pipelines.polyp.depth.view import picture_fit, rays_of
from pipelines.polyp.train.store import store_polyps
from tests.pipelines.polyp.depth.builders import CAMERA, small, wall, write_walls

TILT = (0.4, -0.25, 0.05)  # of a plane: 1 / z is linear in x / z and y / z

Floats = NDArray[np.float32]


def plane() -> DepthFrame:
    pixels = np.full((32, 32, 3), 100, np.uint8)
    rays = rays_of(CAMERA, picture_fit(np.ascontiguousarray(wall(20)[0]), 32), 32)
    depth = (1 / (TILT[0] * rays[0] * 0.01 + TILT[1] * rays[1] * 0.01 + TILT[2])).astype(np.float32)
    return DepthFrame(pixels, rays, depth, depth > 20, 0)


def tilt_of(frame: DepthFrame) -> Floats:
    """The plane that a frame's depths lie in, by least squares."""
    x, y = frame.rays.reshape(2, -1)
    terms = np.stack([0.01 * x, 0.01 * y, np.ones_like(x)], 1).astype(np.float64)
    found, residual, *_ = np.linalg.lstsq(terms, 1 / frame.depth.ravel().astype(np.float64), rcond=None)
    assert float(residual[0]) < 1e-9, "the depths lie in one plane"
    return found.astype(np.float32)


@pytest.mark.parametrize(
    ("change", "tilt"),
    [
        (lambda one: one, (0.4, -0.25)),
        (flipped, (-0.4, -0.25)),
        (turned, (-0.25, -0.4)),
        (lambda one: turned(turned(one)), (-0.4, 0.25)),
    ],
)
def test_depths_and_rays_turn_with_the_frame(
    change: Callable[[DepthFrame], DepthFrame], tilt: tuple[float, float]
) -> None:
    assert np.allclose(tilt_of(change(plane())), (*tilt, TILT[2]), atol=1e-3)


def test_four_turns_and_two_flips_change_nothing() -> None:
    frame = plane()
    found = flipped(flipped(turned(turned(turned(turned(frame))))))
    for name in ("pixels", "rays", "depth", "lesion"):
        assert np.array_equal(getattr(found, name), getattr(frame, name)), name


def test_colours_change_and_depths_do_not() -> None:
    frame = plane()
    found = changed(frame, small(flip=0.0, colour=2.0), np.random.default_rng(0))
    assert not np.array_equal(found.pixels, frame.pixels)
    assert np.array_equal(found.depth, frame.depth)


def test_frames_without_a_map_or_a_camera_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path
    kinds = (write_walls(folder / "a", [10, 20]), write_walls(folder / "b", [10], deep=False))
    blind = write_walls(folder / "c", [10], camera=None)
    stored = [
        store_polyps(polyps, 512, 8, folder / f"kept{number}", lambda text: None, depth=True)[0]
        for number, polyps in enumerate((*kinds, blind))
    ]
    assert [len(depth_frames(one, 32)) for one in stored] == [4, 0, 0]
    first = depth_frames(stored[0], 32)[0]
    assert np.allclose(first.depth[:13], np.linspace(12, 8, 80)[2::5], rtol=0.02)
    assert first.lesion.sum() > 0
