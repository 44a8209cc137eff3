"""Distributions over sizes: bins, probabilities, quantiles, and what the loss asks for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.polyp.model.distribution import (
    at_most,
    edges,
    expected_mm,
    loss_of,
    middles,
    quantile,
    targets,
)
from pipelines.polyp.size_bins import BINS

SIZES = torch.tensor([0.5, 1.0, 3.3, 5.0, 9.9, 25.0, 40.0])
KNOWN = torch.zeros(len(SIZES), dtype=torch.bool)


def test_what_is_learnt_lies_about_the_size() -> None:
    shares = targets(SIZES, KNOWN)
    assert shares.sum(1).tolist() == pytest.approx([1.0] * len(SIZES), abs=1e-5)
    means = (shares @ middles().log()).exp()
    assert means[1:-1].tolist() == pytest.approx(SIZES[1:-1].tolist(), rel=0.02)


def test_probabilities_follow_the_bins() -> None:
    shares = targets(torch.tensor([5.0, 20.0]), KNOWN[:2])
    assert at_most(shares, 5.0)[0] == pytest.approx(0.5, abs=0.01)
    assert at_most(shares, 10.0).tolist() == pytest.approx([1.0, 0.0], abs=1e-4)
    assert at_most(shares, 40.0).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    ends = edges()
    flat = torch.full((BINS,), 1 / BINS)
    assert float(at_most(flat, float(ends[16]))) == pytest.approx(16 / BINS, abs=1e-5)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.95])
def test_quantiles_are_the_inverse_of_probabilities(share: float) -> None:
    torch.manual_seed(0)
    shares = torch.randn(6, BINS).softmax(1)
    for row, mm in zip(shares, quantile(shares, share), strict=True):
        assert float(at_most(row, float(mm))) == pytest.approx(share, abs=1e-3)


def test_the_best_distribution_is_the_wanted_one() -> None:
    """Gradient descent on free logits ends at the size."""
    logits = torch.zeros(len(SIZES), BINS, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(300):
        optimiser.zero_grad()
        loss_of(logits, SIZES, KNOWN).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    found = expected_mm(logits.detach())
    assert found[1:-1].tolist() == pytest.approx(SIZES[1:-1].tolist(), rel=0.03)


def test_a_lower_bound_asks_for_nothing_above_it() -> None:
    bound, censored = torch.tensor([15.0]), torch.tensor([True])
    far = targets(torch.tensor([25.0]), torch.tensor([False])).clamp(min=1e-6).log()
    near = targets(torch.tensor([17.0]), torch.tensor([False])).clamp(min=1e-6).log()
    below = targets(torch.tensor([8.0]), torch.tensor([False])).clamp(min=1e-6).log()
    assert float(loss_of(far, bound, censored)) == pytest.approx(0, abs=1e-3)
    assert float(loss_of(near, bound, censored)) == pytest.approx(0, abs=0.1)
    assert float(loss_of(below, bound, censored)) > 5


def test_bins_grow_by_a_constant_factor() -> None:
    ends = edges().double().numpy()
    assert np.diff(np.log(ends)) == pytest.approx(np.log(ends[1] / ends[0]), rel=1e-4)
    assert (ends[0], ends[-1]) == pytest.approx((0.5, 40.0))
