"""Square metres by a scale and by a homography, against hand-made cases and OpenCV."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.crowd.data import CrowdError
from pipelines.crowd.zones import Ground, homography_from_points, read_ground, zone_mask
from pipelines.crowd.zones.checks import make_zone
from pipelines.crowd.zones.ground import clip
from tests.pipelines.crowd.made import write_text
from tests.pipelines.crowd.zones.test_mask import polygon, star

# A square of 10 m x 30 m on the ground, as a camera on a mast sees it; the horizon is at y = -80.
IMAGE = [[0, 400], [640, 400], [200, 100], [440, 100]]
METRES = [[0, 0], [10, 0], [0, 30], [10, 30]]
TRAPEZIUM = [[0, 400], [640, 400], [440, 100], [200, 100]]


def camera() -> Ground:
    return Ground(homography_from_points(IMAGE, METRES))


def test_a_scale() -> None:
    made = make_zone("a", [polygon([[0, 0], [40, 0], [40, 20], [0, 20]])], 100, 100)
    assert Ground.from_scale(20).area_m2(made, 100, 100) == pytest.approx(2)
    assert Ground.from_scale(20).cell_areas_m2(100, 100, (5, 5)).tolist() == [[1.0] * 5] * 5


def test_a_homography_takes_its_places_to_metres() -> None:
    np.testing.assert_allclose(camera().to_metres(IMAGE), METRES, atol=1e-9)
    np.testing.assert_allclose(camera().to_metres([[320, 400]]), [[5, 0]], atol=1e-9)


def test_as_opencv_has_it() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform((0, 100), (600, 700), (12, 2))
    metres = camera().to_metres(pixels) + rng.normal(0, 1e-6, pixels.shape)
    ours = homography_from_points(pixels, metres)
    theirs, _ = cv2.findHomography(pixels, metres)
    np.testing.assert_allclose(ours / ours[2, 2], theirs / theirs[2, 2], rtol=1e-3, atol=1e-5)


def test_the_area_of_a_zone_in_perspective() -> None:
    made = make_zone("a", [polygon(TRAPEZIUM)], 640, 480)
    assert camera().area_m2(made, 640, 480) == pytest.approx(300)


def test_a_hole_is_no_ground() -> None:
    hole = camera_pixels([[2, 5], [4, 5], [4, 10], [2, 10]])
    made = make_zone("a", [polygon(TRAPEZIUM, hole)], 640, 480)
    assert camera().area_m2(made, 640, 480) == pytest.approx(290)


def camera_pixels(metres: Any) -> NDArray[np.float64]:
    return Ground(np.asarray(np.linalg.inv(camera().homography), np.float64)).to_metres(metres)


def test_only_what_is_in_the_image_has_an_area() -> None:
    made = make_zone("a", [polygon([[-100, 0], [50, 0], [50, 300], [-100, 300]])], 100, 100)
    assert Ground.from_scale(10).area_m2(made, 100, 100) == pytest.approx(50)


@pytest.mark.parametrize("seed", range(8))
def test_areas_of_cells_sum_to_the_area_of_the_zone(seed: int) -> None:
    """Cells in half a zone are counted by area of pixels, so the sum is near and not equal."""
    made = make_zone("a", [polygon(star(seed, 640, 480))], 640, 480)
    cells = camera().cell_areas_m2(640, 480, (120, 160))
    mask = zone_mask(made, 640, 480, (120, 160))
    assert (mask * cells).sum() == pytest.approx(camera().area_m2(made, 640, 480), rel=2e-3)


def test_areas_of_all_cells_sum_to_the_image() -> None:
    whole = make_zone("a", [polygon([[0, 0], [640, 0], [640, 480], [0, 480]])], 640, 480)
    for shape, cell in (((8, 10), None), ((7, 10), 70.0)):
        areas = camera().cell_areas_m2(640, 480, shape, cell)
        assert areas.sum() == pytest.approx(camera().area_m2(whole, 640, 480))


def test_a_zone_on_the_horizon_has_no_area() -> None:
    low = Ground(camera().homography @ np.array([[1, 0, 0], [0, 1, -150], [0, 0, 1.0]]))  # horizon at y = 70
    sky = make_zone("sky", [polygon([[0, 50], [640, 50], [640, 300], [0, 300]])], 640, 480)
    with pytest.raises(CrowdError, match=r"the zone 'sky': it reaches the horizon"):
        low.area_m2(sky, 640, 480)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = low.cell_areas_m2(640, 480, (48, 64))
    assert np.isnan(cells[:7]).all() and np.isfinite(cells[8:]).all()
    assert (np.diff(cells[8:, 5]) < 0).all()  # what is farther away is larger


@pytest.mark.parametrize("scale", [0.0, -3.0, float("nan"), float("inf")])
def test_a_scale_that_is_none(scale: float) -> None:
    with pytest.raises(CrowdError, match="pixels per metre must be a number above 0"):
        Ground.from_scale(scale)


@pytest.mark.parametrize(
    ("image", "metres", "words"),
    [
        (IMAGE[:3], METRES[:3], "at least 4 places"),
        (IMAGE, METRES[:3], "at least 4 places"),
        ([[0, 0], [1, 1], [2, 2], [3, 3]], METRES, "no three of four may lie on one line"),
        (IMAGE, [[0, 0], [1, 1], [2, 2], [3, 3]], "on one line|onto a line"),
        ([[5, 5]] * 4, METRES, "on one line"),
        ([[0, 0], [1, 0], [2, 0], [0, 1]], METRES, "on one line|onto a line|horizon"),
        ([["a", 1]] * 4, METRES, "list of x and y"),
        ([[1, 2, 3]] * 4, METRES, "list of x and y"),
        ([[float("nan"), 1]] * 4, METRES, "finite"),
        # A bow tie: no camera sees the four corners of a square in this order.
        ([[0, 0], [10, 0], [0, 10], [3, 3]], [[0, 0], [10, 0], [0, 10], [10, 10]], "horizon"),
    ],
)
def test_places_that_settle_no_homography(image: Any, metres: Any, words: str) -> None:
    with pytest.raises(CrowdError, match=words):
        homography_from_points(image, metres)


def test_from_files(tmp_path: Path) -> None:
    def read(document: Any) -> Ground:
        return read_ground(write_text(tmp_path / "ground.json", json.dumps(document)))

    for document in (
        {"image": IMAGE, "ground_m": METRES},
        {"homography": camera().homography.tolist()},
        {"homography": (-7 * camera().homography).tolist()},
    ):
        np.testing.assert_allclose(read(document).to_metres(IMAGE), METRES, atol=1e-6)
    np.testing.assert_allclose(read({"pixels_per_metre": 50}).to_metres([[100, 50]]), [[2, 1]])
    for bad, words in (
        ([], "holds no object"),
        ({}, "neither homography"),
        ({"pixels_per_metre": True}, "neither homography"),
        ({"homography": [[1, 2], [3, 4]]}, "3 rows of 3 numbers"),
        ({"homography": "x"}, "3 rows of 3 numbers"),
        ({"homography": [[1, 2, 3], [2, 4, 6], [0, 0, 1]]}, "onto a line or a point"),
        ({"homography": [[0] * 3] * 3}, "onto a line or a point"),
    ):
        with pytest.raises(CrowdError, match=words):
            read(bad)


def test_clipping_by_hand() -> None:
    ring = np.array([[-5, 2], [5, 2], [5, 20], [-5, 20.0]])
    assert sorted(clip(ring, 10, 10).tolist()) == [[0, 2], [0, 10], [5, 2], [5, 10]]
    assert len(clip(ring + 100, 10, 10)) == 0
