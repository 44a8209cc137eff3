"""Intervals of counts: coverage, width, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.crowd.calibration import SCORES, SHARE, calibrate, cross_intervals, interval


def drawn(
    number: int, seed: int, common: float
) -> tuple[list[float], list[float], list[float | None], list[float | None]]:
    """Images of 100 blocks: true counts and counted ones, whose errors are partly those of whole images."""
    rng = np.random.default_rng(seed)
    means = rng.lognormal(0, 1, (number, 1)) * np.ones((1, 100))
    scale = 1 + common * rng.standard_normal((number, 1))
    true = rng.poisson(np.clip(means * scale, 0, None)).sum(1)
    deviations = np.sqrt(means)
    return true.tolist(), means.sum(1).tolist(), (deviations**2).sum(1).tolist(), deviations.sum(1).tolist()


@pytest.mark.parametrize("common", [0.0, 0.3])
@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_intervals_cover_new_images_as_often_as_they_say(common: float, confidence: float) -> None:
    calibration = calibrate(*drawn(400, 1, common))
    inside = 0
    for true, *one in zip(*drawn(2000, 2, common), strict=True):
        ends = interval(*one, calibration, confidence)
        assert ends is not None
        inside += ends[0] <= true <= ends[1]
    assert inside / 2000 == pytest.approx(confidence, abs=0.04)


def test_errors_of_whole_images_are_told_from_those_of_blocks() -> None:
    alone, together = (calibrate(*drawn(400, 3, common)) for common in (0.0, 0.5))
    assert float(alone[SHARE]) < 0.05
    assert float(together[SHARE]) > 0.1


def test_the_quantile_is_that_of_split_conformal_prediction() -> None:
    """With scores 1 to 9 and a confidence of 0.9, ceil(10 * 0.9) = 9: the largest one."""
    calibration = {SHARE: torch.tensor(0.0), SCORES: torch.arange(1.0, 10.0)}
    assert interval(100, 15.75, 40, calibration, 0.9) == pytest.approx((100 - 9 * 4, 100 + 9 * 4))
    assert interval(100, 15.75, 40, calibration, 0.5) == pytest.approx((100 - 5 * 4, 100 + 5 * 4))
    assert interval(100, 15.75, 40, calibration, 0.95) is None  # needs 19 images


def test_each_image_is_judged_by_the_others() -> None:
    true, counts, variances, deviations = drawn(30, 4, 0.2)
    crossed = cross_intervals(true, counts, variances, deviations, 0.8)
    others = [values[1:] for values in (true, counts, variances, deviations)]
    first = interval(counts[0], variances[0], deviations[0], calibrate(*others), 0.8)  # type: ignore[arg-type]
    assert crossed[0] == first
    far = [true[0] + 10_000, *true[1:]]  # its own error has no influence
    assert cross_intervals(far, counts, variances, deviations, 0.8)[0] == first


def test_without_calibration_there_is_no_interval() -> None:
    assert interval(3, 3, 3, {}) is None
    assert calibrate([], [], [], []) == {}


@settings(max_examples=60, deadline=None)
@given(
    count=st.floats(-5, 1e6),
    variance=st.none() | st.floats(0, 1e6),
    deviations=st.none() | st.floats(0, 1e6),
    confidence=st.floats(0.05, 0.9),
)
def test_ends_are_in_order_and_not_negative(
    count: float, variance: float | None, deviations: float | None, confidence: float
) -> None:
    calibration = calibrate(*drawn(20, 5, 0.1))
    ends = interval(count, variance, deviations, calibration, confidence)
    assert ends is not None
    low, high = ends
    assert 0 <= low <= max(count, 0) <= high + 1e-9
