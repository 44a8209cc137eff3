"""Timing in rounds, every contestant in each: noise falls on all, and a ratio is of one moment."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Seconds = Callable[[], float]

MOST_CALLS = 1000


class TooSlow(RuntimeError):
    """A single call took longer than is worth waiting for."""


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Seconds:
    """A function that makes the call and returns its seconds."""

    def seconds() -> float:
        started = clock()
        call()
        return clock() - started

    return seconds


def in_rounds(
    calls: Mapping[str, Seconds],
    *,
    rounds: int,
    warm_up: int = 2,
    least_seconds: float = 0.02,
    spare_seconds: float = 1.0,
    long_seconds: float = 10.0,
    most_seconds: float = 60.0,
) -> dict[str, list[float]]:
    """The seconds of each call in each round; the call that begins changes from round to round.

    A call shorter than `least_seconds` is made as often as fills them, and its mean counts. While the rounds
    together are shorter than `spare_seconds`, there are more of them, up to four times as many.
    `warm_up` rounds before are not counted; after one longer than `long_seconds` no other follows.
    Raises TooSlow, with the call's name, if one takes longer than `most_seconds` in a warm-up.
    """
    if rounds < 1 or warm_up < 1:
        raise ValueError(f"rounds and warm_up must be at least 1, not {rounds} and {warm_up}")
    names = list(calls)
    times = dict.fromkeys(names, 1)
    for _ in range(warm_up):
        last = {name: calls[name]() for name in names}
        for name, spent in last.items():
            if spent > most_seconds:
                raise TooSlow(f"{name} takes {spent:.0f} s a call, more than {most_seconds:.0f}")
            times[name] = max(1, min(MOST_CALLS, math.ceil(least_seconds / max(spent, 1e-9))))
        if sum(last.values()) > long_seconds:
            break
    found: dict[str, list[float]] = {name: [] for name in names}
    total = 0.0
    for number in range(4 * rounds):
        if number >= rounds and total >= spare_seconds:
            break
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            spent = sum(calls[name]() for _ in range(times[name]))
            total += spent
            found[name].append(spent / times[name])
    return found


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
