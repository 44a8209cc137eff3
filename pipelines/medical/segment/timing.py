"""How far a run is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


class Clock:
    """Counts cases by the work in them, as a large volume takes longer than a small one.

    works: of each case that is to be done; 0 where it is not known. total, done: cases of the run, and how
    many of them an earlier run has finished.
    """

    def __init__(
        self, works: Sequence[float], total: int, done: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        known = [one for one in works if one]
        usual = sum(known) / len(known) if known else 1.0
        self.works = [one or usual for one in works]
        self.total, self.before, self.now = total, done, now
        self.finished = 0
        self.began = now()

    def next(self) -> None:
        """A case is done."""
        self.finished += 1

    def line(self, name: str, share: float) -> str:
        """What to show while the case `name` is worked on. share: of it that is done, 0 to 1."""
        text = f"{self.before + self.finished:,} of {self.total:,} cases done, {name}: {share:.0%}"
        left = self.seconds_left(share)
        return text if left is None else f"{text}, {in_words(left)} left"

    def seconds_left(self, share: float) -> float | None:
        """Of the whole run, at the pace so far; None while that is not known."""
        done = sum(self.works[: self.finished]) + share * self.works[self.finished]
        passed = self.now() - self.began
        if done < 0.01 * sum(self.works) or passed < 2:
            return None
        return passed * (sum(self.works) - done) / done


def in_words(seconds: float) -> str:
    """A time to come, as rough as it is known."""
    if seconds < 90:
        return f"about {max(5, round(seconds / 5) * 5)} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
