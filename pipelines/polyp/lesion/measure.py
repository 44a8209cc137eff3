"""How well found lesions cover the marked ones, frame by frame. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.metrics.bootstrap import draw, ends

TOUCH = 0.1  # IoU from which on a lesion counts as found
DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class FrameScore:
    """Of one frame, all its lesions together. dice, iou: 1 where nothing is marked and nothing found, 0 where
    one of both is empty. empty: nothing is marked. missed: a lesion is marked, and what was found has an IoU
    below 0.1 with it. false: nothing is marked, and something was found. in_part: whether something was found
    in a part of the frame beside its lesions; None if there is no such part."""

    id: str
    data: str
    cluster: str
    dice: float
    iou: float
    empty: bool
    in_part: bool | None = None

    @property
    def missed(self) -> bool:
        return not self.empty and self.iou < TOUCH

    @property
    def false(self) -> bool:
        return self.empty and self.dice < 1


def overlap(found: NDArray[np.bool_], marked: NDArray[np.bool_]) -> tuple[float, float]:
    """Dice and IoU of two masks (H, W); 1 if both are empty."""
    both, either = float((found & marked).sum()), float((found | marked).sum())
    if not either:
        return 1.0, 1.0
    return 2 * both / (both + either), both / either


def union(masks: Iterable[NDArray[np.bool_]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """What any of the masks (H, W) holds."""
    found = np.zeros(shape, np.bool_)
    for one in masks:
        found |= one
    return found


def summary(scores: Sequence[FrameScore], *, seed: int = 0) -> dict[str, Any]:
    """Means over frames, with 95% bootstrap intervals for Dice over clusters of frames.

    dice, iou: over frames with a lesion; dice_all counts a frame without one as 1 if nothing was found in it,
    else as 0. missed, false: of how many frames with and without a lesion. false_parts: of how many of the
    `parts` of frames without one. None where there is no such frame.
    """
    lesions, empty = [one for one in scores if not one.empty], [one for one in scores if one.empty]
    interval = None
    if lesions:
        draws = draw([one.cluster for one in lesions], draws=DRAWS, seed=seed)
        chosen = np.ones(len(lesions), np.bool_)
        sums = draws.sums(np.array([[one.dice, 1.0] for one in lesions]), chosen)
        interval = ends(sums[:, 0] / sums[:, 1])
    return {
        "frames": len(scores),
        "empty": len(empty),
        "dice": _mean([one.dice for one in lesions]),
        "dice_low": None if interval is None else interval.low,
        "dice_high": None if interval is None else interval.high,
        "iou": _mean([one.iou for one in lesions]),
        "dice_all": _mean([one.dice for one in scores]),
        "missed": sum(one.missed for one in lesions),
        "false": sum(one.false for one in empty),
        "parts": sum(one.in_part is not None for one in scores),
        "false_parts": sum(one.in_part is True for one in scores),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
