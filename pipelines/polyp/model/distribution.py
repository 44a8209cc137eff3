"""A distribution over sizes in mm, as shares of bins whose edges grow by a constant factor."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from pipelines.polyp.size_bins import BINS, LARGEST_MM, SMALLEST_MM, bin_edges, bin_middles

SMOOTHING = 0.08  # deviation of what is to be learnt, in logarithms: sizes are not known more exactly
LOW_MM, HIGH_MM = 0.5, 20.0  # become -1 and 1 in the error of the mean
ERROR_WEIGHT = 1.0


def edges() -> Tensor:
    """Edges of the bins in mm: float32 (BINS + 1,)."""
    return torch.from_numpy(bin_edges())


def middles() -> Tensor:
    """What each bin stands for, in mm: float32 (BINS,), the geometric mean of its edges."""
    return torch.from_numpy(bin_middles())


def targets(mm: Tensor, censored: Tensor) -> Tensor:
    """Shares to be learnt: float32 (B, BINS), rows sum to 1.

    mm: float32 (B,). A Gaussian in the logarithm around each size; for a censored one, a lower bound, see
    `loss_of`: its row is 1 at the bin of the bound.
    """
    ends = edges().to(mm).log()
    place = mm.clamp(SMALLEST_MM, LARGEST_MM).log()[:, None]
    below = torch.special.ndtr((ends - place) / SMOOTHING)
    shares = below.diff(dim=1)
    shares = shares / shares.sum(1, keepdim=True)
    exact = (ends[None, :-1] <= place) & (place < ends[None, 1:])
    exact[:, -1] |= place[:, 0] >= ends[-1]
    return torch.where(censored[:, None], exact.to(shares.dtype), shares)


def expected_mm(logits: Tensor) -> Tensor:
    """The mean size in mm of each distribution: (B, BINS) to (B,)."""
    return logits.softmax(1) @ middles().to(logits)


def at_most(shares: Tensor, mm: float) -> Tensor:
    """P(size <= mm): shares (..., BINS) to (...); within a bin sizes are spread evenly in the logarithm."""
    ends = edges().to(shares).log()
    place = float(np.log(mm))
    part = ((place - ends[:-1]) / (ends[1:] - ends[:-1])).clamp(0, 1)
    return (shares * part).sum(-1)


def quantile(shares: Tensor, share: float) -> Tensor:
    """The size in mm that is not exceeded with this probability: shares (..., BINS) to (...)."""
    ends = edges().to(shares).log()
    reached = torch.cat([torch.zeros_like(shares[..., :1]), shares.cumsum(-1)], -1)
    reached = reached / reached[..., -1:]
    place = torch.searchsorted(reached.contiguous(), torch.full_like(reached[..., :1], share)).clamp(1, BINS)
    high = reached.gather(-1, place)
    low = reached.gather(-1, place - 1)
    part = ((share - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    return (ends[place - 1] + part * (ends[place] - ends[place - 1])).exp()[..., 0]


def loss_of(logits: Tensor, mm: Tensor, censored: Tensor) -> Tensor:
    """What training minimises, a scalar: cross entropy with `targets`, and the error of the mean.

    logits: float32 (B, BINS). mm: float32 (B,). censored: bool (B,): the size is a lower bound, of which only
    a distribution below it is wrong: -log P(size >= bound), and no error for a mean above it.
    The error is Smooth L1 of sizes scaled so that LOW_MM and HIGH_MM become -1 and 1.
    """
    chances = logits.log_softmax(1)
    wanted = targets(mm, censored)
    entropy = -(wanted * chances).sum(1)
    reached = wanted.cumsum(1) > 0.5  # bins from the bound on
    tail = -torch.logsumexp(chances.masked_fill(~reached, -torch.inf), 1)
    mean = expected_mm(logits)
    mean = torch.where(censored, torch.minimum(mean, mm), mean)
    error = smooth_l1_loss(_scaled(mean), _scaled(mm), reduction="none")
    return (torch.where(censored, tail, entropy) + ERROR_WEIGHT * error).mean()


def _scaled(mm: Tensor) -> Tensor:
    return 2 * (mm - LOW_MM) / (HIGH_MM - LOW_MM) - 1
