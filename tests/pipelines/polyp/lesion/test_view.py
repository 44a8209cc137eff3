"""The way from a frame to a square and back."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.polyp.data import Field, find_field
from pipelines.polyp.lesion.view import fit_of, fitted, fitted_share, squared
from tests.pipelines.polyp.lesion.builders import disc, wall


def field_of(mask: np.ndarray) -> Field:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return Field(mask, box, "circle")


@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90), (64, 64), (700, 1200), (20, 30)])
def test_what_is_marked_in_a_frame_comes_back_to_its_place(height: int, width: int) -> None:
    """A disc goes into the square and back, and lies where it was."""
    inner = np.zeros((height, width), bool)
    inner[height // 8 : -height // 8, width // 6 : -width // 8] = True
    marked = disc(0.6 * width, 0.4 * height, 0.2 * min(height, width), height, width)
    field = field_of(inner)
    fit = fit_of(field, 64)
    assert max(fit.size) == 64
    x0, y0, x1, y1 = fit.field
    assert fit.size[1] / fit.size[0] == pytest.approx((x1 - x0) / (y1 - y0), rel=0.05)
    share = squared(fitted_share(marked, fit), 64).astype(np.float32) / 255
    assert share.shape == (64, 64)
    back = fit.back(share) > 0.5
    assert back.shape == (height, width)
    both, either = (back & marked).sum(), (back | marked).sum()
    assert both / either > 0.8
    rows, columns = np.nonzero(back)
    step = max(height, width) / 64
    assert columns.mean() == pytest.approx(0.6 * width - 0.5, abs=0.3 * step)
    assert rows.mean() == pytest.approx(0.4 * height - 0.5, abs=0.3 * step)


def test_what_lies_outside_the_field_is_black() -> None:
    pixels = wall(0, 80, 100)
    field = field_of(disc(50, 40, 30, 80, 100))
    fit = fit_of(field, 60)
    square = squared(fitted(pixels, field, fit), 60)
    assert square.dtype == np.uint8 and square.shape == (60, 60, 3)
    assert square[30, 30].any() and not square[2, 2].any()
    inside = fitted_share(field.mask, fit)
    assert (square[inside == 0] == 0).all()


def test_values_beyond_the_box_of_the_field_are_0() -> None:
    pixels = np.zeros((100, 140, 3), np.uint8)
    pixels[20:90, 30:120] = wall(1, 70, 90)
    field = find_field(pixels)
    back = fit_of(field, 32).back(np.ones((32, 32), np.float32))
    x0, y0, x1, y1 = (int(one) for one in field.box)
    assert back[y0:y1, x0:x1].min() == 1
    assert back.sum() == (y1 - y0) * (x1 - x0)
