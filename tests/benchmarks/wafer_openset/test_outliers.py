"""Outliers keep their wafer, and share no shape with what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.wafer_openset.outliers import RESEMBLES, allowed_patterns, merged, synthetic
from benchmarks.wafer_openset.splits import CLASSES


def wafer(rows: int = 40, cols: int = 34) -> np.ndarray:
    y, x = np.mgrid[:rows, :cols]
    round_ = np.hypot((2 * y + 1) / rows - 1, (2 * x + 1) / cols - 1) <= 1
    return round_.astype(np.uint8)


@pytest.mark.parametrize("pattern", list(RESEMBLES))
def test_a_pattern_fails_dies_of_the_wafer_and_no_others(pattern: str) -> None:
    plain = wafer()
    drawn = synthetic(np.random.default_rng(0), plain, [pattern])
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn == 0, plain == 0)
    assert 20 < (drawn == 2).sum() < 0.9 * (plain == 1).sum()
    assert not (plain == 2).any()


def test_a_pattern_has_its_top_at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    corner = {"cross": lambda rng, diameter: np.array([[0.31, 0.42]]) * diameter}
    monkeypatch.setattr("benchmarks.wafer_openset.outliers.ALL_PATTERNS", corner)
    monkeypatch.setattr("benchmarks.wafer_openset.outliers.FILLED", 1.0)
    drawn = synthetic(np.random.default_rng(0), np.ones((20, 8), dtype=np.uint8), ["cross"])
    assert np.argwhere(drawn == 2).tolist() == [[1, 6]]


def test_failing_dies_stay() -> None:
    marked = wafer()
    marked[20, 10] = 2
    assert synthetic(np.random.default_rng(0), marked, ["cross"])[20, 10] == 2


def test_nothing_that_resembles_what_is_left_out_is_drawn() -> None:
    assert set(allowed_patterns(())) == set(RESEMBLES)
    assert not {"arrow", "spiral", "starburst"} & set(allowed_patterns(("Donut", "Scratch")))
    for name in CLASSES:
        allowed = allowed_patterns((name,))
        assert len(allowed) >= 3
        assert all(name not in RESEMBLES[pattern] for pattern in allowed)
    assert {like for likes in RESEMBLES.values() for like in likes} <= set(CLASSES)


def test_two_maps_in_one() -> None:
    one, other = wafer(20, 20), wafer(40, 10)
    one[10, 3] = 2
    other[21, 7] = 2
    both = merged(one, other)
    np.testing.assert_array_equal(both == 0, one == 0)
    assert both[10, 3] == 2
    assert (both[10, 14:16] == 2).any()
    np.testing.assert_array_equal(merged(one, one), one)
