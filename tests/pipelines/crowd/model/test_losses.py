"""Losses of the published networks, by hand and against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipelines.crowd.model.losses import (
    MAP_WEIGHTS,
    hmode_loss,
    relative_local_counting,
    sfanet_loss,
    squared_error,
    squared_variation,
)


def cells(*sums: float) -> Tensor:
    """(1, 4, 4 * N): N cells of 16 px whose sums, in people times 100, are these."""
    return torch.cat([torch.full((1, 4, 4), value / 256) for value in sums], 2)


def test_sfanet_by_hand() -> None:
    target = torch.tensor([[[0.0, 0.002], [0.5, 0.0005]]])
    density = target + torch.tensor([[[0.1, 0.0], [-0.2, 0.0]]])
    found = sfanet_loss(density, torch.zeros(1, 2, 2), target)
    assert found["density"].item() == pytest.approx(0.05)
    assert found["attention"].item() == pytest.approx(4 * math.log(2))
    assert found["loss"].item() == pytest.approx(0.05 + 0.1 * 4 * math.log(2))


def test_sfanets_attention_should_be_where_the_density_is() -> None:
    target = torch.tensor([[[0.0, 0.002], [0.5, 0.0005]]])
    right = torch.where(target > 0.001, 20.0, -20.0)
    assert sfanet_loss(target, right, target)["loss"].item() == pytest.approx(0, abs=1e-6)
    assert sfanet_loss(target, -right, target)["attention"].item() == pytest.approx(80, rel=1e-4)


def test_images_are_averaged_and_pixels_summed() -> None:
    ones = torch.ones(2, 3, 5)
    assert squared_error(ones, torch.zeros(2, 3, 5)).item() == 15


@pytest.mark.parametrize("shape", [(2, 4, 4), (1, 4, 5), (1, 1, 4, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must both be \(B, h, w\)"):
        squared_error(torch.zeros(1, 4, 4), torch.zeros(shape))


def test_variation_by_hand() -> None:
    even = torch.full((2, 3, 4, 4), 1 / 3)
    assert squared_variation(even).item() == pytest.approx(0, abs=1e-10)
    alone = torch.zeros(1, 2, 4, 4)
    alone[:, 0] = 1  # importances 16 and 0: mean 8, variance 64
    assert squared_variation(alone).item() == pytest.approx(1)


def test_the_right_order_costs_nothing_whatever_the_distance() -> None:
    true = cells(300, 200, 100)
    assert relative_local_counting(cells(9, 6, 5), true).item() == 0


def test_a_wrong_order_costs_by_how_much_it_is_wrong() -> None:
    true = cells(300, 200, 100)
    # Second above first by 40, third above second by 10 and above first by 50.
    assert relative_local_counting(cells(110, 150, 160), true).item() == pytest.approx(100, rel=1e-5)


def test_only_the_hardest_cells_are_ranked() -> None:
    """Ten cells: the one that is predicted right is left out, although its order is wrong."""
    true = [100.0 * number for number in range(10)]
    predicted = [1000.0 - value for value in true]
    predicted[5] = true[5]  # 500, as good as certain
    found = relative_local_counting(cells(*predicted), cells(*true))
    ranked = sorted((t, p) for t, p in zip(true, predicted, strict=True) if t != 500)[::-1]
    values = [p for _, p in ranked]
    expected = 0.0
    for group in range(3):
        most, middle, least = values[group], values[group + 3], values[group + 6]
        expected += max(0, middle - most) + max(0, least - most) + max(0, least - middle)
    assert expected > 0
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_the_relative_loss_pulls_the_order_right() -> None:
    true = cells(300, 200, 100)
    predicted = cells(110, 150, 160).requires_grad_()
    relative_local_counting(predicted, true).backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    first, second, third = (part.sum() for part in predicted.grad.chunk(3, 2))
    assert first < 0 and third > 0 and second == 0  # the middle one is pulled both ways alike


def test_images_without_three_cells_have_no_order() -> None:
    assert relative_local_counting(cells(5, 9), cells(9, 5)).item() == 0


def hmode_inputs() -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(2, 8, 12, generator=generator) for _ in MAP_WEIGHTS]
    gates = [torch.rand(2, number, 8, 12, generator=generator).softmax(1) for number in (2, 2, 2, 3)]
    attention = torch.randn(2, 8, 12, generator=generator)
    target = torch.rand(2, 8, 12, generator=generator) / 20
    return maps, gates, attention, target


def test_hmodes_loss_is_that_of_maps_at_full_resolution() -> None:
    """But for a number that does not depend on the maps, so compared by what a change of them changes."""
    maps, gates, attention, target = hmode_inputs()

    def full(some: list[Tensor]) -> float:
        wanted = (100 / 16 * target).repeat_interleave(4, 1).repeat_interleave(4, 2)
        total = 0.0
        for weight, one in zip((1, 1, 1, 2, 2, 2, 4), some, strict=True):
            large = one.repeat_interleave(4, 1).repeat_interleave(4, 2)
            total += weight * float((large - wanted).square().sum()) / 2
        return total

    found = hmode_loss(maps, gates, attention, target)
    assert found["density"].item() == pytest.approx(full(maps), rel=1e-4)
    parts = found["density"] + found["relative"] + found["importance"] + found["attention"]
    torch.testing.assert_close(found["loss"], parts)
    assert found["relative"] > 0 and found["importance"] > 0 and found["attention"] > 0


def test_the_relative_loss_can_be_weighed() -> None:
    maps, gates, attention, target = hmode_inputs()
    off = hmode_loss(maps, gates, attention, target, relative_weight=0)
    on = hmode_loss(maps, gates, attention, target, relative_weight=2)
    torch.testing.assert_close(on["loss"] - off["loss"], 2 * on["relative"], rtol=1e-3, atol=1e-3)


def test_a_missing_map_is_refused() -> None:
    maps, gates, attention, target = hmode_inputs()
    with pytest.raises(ValueError, match="7 maps, not 6"):
        hmode_loss(maps[:6], gates, attention, target)
