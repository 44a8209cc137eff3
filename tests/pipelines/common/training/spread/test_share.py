"""The division of a batch: all of it, evenly, and always the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.training.spread.share import shares

WEIGHTS = st.lists(st.integers(0, 50), max_size=24)


@given(WEIGHTS, st.integers(1, 6))
def test_every_item_is_in_one_share_in_rising_order(weights: list[int], size: int) -> None:
    found = shares(weights, size)
    assert len(found) == size
    assert sorted(itertools.chain(*found)) == list(range(len(weights)))
    assert all(list(items) == sorted(items) for items in found)
    assert found == shares(list(weights), size)


@given(st.lists(st.integers(0, 50), min_size=6, max_size=24), st.integers(1, 6))
def test_no_process_is_without_items_where_there_are_enough(weights: list[int], size: int) -> None:
    assert all(shares(weights, size))


@given(WEIGHTS, st.integers(1, 6))
def test_loads_differ_by_no_more_than_an_item(weights: list[int], size: int) -> None:
    loads = [sum(weights[item] for item in items) for items in shares(weights, size)]
    assert max(loads) - min(loads) <= max(weights, default=0)


@given(st.lists(st.integers(0, 20), max_size=7), st.integers(2, 3))
def test_the_busiest_is_within_a_third_of_the_best_division(weights: list[int], size: int) -> None:
    def busiest(owners: tuple[int, ...]) -> int:
        return max(sum(w for w, o in zip(weights, owners, strict=True) if o == one) for one in range(size))

    best = min(map(busiest, itertools.product(range(size), repeat=len(weights))))
    found = max(sum(weights[item] for item in items) for items in shares(weights, size))
    assert 3 * size * found <= (4 * size - 1) * best


@given(st.integers(0, 30), st.integers(1, 6), st.integers(0, 9))
def test_equal_weights_make_equal_numbers(count: int, size: int, weight: int) -> None:
    lengths = [len(items) for items in shares([weight] * count, size)]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("weights", "size", "expected"),
    [
        ([5, 1, 1, 3], 2, [[0], [1, 2, 3]]),
        ([0, 0, 9, 0], 2, [[2], [0, 1, 3]]),
        ([2, 2, 2, 2], 2, [[0, 2], [1, 3]]),
        ([], 2, [[], []]),
    ],
)
def test_small_cases(weights: list[int], size: int, expected: list[list[int]]) -> None:
    assert shares(weights, size) == expected
