"""A polyp from its frames: pooling, frames left out, intervals, thresholds, and when nothing is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.polyp.aggregate import FrameSize, agreeing, calibrate, interval, pooled, size_polyp, spread
from pipelines.polyp.model.distribution import edges, quantile
from pipelines.polyp.size_bins import BINS


def lognormal(mm: float, deviation: float) -> Tensor:
    ends = edges().double().log()
    below = torch.special.ndtr((ends - np.log(mm)) / deviation)
    shares: Tensor = below.diff().float()
    return shares / shares.sum()


def frame(
    mm: float, deviation: float = 0.15, weight: float = 0.5, reason: str = "", name: str = ""
) -> FrameSize:
    return FrameSize(name or f"{mm}", lognormal(mm, deviation), weight, reason)


def test_equal_frames_are_as_one() -> None:
    one = frame(7.0)
    assert pooled([one] * 5) == pytest.approx(one.shares, abs=1e-5)
    found = size_polyp([one] * 5)
    assert found.mm == pytest.approx(7.0, rel=0.02)
    assert found.low is None, "without calibration there is no interval"
    assert found.decision == found.label == "6-9 mm"


def test_good_frames_count_more() -> None:
    found = size_polyp([frame(6.0, weight=0.9), frame(8.0, weight=0.1)])
    assert found.mm is not None
    assert 6.0 <= found.mm < 6.6


def test_a_frame_far_from_the_others_is_left_out() -> None:
    frames = [frame(mm) for mm in (5.8, 6.0, 6.1, 6.3)] + [frame(19.0)]
    kept, far = agreeing(frames)
    assert [one.name for one in far] == ["19.0"]
    assert len(kept) == 4
    found = size_polyp(frames)
    assert found.left_out == (("19.0", "19.0 mm is far from what the others show"),)
    assert found.mm == pytest.approx(6.05, rel=0.03)


def test_two_frames_that_disagree_are_both_kept_or_one_is() -> None:
    kept, far = agreeing([frame(3.0), frame(15.0)])
    assert kept
    assert len(kept) + len(far) == 2


@pytest.mark.parametrize(
    ("mm", "deviation", "decision", "near"),
    [
        (3.0, 0.1, "<=5 mm", None),
        (5.0, 0.1, "indeterminate", 5.0),
        (7.0, 0.1, "6-9 mm", None),
        (10.2, 0.1, "indeterminate", 10.0),
        (16.0, 0.1, ">=10 mm", None),
    ],
)
def test_near_a_threshold_it_is_indeterminate(
    mm: float, deviation: float, decision: str, near: float
) -> None:
    found = size_polyp([frame(mm, deviation)])
    assert (found.decision, found.near) == (decision, near)
    assert found.at_most_5 is not None and found.from_10 is not None
    assert found.at_most_5 + found.from_10 <= 1 + 1e-5


def test_without_usable_frames_it_abstains_and_says_why() -> None:
    found = size_polyp([frame(5.0, reason="it is blurred"), frame(6.0, reason="the lesion is in the dark")])
    assert found.mm is None
    assert "none of 2 frames" in found.abstained
    assert "blurred" in found.abstained and "dark" in found.abstained
    assert size_polyp([]).abstained == "no frame shows the lesion"
    assert "only 1 of 1" in size_polyp([frame(5.0)], least_frames=3).abstained


def drawn(number: int, seed: int) -> tuple[list[float], list[Tensor]]:
    """Polyps of known sizes with distributions that are half as wide as their errors."""
    rng = np.random.default_rng(seed)
    true = np.exp(rng.uniform(np.log(2), np.log(20), number))
    deviation = rng.uniform(0.05, 0.2, number)
    guess = true * np.exp(2 * deviation * rng.standard_normal(number))
    return true.tolist(), [lognormal(m, s) for m, s in zip(guess, deviation, strict=True)]


@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_intervals_cover_new_polyps_as_often_as_they_say(confidence: float) -> None:
    calibration = calibrate(*drawn(300, 0))
    inside = 0
    for true, shares in zip(*drawn(1000, 1), strict=True):
        ends = interval(shares, calibration, confidence)
        assert ends is not None and 0 < ends[0] < ends[1]
        inside += ends[0] <= true <= ends[1]
    assert inside / 1000 == pytest.approx(confidence, abs=0.04)


def test_frames_without_a_camera_have_intervals_of_their_own() -> None:
    with_camera, without = calibrate(*drawn(100, 2)), calibrate(*drawn(100, 2), scale="nothing")
    twice = {name: 2 * scores for name, scores in without.items()}
    bare = FrameSize("bare", lognormal(7.0, 0.05), 0.5, scale="nothing")
    known = FrameSize("known", lognormal(7.0, 0.05), 0.5)

    def width(frames: list[FrameSize], scores: dict[str, Tensor]) -> float:
        found = size_polyp(frames, scores)
        assert found.low is not None and found.high is not None
        return float(np.log(found.high / found.low))

    both = with_camera | twice
    assert width([bare], both) == pytest.approx(2 * width([known], both))
    assert width([bare, known], both) == width([bare], both), "one frame without makes the polyp one without"
    assert width([bare], with_camera) == width([known], with_camera), "a model that has no others"


def test_an_interval_that_says_nothing_is_no_answer() -> None:
    calibration = calibrate(*drawn(100, 2))
    found = size_polyp([frame(6.0, 1.0)], calibration)
    assert found.mm is None
    assert found.abstained.startswith("the frames allow for anything from")
    assert found.low is not None and found.high is not None


def test_few_polyps_calibrate_no_interval() -> None:
    calibration = calibrate(*drawn(5, 3))
    assert interval(lognormal(5.0, 0.1), calibration, 0.9) is None
    assert interval(lognormal(5.0, 0.1), {}, 0.9) is None
    assert calibrate([], []) == {}


def test_the_spread_is_that_of_the_logarithm() -> None:
    assert spread(lognormal(6.0, 0.3)) == pytest.approx(0.3, rel=0.02)
    assert float(quantile(lognormal(6.0, 0.3), 0.5)) == pytest.approx(6.0, rel=0.01)
    assert len(lognormal(6.0, 0.3)) == BINS
