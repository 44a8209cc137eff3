"""Timing in rounds: who goes first, how often, when to stop."""

from __future__ import annotations

import pytest

from benchmarks.engines.rounds import MOST_CALLS, Seconds, TooSlow, in_rounds, ratio, timed


def told(log: list[str], name: str, *seconds: float) -> Seconds:
    """A call that takes those seconds, the last ones again and again, without taking them."""
    left = list(seconds)

    def call() -> float:
        log.append(name)
        return left.pop(0) if len(left) > 1 else left[0]

    return call


def test_every_round_holds_all_and_another_begins() -> None:
    log: list[str] = []
    calls = {name: told(log, name, 1.0) for name in "abc"}
    found = in_rounds(calls, rounds=3, warm_up=1)
    assert "".join(log) == "abc" + "abc" + "bca" + "cab"
    assert found == {name: [1.0] * 3 for name in "abc"}


def test_warm_up_does_not_count_and_is_cut_short_where_it_is_long() -> None:
    log: list[str] = []
    assert in_rounds({"a": told(log, "a", 9.0, 8.0, 1.0)}, rounds=2) == {"a": [1.0, 1.0]}
    assert in_rounds({"a": told(log, "a", 11.0, 8.0, 1.0)}, rounds=2) == {"a": [8.0, 1.0]}


def test_short_calls_are_repeated_and_rounds_added() -> None:
    log: list[str] = []
    found = in_rounds({"a": told(log, "a", 0.004)}, rounds=2, warm_up=1, least_seconds=0.02)
    assert len(found["a"]) == 8
    assert found["a"] == pytest.approx([0.004] * 8)
    assert len(log) == 1 + 8 * 5
    enough = in_rounds({"a": told(log, "a", 0.25)}, rounds=2, spare_seconds=1.0)
    assert len(enough["a"]) == 4
    log.clear()
    in_rounds({"a": told(log, "a", 0.0)}, rounds=1, warm_up=1, spare_seconds=0.0)
    assert len(log) == 1 + MOST_CALLS


def test_what_takes_too_long_is_named() -> None:
    with pytest.raises(TooSlow, match="slow takes 61 s a call, more than 60"):
        in_rounds({"fast": told([], "fast", 1.0), "slow": told([], "slow", 61.0)}, rounds=5)


@pytest.mark.parametrize(("rounds", "warm_up"), [(0, 1), (1, 0)])
def test_no_rounds_are_refused(rounds: int, warm_up: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        in_rounds({}, rounds=rounds, warm_up=warm_up)


def test_the_ratio_is_the_median_of_those_of_each_round() -> None:
    # The medians themselves would say 2 / 2.
    assert ratio([2.0, 1.0, 30.0], [1.0, 2.0, 3.0]) == 2.0
    assert ratio([1.0, 2.0, 30.0], [10.0, 2.0, 3.0]) == 1.0


def test_a_call_is_timed_by_the_clock() -> None:
    ticks = iter([5.0, 7.5])
    made: list[int] = []
    assert timed(lambda: made.append(1), clock=lambda: next(ticks))() == 2.5
    assert made == [1]
