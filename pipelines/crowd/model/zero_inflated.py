"""The zero-inflated Poisson distribution of the number of heads in a block (Lambert, 1992).

With probability pi a block is one where nobody can be (a structural zero), else its number is Poisson with
the rate lambda. So P(0) = pi + (1 - pi) exp(-lambda), the mean is (1 - pi) lambda, and the variance
(1 - pi) lambda (1 + pi lambda).

Everything takes the logit of pi and the logarithm of lambda, any shapes that broadcast, and stays finite in
value and gradient for pi towards 0 or 1 and lambda towards 0. The logarithm must lie below 80, where exp ends
in float32: `log_rate` makes such numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

LINEAR_BELOW = -15.0  # softplus(x) is exp(x) there, within single precision


def log_rate(raw: Tensor) -> Tensor:
    """log lambda for lambda = softplus(raw): it grows with the logarithm only, so no step overshoots far."""
    usual = softplus(raw.clamp(min=LINEAR_BELOW)).log()
    return torch.where(raw > LINEAR_BELOW, usual, raw)


def mean(zero_logit: Tensor, log_rate: Tensor) -> Tensor:
    """(1 - pi) lambda."""
    return (logsigmoid(-zero_logit) + log_rate).exp()


def variance(zero_logit: Tensor, log_rate: Tensor) -> Tensor:
    """(1 - pi) lambda (1 + pi lambda)."""
    return mean(zero_logit, log_rate) * (1 + (logsigmoid(zero_logit) + log_rate).exp())


def occupied(zero_logit: Tensor) -> Tensor:
    """1 - pi: the most that the probability of somebody being in the block can be."""
    return torch.sigmoid(-zero_logit)


def negative_log_likelihood(zero_logit: Tensor, log_rate: Tensor, counts: Tensor) -> Tensor:
    """-log P(counts), element by element; counts are numbers from 0 on, of the dtype of the others."""
    rate = log_rate.exp()
    # -log P(0) by whichever form has no cancellation: of P(0) itself where that is small, else of 1 - P(0).
    positive = occupied(zero_logit) * -torch.expm1(-rate)
    likely = positive < 0.5
    of_likely = -torch.log1p(-torch.where(likely, positive, 0.0))
    of_rare = softplus(zero_logit) - torch.logaddexp(zero_logit, -rate)
    nobody = torch.where(likely, of_likely, of_rare)
    somebody = softplus(zero_logit) + rate - counts * log_rate + torch.lgamma(counts + 1)
    return torch.where(counts > 0, somebody, nobody)
