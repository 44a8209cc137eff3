"""What is no zone is refused with the zone's name and what is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.crowd.data import CrowdError
from pipelines.crowd.zones import Polygon
from pipelines.crowd.zones.checks import make_zone
from pipelines.crowd.zones.rings import area, contains, crossing, first_crossing
from tests.pipelines.crowd.zones.test_mask import polygon, star

NAN = float("nan")
SQUARE = [[1, 1], [8, 1], [8, 8], [1, 8]]
SMALL = [[3, 3], [5, 3], [5, 5], [3, 5]]
# A band around a corner of the image: its box holds the image, and it does not touch it.
AROUND = [[-5, -5], [30, -5], [30, -2], [-2, -2], [-2, 30], [-5, 30]]
FAR = [[20, 20], [30, 20], [30, 30]]


@pytest.mark.parametrize(
    ("polygons", "words"),
    [
        ([], "no polygon"),
        ([polygon([[1, 1], [2, 2]])], "2 corners; at least 3"),
        ([polygon([[1, 1], [5, 5], [3, 3]])], "no area"),
        ([polygon([[1, 1], [8, 8], [8, 1], [1, 8]])], "crosses or touches itself near x 4.5, y 4.5"),
        ([polygon([[1, 1], [5, 1], [5, 5], [5, 1], [8, 1], [8, 8]])], "crosses or touches itself"),
        ([polygon([[1, 1], [8, 1], [8, 1], [1, 8]])], "crosses or touches itself near x 8, y 1"),
        ([polygon([[1, 1], [8, 1], [3, 1], [3, 8]])], "crosses or touches itself"),
        ([polygon([[1, 1], [NAN, 1], [8, 8]])], "no usable numbers"),
        ([polygon([[1, 1], [float("inf"), 1], [8, 8]])], "no usable numbers"),
        ([polygon(FAR)], "lies off the image of 10 x 10 px"),
        ([polygon(AROUND)], "lies off the image of 10 x 10 px"),
        ([polygon(SQUARE, [[5, 5], [12, 5], [12, 6]])], "a hole of the zone 'a' is not inside"),
        ([polygon(SQUARE, FAR)], "not inside its polygon"),
        ([polygon(SMALL, SQUARE)], "not inside its polygon"),
        ([polygon(SQUARE, SMALL, [[4, 4], [6, 4], [6, 6], [4, 6]])], "two holes of the zone 'a' overlap"),
        ([polygon(SQUARE, SMALL, SMALL)], "two holes"),
        (
            [polygon(SQUARE), polygon([[5, 5], [9, 5], [9, 9], [5, 9]])],
            "two polygons of the zone 'a' overlap",
        ),
        ([polygon(SQUARE), polygon(SMALL)], "two polygons"),
        ([polygon(SMALL), polygon(SMALL[::-1])], "two polygons"),
        ([polygon(np.random.default_rng(0).random((5_001, 2)) * 9)], "more than 5,000 corners"),
    ],
)
def test_what_is_no_zone(polygons: list[Polygon], words: str) -> None:
    with pytest.raises(CrowdError, match=words):
        make_zone("a", polygons, 10, 10)


@pytest.mark.parametrize(
    "polygons",
    [
        [polygon(SQUARE, SMALL), polygon([[3.5, 3.5], [4.5, 3.5], [4.5, 4.5]])],  # an island in a lake
        [polygon(SQUARE, SMALL), polygon(SMALL)],  # an island that fills it
        [polygon(SMALL), polygon([[5, 3], [8, 3], [8, 5], [5, 5]])],  # neighbours with a common edge
        [polygon(SMALL), polygon([[5, 5], [8, 5], [8, 8]])],  # neighbours with a common corner
        [polygon(SQUARE, [[1, 1], [3, 2], [2, 3]])],  # a hole that touches the edge
        [polygon(SQUARE, SMALL, [[5, 5], [7, 5], [7, 7]])],  # holes with a common corner
    ],
)
def test_what_touches_does_not_overlap(polygons: list[Polygon]) -> None:
    assert make_zone("a", polygons, 10, 10).notes == ()


def test_geometry_by_hand() -> None:
    square: Any = np.array(SQUARE, float)
    small: Any = np.array(SMALL, float)
    assert area(square) == 49
    assert area(square[::-1] + 1e7) == pytest.approx(49)
    assert contains(square, small) and not contains(small, square)
    assert not crossing(square, small)
    assert crossing(square, small + 4)
    assert first_crossing(square) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 40))
def test_crossings_are_those_of_a_loop_over_edges(seed: int, corners: int) -> None:
    """Stars, and stars with two corners exchanged, which mostly cross themselves."""
    ring = star(seed, 10, 10, corners)
    rng = np.random.default_rng(seed)
    if rng.random() < 0.7:
        places = rng.choice(corners, 2, replace=False)
        ring[places] = ring[places[::-1]]
    edges = list(zip(ring, np.roll(ring, -1, axis=0), strict=True))
    apart = [(i, j) for i in range(corners) for j in range(i + 2, corners) if (i, j) != (0, corners - 1)]
    expected = any(meet(*edges[i], *edges[j]) for i, j in apart)
    assert (first_crossing(ring) is not None) == expected


def meet(a: Any, b: Any, c: Any, d: Any) -> bool:
    """Where the lines of two edges meet, as shares of both; random corners are never in line."""
    s, t = np.linalg.solve(np.stack([b - a, c - d], axis=1), c - a)
    return bool(0 <= s <= 1 and 0 <= t <= 1)
