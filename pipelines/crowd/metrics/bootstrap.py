"""How far a score may be from what other images of the same kind would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS: Final = 2_000
AT_ONCE: Final = 2**22  # numbers drawn at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """The ends of a bootstrap interval, in the score's unit."""

    low: float
    high: float


def bootstrap(
    rows: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval | None:
    """Percentile interval of a score over images (Efron, 1979): images are drawn again with repetition.

    rows: (images, k), the numbers of each image that the score is made of. statistic: turns means of these
    over the images of each draw, (draws, k), into scores (draws,); NaN where a draw gives none, as when all
    its images are empty. None for fewer than two images, or if no draw gives a score.
    """
    count = len(rows)
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // count)
    means = [
        rng.multinomial(count, np.full(count, 1 / count), size=min(step, draws - start)) @ rows / count
        for start in range(0, draws, step)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = statistic(np.concatenate(means))
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(scores, [tail, 1 - tail]).tolist()
    return Interval(low, high)
