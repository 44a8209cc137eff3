"""What makes a frame unusable, and what makes it count less."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.polyp.quality import quality_of

BOX = (40.0, 30.0, 90.0, 80.0)


def mucosa(seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 200, (24, 32, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255), np.uint8)


def blurred(sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(mucosa(), (0, 0), sigma), np.uint8)


def test_a_good_frame_is_used() -> None:
    found = quality_of(mucosa(), BOX)
    assert found.usable
    assert 0.3 < found.weight <= 1
    assert not found.cut


def test_blur_lowers_the_weight_until_the_frame_is_useless() -> None:
    weights = [quality_of(blurred(s), BOX).weight for s in (0.5, 1.5, 3.0, 9.0)]
    assert weights == sorted(weights, reverse=True)
    assert "it is blurred" in quality_of(blurred(25.0), BOX).reasons


@pytest.mark.parametrize(
    ("level", "said"), [(5, "the lesion is in the dark"), (255, "the lesion is overexposed")]
)
def test_dark_and_glare_are_named(level: int, said: str) -> None:
    pixels = mucosa()
    pixels[30:70, 40:90] = level
    assert said in quality_of(pixels, BOX).reasons


def test_a_lesion_at_the_edge_counts_less() -> None:
    inner = quality_of(mucosa(), BOX)
    edge = quality_of(mucosa(), (0.0, 30.0, 50.0, 80.0))
    assert edge.cut and edge.usable
    assert edge.weight < 0.6 * inner.weight


@pytest.mark.parametrize("box", [(-50.0, -50.0, -1.0, -1.0), (200.0, 10.0, 240.0, 40.0)])
def test_a_box_outside_the_frame_is_no_use(box: tuple[float, float, float, float]) -> None:
    found = quality_of(mucosa(), box)
    assert found.weight == 0
    assert not found.usable


def test_a_small_lesion_in_a_sharp_frame_is_not_blurred() -> None:
    pixels = mucosa()
    cv2.circle(pixels, (65, 55), 9, (190, 90, 90), -1)  # smooth itself
    assert quality_of(pixels, (56.0, 46.0, 75.0, 65.0)).usable
    assert not quality_of(blurred(25.0), (56.0, 46.0, 75.0, 65.0)).usable


def test_a_few_pixels_are_too_few() -> None:
    assert any("smaller than" in one for one in quality_of(mucosa(), (40.0, 30.0, 48.0, 37.0)).reasons)


def disc(row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:120, :160] + 0.5
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 < radius**2)


def test_a_lesion_at_the_edge_of_the_optical_field_counts_less() -> None:
    field = disc(60, 80, 55)
    inner, across = (60.0, 40.0, 100.0, 80.0), (10.0, 40.0, 50.0, 80.0)
    assert not quality_of(mucosa(), inner, field=field).cut
    found = quality_of(mucosa(), across, field=field)
    assert found.cut
    assert found.usable
    assert found.weight < 0.6 * quality_of(mucosa(), across).weight
    assert not quality_of(mucosa(), across).cut, "without the field it is well within the frame"


def test_a_mask_says_better_than_a_box_whether_a_lesion_is_cut() -> None:
    field = disc(60, 80, 55)
    seen = disc(60, 30, 20) & field
    rows, columns = np.nonzero(seen)
    box = (float(columns.min()), float(rows.min()), columns.max() + 1.0, rows.max() + 1.0)
    assert quality_of(mucosa(), box, mask=seen, field=field).cut
    small = disc(60, 50, 12)
    assert not quality_of(mucosa(), (38.0, 48.0, 62.0, 72.0), mask=small, field=field).cut
    assert not quality_of(mucosa(), (38.0, 48.0, 62.0, 72.0), mask=np.zeros_like(small), field=field).cut
