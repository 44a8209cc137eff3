"""Which cases are held out in which fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.common.errors import UserError


def split_folds(names: Sequence[str], folds: int, seed: int) -> list[list[str]]:
    """The names of each fold's held-out cases, in sorted order; the same for the same names and seed.

    Sizes differ by one at most. Raises UserError if a fold would be empty.
    """
    if len(names) < folds:
        raise UserError(
            f"{folds} folds need at least as many cases; there are {len(names)}:"
            " set fewer folds, or fold=none"
        )
    ordered = sorted(names)
    shuffled = np.random.default_rng(seed).permutation(len(ordered))
    return [sorted(ordered[i] for i in part) for part in np.array_split(shuffled, folds)]
