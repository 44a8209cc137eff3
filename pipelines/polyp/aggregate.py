"""From the frames of a polyp to its size: one distribution, an interval, the thresholds, or an abstention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.conformal import reach_of
from pipelines.polyp.metrics.bins import CLASSES, LARGE_MM, SMALL_MM, size_class
from pipelines.polyp.model.distribution import at_most, middles, quantile

CONFIDENCE: Final = 0.9
UNSURE: Final = (0.2, 0.8)  # between these probabilities a polyp is near a threshold
MOST_OFF: Final = 3.0  # deviations (of the median, in logarithms) of a frame that is left out
LEAST_OFF: Final = 0.25  # a frame within a quarter of the median is never left out
WIDEST: Final = 6.0  # high over low: beyond, an interval says nothing that decides treatment
LEAST_SPREAD: Final = 0.03  # in logarithms
INDETERMINATE: Final = "indeterminate"
Scale = Literal["camera", "map", "nothing"]
SCORES: Final[Mapping[Scale, str]] = {
    "camera": "interval.scores",
    "map": "interval.scores_with_map",
    "nothing": "interval.scores_without_camera",
}


@dataclass(frozen=True, slots=True, eq=False)
class FrameSize:
    """What a network says of one frame. shares: float32 (BINS,), they sum to 1. weight: 0 to 1, its quality.
    reason: why it is not to be used, empty if it is. scale: whether its camera was known, and with it a map
    of depths that nobody estimated."""

    name: str
    shares: Tensor
    weight: float
    reason: str = ""
    scale: Scale = "camera"

    @property
    def mm(self) -> float:
        """The median of its distribution."""
        return float(quantile(self.shares, 0.5))


@dataclass(frozen=True, slots=True)
class PolypSize:
    """The size of one polyp.

    mm: None if the model abstains, and `abstained` says why. low, high: of the interval in mm, None without
    calibration. at_most_5, from_10: probabilities. label: one of metrics' CLASSES, the likeliest one.
    decision: the label, or `indeterminate` with `near` the threshold in mm that it is near.
    used, left_out: names of frames; left_out with the reason.
    """

    mm: float | None
    low: float | None = None
    high: float | None = None
    at_most_5: float | None = None
    from_10: float | None = None
    label: str = ""
    decision: str = INDETERMINATE
    near: float | None = None
    used: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    abstained: str = ""


def size_polyp(
    frames: Sequence[FrameSize],
    calibration: Mapping[str, Tensor] | None = None,
    *,
    confidence: float = CONFIDENCE,
    least_frames: int = 1,
) -> PolypSize:
    """Put the frames of a polyp together.

    The distribution is the weighted geometric mean of those of the frames (a logarithmic pool): frames of one
    polyp err together, so more of them do not make it narrower than one alone. Frames far from the weighted
    median are left out. calibration: of `calibrate`; scores of polyps of which as much was known count, if
    there are any.
    """
    left_out = [(one.name, one.reason) for one in frames if one.reason]
    usable = [one for one in frames if not one.reason]
    if len(usable) < least_frames:
        return PolypSize(None, left_out=tuple(left_out), abstained=_too_few(frames, usable, least_frames))
    kept, far = agreeing(usable)
    left_out += [(one.name, f"{one.mm:.1f} mm is far from what the others show") for one in far]
    shares = pooled(kept)
    mm = float(quantile(shares, 0.5))
    ends = interval(shares, calibration or {}, confidence, scale=least_scale(kept))
    small = float(at_most(shares, SMALL_MM))
    large = 1 - float(at_most(shares, LARGE_MM))
    label = CLASSES[int(size_class(mm))]
    near = _near(small, large)
    used = tuple(one.name for one in kept)
    if ends and ends[1] > WIDEST * ends[0]:
        reason = f"the frames allow for anything from {ends[0]:.1f} to {ends[1]:.1f} mm"
        return PolypSize(None, *ends, small, large, used=used, left_out=tuple(left_out), abstained=reason)
    low, high = ends or (None, None)
    decision = label if near is None else INDETERMINATE
    return PolypSize(mm, low, high, small, large, label, decision, near, used, tuple(left_out))


def agreeing(frames: Sequence[FrameSize]) -> tuple[list[FrameSize], list[FrameSize]]:
    """Frames near the weighted median of their sizes, and frames far from it; at least one is near."""
    sizes = np.log([one.mm for one in frames])
    middle = _weighted_median(sizes, [one.weight for one in frames])
    off = np.abs(sizes - middle)
    limit = max(MOST_OFF * 1.4826 * float(np.median(off)), LEAST_OFF)
    near = off <= limit
    if not near.any():
        near[int(off.argmin())] = True
    pairs = list(zip(frames, near, strict=True))
    return [one for one, is_near in pairs if is_near], [one for one, is_near in pairs if not is_near]


def pooled(frames: Sequence[FrameSize]) -> Tensor:
    """The weighted geometric mean of distributions: float32 (BINS,), its sum is 1."""
    weights = torch.tensor([max(one.weight, 1e-6) for one in frames])
    logs = torch.stack([one.shares for one in frames]).clamp(min=1e-8).log()
    return torch.softmax((weights[:, None] * logs).sum(0) / weights.sum(), 0)


def scale_of(*, camera: bool, depth_map: bool) -> Scale:
    """What a size can be measured with: a map of depths is worth nothing without the camera."""
    if not camera:
        return "nothing"
    return "map" if depth_map else "camera"


def least_scale(frames: Sequence[FrameSize]) -> Scale:
    """What was known of every one of the frames."""
    known = {one.scale for one in frames}
    return "nothing" if "nothing" in known else "camera" if "camera" in known else "map"


def calibrate(
    true_mm: Sequence[float], shares: Sequence[Tensor], *, scale: Scale = "camera"
) -> dict[str, Tensor]:
    """What a model folder keeps for `interval`, from held-out polyps: float64 (N,), sorted. scale: what the
    network was told of them; the name is that of SCORES.

    A score is the error of the median in logarithms over the deviation of the distribution: split conformal
    prediction (Lei et al., 2018), one score a polyp, since frames of a polyp are not independent.
    """
    if not len(true_mm):
        return {}
    scores = [
        abs(math.log(true) - math.log(float(quantile(one, 0.5)))) / spread(one)
        for true, one in zip(true_mm, shares, strict=True)
    ]
    return {SCORES[scale]: torch.tensor(sorted(scores), dtype=torch.float64)}


def interval(
    shares: Tensor,
    calibration: Mapping[str, Tensor],
    confidence: float = CONFIDENCE,
    *,
    scale: Scale = "camera",
) -> tuple[float, float] | None:
    """Low and high end in mm; None without calibration, or with too few polyps for the confidence."""
    scores = calibration.get(SCORES[scale], calibration.get(SCORES["camera"]))
    times = None if scores is None else reach_of(scores, confidence)
    if times is None:
        return None
    middle = math.log(float(quantile(shares, 0.5)))
    reach = times * spread(shares)
    return math.exp(middle - reach), math.exp(middle + reach)


def spread(shares: Tensor) -> float:
    """The deviation of a distribution in logarithms of mm."""
    logs = middles().double().log()
    weights = shares.double()
    mean = (weights * logs).sum()
    return max(float((weights * (logs - mean).square()).sum().sqrt()), LEAST_SPREAD)


def _near(small: float, large: float) -> float | None:
    """The threshold that the polyp is near, in mm; the nearer one if it is near both."""
    off = {SMALL_MM: abs(small - 0.5), LARGE_MM: abs(large - 0.5)}
    unsure = [mm for mm, chance in ((SMALL_MM, small), (LARGE_MM, large)) if UNSURE[0] < chance < UNSURE[1]]
    return min(unsure, key=lambda mm: off[mm]) if unsure else None


def _weighted_median(values: NDArray[np.float64], weights: Sequence[float]) -> float:
    order = np.argsort(values)
    total = np.cumsum(np.maximum(np.asarray(weights, np.float64)[order], 1e-6))
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _too_few(frames: Sequence[FrameSize], usable: Sequence[FrameSize], least: int) -> str:
    if not frames:
        return "no frame shows the lesion"
    reasons = list(dict.fromkeys(one.reason for one in frames if one.reason))
    why = f": {'; '.join(reasons[:3])}" if reasons else ""
    if len(frames) == 1 and not usable:
        return f"its only frame cannot be used{why}"
    wanted = "none" if not usable else f"only {len(usable)}"
    needed = "1 is needed" if least == 1 else f"{least} are needed"
    return f"{wanted} of {len(frames)} frames can be used, and {needed}{why}"
