"""ODIN beside a network whose gradient is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.wafer_openset import odin
from benchmarks.wafer_openset.networks import Grid, Network

WEIGHT = torch.tensor([[2.0, -1.0, 0.5], [-1.0, 1.5, 0.25]])


def linear(inputs: Tensor) -> Tensor:
    return inputs @ WEIGHT.T


def test_without_a_step_it_is_the_tempered_softmax() -> None:
    inputs = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    expected = -(linear(inputs).double() / 5).softmax(1).amax(1)
    torch.testing.assert_close(odin.odin_score(linear, inputs, step=0.0, temperature=5.0), expected)


def test_the_step_goes_where_the_largest_probability_rises() -> None:
    inputs = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    winner = linear(inputs).argmax(1)
    # Of two classes the largest probability rises along the difference of their weights.
    towards = (WEIGHT[winner] - WEIGHT[1 - winner]).sign()
    expected = -(linear(inputs + 0.1 * towards).double() / 5).softmax(1).amax(1)
    found = odin.odin_score(linear, inputs, step=0.1, temperature=5.0)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    assert (found < odin.odin_score(linear, inputs, step=0.0, temperature=5.0)).all()


def test_a_high_temperature_still_tells_maps_apart() -> None:
    found = odin.odin_score(linear, torch.tensor([[3.0, 0, 0], [3.01, 0, 0]]), step=0.0)
    assert found[1] < found[0]


def of_brightness(step_down: float) -> Network:
    """A network on the share of failing dies, whose largest logit falls where the input passes a limit."""

    def inputs(grids: Sequence[Grid]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        shares = torch.tensor([[float((grid == 2).mean())] for grid in grids])
        return shares, lambda x: torch.cat([-((x - step_down).abs()) * 100, torch.zeros_like(x) - 50], dim=1)

    empty = np.zeros((0, 0), dtype=np.float32)
    return Network(empty, empty, lambda grids: {}, inputs)


@pytest.mark.parametrize("best", [0.002, 0.004])
def test_the_step_that_makes_held_out_maps_surest_is_chosen(best: float) -> None:
    grids = [np.ones((4, 4), dtype=np.uint8)] * 70
    assert odin.chosen_step(of_brightness(best), grids) == best
    assert odin.scores(of_brightness(best), grids, best).shape == (70,)
