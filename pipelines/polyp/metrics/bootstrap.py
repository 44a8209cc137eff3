"""How far a score may be from what other patients would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .agreement import Floats

DRAWS: Final = 2_000
AT_ONCE: Final = 2**22  # numbers held at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """The ends of a bootstrap interval, in the score's unit."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Patients drawn again with repetition: how often each was drawn, (draws, clusters).

    cluster: of each item, int64 (items,). The same draws serve all scores of a table.
    """

    times: NDArray[np.int32]
    cluster: NDArray[np.int64]

    @property
    def clusters(self) -> int:
        return int(self.times.shape[1])

    def sums(self, rows: Floats, chosen: NDArray[np.bool_]) -> Floats:
        """Sums over the items of each draw, (draws, k), of the rows (chosen items, k)."""
        per_cluster = np.zeros((self.clusters, rows.shape[1]))
        np.add.at(per_cluster, self.cluster[chosen], rows)
        return self.times @ per_cluster

    def weights(self, chosen: NDArray[np.bool_]) -> Iterator[NDArray[np.int32]]:
        """How often each chosen item was drawn, (some draws, chosen items), a part of the draws at a time."""
        members = self.cluster[chosen]
        step = max(1, AT_ONCE // max(1, len(members)))
        for start in range(0, len(self.times), step):
            yield self.times[start : start + step][:, members]


def draw(clusters: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> Draws:
    """Draw clusters, as patients, with repetition (Efron, 1979; for clusters Davison and Hinkley, 1997).

    clusters: the name of the cluster of each item.
    """
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    count = len(names)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return Draws(times.astype(np.int32), cluster.astype(np.int64))


def ends(scores: Floats, confidence: float = 0.95) -> Interval | None:
    """The percentile interval of the scores of draws, (draws,); draws without a score are passed over."""
    found = scores[np.isfinite(scores)]
    if not len(found):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail]).tolist()
    return Interval(low, high)


def of_weights(
    draws: Draws, chosen: NDArray[np.bool_], score: Callable[[NDArray[np.int32]], Floats]
) -> Floats:
    """Scores (draws,) that are no function of sums: `score` turns weights (some draws, items) into some."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.concatenate([score(one) for one in draws.weights(chosen)])


def weighted_median(values: Floats, weights: NDArray[np.int32]) -> Floats:
    """The median of values (items,), each taken as often as its weight (draws, items) says; NaN if never."""
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weights[:, order], axis=1, dtype=np.int32)
    ranked = values[order]
    found = np.full(len(weights), np.nan)
    for place, row in enumerate(running):
        if row[-1] > 0:
            # With an even number the middle lies between two items, and the median is their mean.
            middle = np.array([(row[-1] + 1) // 2, row[-1] // 2 + 1], row.dtype)
            found[place] = ranked[np.searchsorted(row, middle)].mean()
    return found
