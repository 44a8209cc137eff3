"""The zero-inflated Poisson against scipy, at its limits, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from torch import Tensor

from pipelines.crowd.model import zero_inflated


def grid() -> tuple[Tensor, Tensor, Tensor]:
    """Logits of pi, logarithms of lambda and counts, float64, all combinations."""
    zero = torch.tensor([-6.0, -1.0, 0.0, 2.0, 7.0], dtype=torch.float64)
    rate = torch.tensor([1e-4, 0.1, 1.0, 8.0, 60.0], dtype=torch.float64).log()
    counts = torch.tensor([0.0, 1.0, 2.0, 7.0, 80.0], dtype=torch.float64)
    return zero[:, None, None], rate[None, :, None], counts


def test_likelihood_is_that_of_scipy() -> None:
    zero, rate, counts = grid()
    pi, lam = 1 / (1 + np.exp(-zero.numpy())), np.exp(rate.numpy())
    ours = np.log1p(-pi) + poisson.logpmf(counts.numpy(), lam)
    nobody = np.where(counts.numpy() == 0, np.log(pi), -np.inf)
    expected = -np.logaddexp(ours, nobody)
    found = zero_inflated.negative_log_likelihood(zero, rate, counts).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_mean_and_variance_are_the_moments() -> None:
    zero, rate, _ = grid()
    counts = torch.arange(0, 400, dtype=torch.float64)
    mass = (-zero_inflated.negative_log_likelihood(zero, rate, counts)).exp()
    mean = (mass * counts).sum(-1)
    variance = (mass * counts**2).sum(-1) - mean**2
    torch.testing.assert_close(mass.sum(-1), torch.ones_like(mean))
    torch.testing.assert_close(zero_inflated.mean(zero, rate)[..., 0], mean)
    torch.testing.assert_close(zero_inflated.variance(zero, rate)[..., 0], variance)


def test_gradient() -> None:
    zero, rate, counts = (one.expand(5, 5, 5).flatten() for one in grid())
    inputs = (zero.clone().requires_grad_(), rate.clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda a, b: zero_inflated.negative_log_likelihood(a, b, counts), inputs, atol=1e-6
    )


@pytest.mark.parametrize("zero", [-60.0, 0.0, 60.0])
@pytest.mark.parametrize("rate", [-60.0, 0.0, 6.0])
@pytest.mark.parametrize("count", [0.0, 1.0, 300.0])
def test_value_and_gradient_stay_finite_at_the_limits(zero: float, rate: float, count: float) -> None:
    logit, logarithm = (torch.tensor(one, requires_grad=True) for one in (zero, rate))
    loss = zero_inflated.negative_log_likelihood(logit, logarithm, torch.tensor(count))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss >= 0
    for value in (loss, logit.grad, logarithm.grad):
        assert value is not None and value.isfinite()


def test_an_empty_block_that_is_sure_to_be_empty_costs_what_its_chance_of_people_is() -> None:
    """Single precision: 1 - P(0) is 1e-20 here, far below the distance of 1 to the next number."""
    loss = zero_inflated.negative_log_likelihood(torch.tensor(46.0517), torch.tensor(20.0), torch.tensor(0.0))
    assert loss.item() == pytest.approx(1e-20, rel=1e-4)


def test_the_logarithm_of_softplus() -> None:
    raw = torch.tensor([-40.0, -15.5, -14.5, 0.0, 3.0, 50.0], dtype=torch.float64, requires_grad=True)
    found = zero_inflated.log_rate(raw)
    torch.testing.assert_close(found, torch.log1p(raw.exp()).log(), atol=1e-6, rtol=0)
    (slope,) = torch.autograd.grad(found.sum(), raw)
    assert slope.isfinite().all() and (slope > 0).all() and (slope <= 1).all()
