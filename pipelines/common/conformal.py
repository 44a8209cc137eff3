"""Split conformal prediction (Lei et al., 2018): how far off a prediction may be, from held-out ones."""

from __future__ import annotations

import math

from torch import Tensor


def reach_of(scores: Tensor, confidence: float) -> float | None:
    """The score that a new one exceeds with a probability of 1 - confidence at most.

    scores: (N,), sorted, of held-out items that are exchangeable with the new one. None where they are too
    few for the confidence, between 0 and 1: 0.9 needs 9.
    """
    place = math.ceil((len(scores) + 1) * confidence)
    return float(scores[place - 1]) if 1 <= place <= len(scores) else None
