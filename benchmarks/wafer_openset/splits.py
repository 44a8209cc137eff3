"""Which classes are left out, and which maps then train, set thresholds, and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = ("Center", "Donut", "Edge-Loc", "Edge-Ring", "Loc", "Near-full", "None", "Random", "Scratch")
# The pair of which published figures are known comes first.
FIRST_PAIR = ("Donut", "Scratch")
PAIRS = (("Center", "Edge-Ring"), ("Edge-Loc", "Loc"), ("Near-full", "Random"))
HELD_SHARE = 0.1
# In a reduced training set each class keeps this share of it, or all that it has.
LEAST_SHARE = 1 / 16

Rows = NDArray[np.int64]


def default_splits() -> list[tuple[str, ...]]:
    """Donut and Scratch, then each class alone, then pairs of classes that look alike or not at all."""
    return [FIRST_PAIR, *((name,) for name in CLASSES), *PAIRS]


def parse_split(text: str, labels: Sequence[str] = CLASSES) -> tuple[str, ...]:
    """`Donut+Scratch` as its classes, sorted. Raises ValueError for a class that is not in `labels`."""
    names = tuple(sorted(part.strip() for part in text.split("+")))
    for name in names:
        if name not in labels:
            raise ValueError(f"{name!r} in {text!r} is no class of the data: {', '.join(labels)}")
    if len(set(names)) < len(names):
        raise ValueError(f"{text!r} names a class twice")
    if len(labels) - len(names) < 2:
        raise ValueError(f"{text!r} leaves fewer than two classes to train on")
    return names


def split_name(left_out: Sequence[str]) -> str:
    return "+".join(left_out)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows of the training file (`train`, `held`) and of the test file (`known`, `novel`), each rising.

    labels: the known classes, sorted. train: fits the network and the scores. held: known maps that train
    nothing and set thresholds. known, novel: test maps of the known classes and of those left out.
    """

    left_out: tuple[str, ...]
    seed: int
    labels: tuple[str, ...]
    train: Rows
    held: Rows
    known: Rows
    novel: Rows

    @property
    def name(self) -> str:
        return split_name(self.left_out)

    def classes(self, text: NDArray[np.str_]) -> Rows:
        """Labels of known classes as places in `labels`."""
        return np.searchsorted(np.array(self.labels), text).astype(np.int64)


def make_split(
    train: NDArray[np.str_],
    test: NDArray[np.str_],
    left_out: tuple[str, ...],
    *,
    seed: int,
    maps: int | None = None,
) -> Split:
    """Leave classes out of the labels of both files; what is drawn follows from the seed.

    maps: at most so many maps to train on, half as many held out, and as many known ones to test on; None
    takes all. Raises ValueError if a class that is left out has no map in the test file, or fewer than two
    classes remain.
    """
    labels = tuple(sorted(set(train.tolist()) - set(left_out)))
    if len(labels) < 2:
        raise ValueError(f"{split_name(left_out)} leaves fewer than two classes to train on")
    missing = sorted(set(left_out) - set(test.tolist()))
    if missing:
        raise ValueError(f"no test map is of the class {missing[0]!r}")
    rng = np.random.default_rng([seed, 11])
    known = rng.permutation(np.flatnonzero(np.isin(train, labels)))
    held_share = HELD_SHARE if maps is None else min(HELD_SHARE, maps / 2 / len(known))
    held = _of_each(train, known, held_share)
    rest = known[~np.isin(known, held)]
    tested = rng.permutation(np.flatnonzero(np.isin(test, labels)))[:maps]
    return Split(
        left_out,
        seed,
        labels,
        np.sort(_reduced(train, rest, maps)),
        np.sort(held),
        np.sort(tested),
        np.flatnonzero(np.isin(test, left_out)),
    )


def _of_each(labels: NDArray[np.str_], rows: Rows, share: float) -> Rows:
    """The first `share` of the rows of each class, one at least."""
    chosen = []
    for name in np.unique(labels[rows]):
        own = rows[labels[rows] == name]
        chosen.append(own[: max(1, round(share * len(own)))])
    return np.concatenate(chosen)


def _reduced(labels: NDArray[np.str_], rows: Rows, maps: int | None) -> Rows:
    """At most about `maps` rows: of each class the least share first, then as they come."""
    if maps is None or maps >= len(rows):
        return rows
    least = max(2, round(maps * LEAST_SHARE))
    kept = np.concatenate([rows[labels[rows] == name][:least] for name in np.unique(labels[rows])])
    others = rows[~np.isin(rows, kept)]
    return np.concatenate([kept, others[: max(0, maps - len(kept))]])
