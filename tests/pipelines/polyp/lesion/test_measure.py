"""Scores against counts made by hand, and the tuning that they choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.polyp.data import Field
from pipelines.polyp.lesion.beside import beside
from pipelines.polyp.lesion.loss import loss_of
from pipelines.polyp.lesion.measure import FrameScore, overlap, summary, union
from pipelines.polyp.lesion.tune import Told, tuned
from tests.pipelines.polyp.lesion.builders import disc, wall


def test_dice_and_iou_are_those_of_counted_pixels() -> None:
    found, marked = np.zeros((2, 10, 10), bool)
    found[0:4, 0:5] = True  # 20 px
    marked[2:6, 0:5] = True  # 20 px, 10 of them the same
    assert overlap(found, marked) == pytest.approx((20 / 40, 10 / 30))
    assert overlap(marked, marked) == (1, 1)
    assert overlap(np.zeros_like(marked), marked) == (0, 0)
    assert overlap(np.zeros_like(marked), np.zeros_like(marked)) == (1, 1)
    assert union([found, marked], (10, 10)).sum() == 30
    assert not union([], (10, 10)).any()


def test_the_summary_counts_empty_frames_apart() -> None:
    scores = [
        FrameScore("1", "a", "1", 0.8, 0.7, False, True),
        FrameScore("2", "a", "2", 0.0, 0.0, False, False),
        FrameScore("3", "a", "3", 1.0, 1.0, True),
        FrameScore("4", "a", "4", 0.0, 0.0, True),
    ]
    found = summary(scores)
    assert (found["frames"], found["empty"], found["missed"], found["false"]) == (4, 2, 1, 1)
    assert (found["parts"], found["false_parts"]) == (2, 1)
    assert found["dice"] == pytest.approx(0.4) and found["iou"] == pytest.approx(0.35)
    assert found["dice_all"] == pytest.approx(0.45)
    assert (found["dice_low"], found["dice_high"]) == pytest.approx((0.0, 0.8))
    nothing = summary(scores[2:])
    assert nothing["dice"] is None and nothing["dice_low"] is None and nothing["missed"] == 0


def test_frames_of_one_group_are_drawn_together() -> None:
    apart = [FrameScore(str(n), "a", str(n), float(n % 2), 0.0, False) for n in range(40)]
    together = [FrameScore(str(n), "a", str(n % 2), float(n % 2), 0.0, False) for n in range(40)]
    one, other = summary(apart), summary(together)
    assert one["dice"] == other["dice"] == 0.5
    assert one["dice_high"] - one["dice_low"] < 0.4
    assert (other["dice_low"], other["dice_high"]) == (0, 1)


def said(level: float, marked_rows: int, speck: bool) -> Told:
    """A lesion of 20 rows told at `level`, noise of 0.3 elsewhere, and a sure speck in a corner."""
    shares = np.full((64, 64), 0.3, np.float32)
    shares[:20] = level
    if speck:
        shares[60:62, 60:62] = 0.95
    marked = np.zeros((64, 64), bool)
    marked[:marked_rows] = True
    return Told(shares, marked, Field(np.ones((64, 64), bool), (0, 0, 64, 64), "whole"))


def test_a_tuning_is_above_the_noise_and_leaves_specks_out() -> None:
    found = tuned([said(0.42, 20, True), said(0.6, 20, False)], 2)
    assert 0.3 < found.threshold <= 0.42
    assert found.smallest > 4 / 64**2
    assert found.views == 2
    # Where every threshold does as well, it stays in the middle.
    assert tuned([said(0.99, 20, False)], 1).threshold == 0.5


def test_a_find_where_nothing_is_asks_for_surer_ones() -> None:
    nothing = said(0.55, 20, False)
    nothing = Told(nothing.shares, np.zeros_like(nothing.marked), nothing.field)
    sure = said(0.9, 20, False)
    assert tuned([sure, nothing], 1).sure > 0.55 or tuned([sure, nothing], 1).threshold > 0.55
    # Not if a lesion would be lost for it.
    assert tuned([said(0.55, 20, False), nothing], 1).sure < 0.55
    assert tuned([nothing], 1).sure > 0.55


def test_a_part_beside_the_lesion_holds_none_of_it() -> None:
    pixels = wall(0, 100, 160)
    marked = disc(40, 50, 20, 100, 160)
    field = Field(np.ones((100, 160), bool), (0, 0, 160, 100), "whole")
    part = beside(pixels, field, marked)
    assert part is not None and part.pixels.shape == (100, 100, 3)
    assert (part.pixels == pixels[:, 60:]).all()
    assert part.field.mask.shape == (100, 100) and part.field.box == (0, 0, 100, 100)
    assert beside(pixels, field, np.zeros_like(marked)) is None
    assert beside(pixels, field, disc(80, 50, 45, 100, 160)) is None  # too little is left
    dark = Field(disc(40, 50, 40, 100, 160), (0, 10, 80, 90), "circle")
    assert beside(pixels, dark, disc(40, 50, 10, 100, 160)) is None  # a sliver of a circle


def test_the_loss_falls_towards_the_truth_and_is_that_of_a_hand_count() -> None:
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, 0, :2] = 1.0  # the second frame is empty
    undecided = torch.zeros(2, 1, 4, 4)
    # Shares of 0.5: Dice (2 * 4 + 1) / (8 + 8 + 1) and 1 / (8 + 1), cross-entropy log 2.
    dice = 1 - (9 / 17 + 1 / 9) / 2
    assert float(loss_of([undecided], masks)) == pytest.approx(dice + np.log(2), abs=1e-5)
    coarse = torch.zeros(2, 1, 2, 2)
    both = loss_of([undecided, coarse], masks)
    small = 1 - ((2 * 1 + 1) / (2 + 2 + 1) + 1 / (2 + 1)) / 2
    assert float(both) == pytest.approx((dice + np.log(2) + 0.5 * (small + np.log(2))) / 1.5, abs=1e-5)
    right = (masks - 0.5) * 40
    assert float(loss_of([right], masks)) < 1e-3
    assert float(loss_of([-right], masks)) > 10
