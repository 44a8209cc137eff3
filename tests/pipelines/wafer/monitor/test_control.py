"""Control limits against textbook numbers, computed by hand from textbook data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.wafer.monitor.control import laney_spread, p_chart, u_chart

# Montgomery, Introduction to Statistical Quality Control, the orange juice cans; also the 30 wafers of 50
# chips of the NIST/SEMATECH e-Handbook, section 6.3.3.2.
CANS = np.array(
    [
        12,
        15,
        8,
        10,
        4,
        7,
        16,
        9,
        14,
        10,
        5,
        6,
        17,
        12,
        22,
        8,
        10,
        5,
        13,
        11,
        20,
        18,
        24,
        15,
        9,
        12,
        7,
        13,
        9,
        6,
    ],
    float,
)
# The dyed cloth of Montgomery: defects, and inspected units of 50 m².
CLOTH = np.array([14, 12, 20, 11, 7, 10, 21, 16, 19, 23], float)
UNITS = np.array([10, 8, 13, 10, 9.5, 10, 12, 10.5, 12, 12.5])
# NIST/SEMATECH e-Handbook, section 6.3.3.1: defects on 25 wafers of one area.
WAFERS = np.array(
    [16, 14, 28, 16, 12, 20, 10, 12, 10, 17, 19, 17, 14, 16, 15, 13, 14, 16, 11, 20, 11, 19, 16, 31, 13],
    float,
)


def test_the_p_chart_of_the_textbook() -> None:
    chart = p_chart(CANS, np.full(30, 50.0))
    assert chart.centre == pytest.approx(0.2313, abs=5e-5)
    assert chart.lower[0] == pytest.approx(0.0524, abs=5e-5)
    assert chart.upper[0] == pytest.approx(0.4102, abs=5e-5)
    assert (np.flatnonzero(chart.side) + 1).tolist() == [15, 23]
    assert chart.spread == 1.0


def test_its_revised_limits_come_from_the_other_samples() -> None:
    base = np.ones(30, bool)
    base[[14, 22]] = False
    chart = p_chart(CANS, np.full(30, 50.0), base=base)
    assert chart.centre == pytest.approx(0.2150, abs=5e-5)
    assert (chart.lower[0], chart.upper[0]) == pytest.approx((0.0407, 0.3893), abs=5e-5)
    assert (np.flatnonzero(chart.side) + 1).tolist() == [15, 21, 23]


def test_the_u_chart_of_the_textbook_with_areas_that_vary() -> None:
    chart = u_chart(CLOTH, UNITS)
    assert chart.centre == pytest.approx(153 / 107.5)
    by_hand = 153 / 107.5 + 3 * np.sqrt(153 / 107.5 / 8)
    assert chart.upper[1] == pytest.approx(by_hand) == pytest.approx(2.69, abs=5e-3)
    assert chart.lower[0] == pytest.approx(0.29, abs=5e-3)
    assert not chart.side.any()


def test_defects_on_wafers_of_one_area() -> None:
    chart = u_chart(WAFERS, np.ones(25))
    assert (chart.lower[0], chart.centre, chart.upper[0]) == pytest.approx((4, 16, 28))
    assert (np.flatnonzero(chart.side) + 1).tolist() == [24]  # wafer 3 lies on the limit, not out of it


def test_laney_widens_by_the_moving_range() -> None:
    z = np.array([0.0, 2.0, -1.0, 4.0])  # moving ranges 2, 3, 5
    assert laney_spread(z) == pytest.approx(10 / 3 / 1.128)
    assert laney_spread(np.array([0.1, 0.2, 0.1])) == 1.0  # never narrower
    assert laney_spread(np.array([3.0])) == 1.0
    count, area = np.array([100.0, 400, 150, 380, 90]), np.full(5, 100.0)
    plain, wide = u_chart(count, area), u_chart(count, area, laney=True)
    scaled = (count / area - plain.centre) / np.sqrt(plain.centre / area)
    assert wide.spread == pytest.approx(np.abs(np.diff(scaled)).mean() / 1.128)
    assert (wide.upper - wide.centre) == pytest.approx(wide.spread * (plain.upper - plain.centre))
    assert plain.side.any() and not wide.side.any()


@settings(deadline=None)  # a busy machine takes its time
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=12), st.booleans())
def test_limits_hold_the_centre_and_stay_possible(pairs: list[tuple[int, int]], laney: bool) -> None:
    size = np.array([max(pair) for pair in pairs], float).clip(1)
    count = np.array([min(pair) for pair in pairs], float)
    for chart, most in (
        (p_chart(count, size, laney=laney), 1.0),
        (u_chart(count, size, laney=laney), np.inf),
    ):
        assert (chart.lower >= 0).all() and (chart.upper <= most).all()
        assert (chart.lower <= chart.centre + 1e-12).all() and (chart.upper >= chart.centre - 1e-12).all()
        assert not chart.side[np.isclose(chart.value, chart.centre)].any()


@pytest.mark.parametrize(
    ("count", "size", "base"),
    [
        ([], [], None),
        ([1.0], [0.0], None),
        ([-1.0], [2.0], None),
        ([1.0], [1.0, 2.0], None),
        ([1.0], [2.0], [False]),
    ],
)
def test_what_is_no_chart_is_refused(count: list[float], size: list[float], base: list[bool] | None) -> None:
    with pytest.raises(ValueError):
        p_chart(np.array(count), np.array(size), base=None if base is None else np.array(base))
