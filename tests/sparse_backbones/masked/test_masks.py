"""Masks: how many cells they hide, which, and how cells are cut."""

from __future__ import annotations

import pytest
import torch

from sparse_backbones.masked.masks import Ratio, draw_mask, holding, spread, to_cells


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.6, 38, 38), ((0.6, 0.75), 38, 48), (0.999, 63, 63)])
def test_as_many_cells_are_hidden_as_asked(ratio: Ratio, low: int, high: int) -> None:
    mask = draw_mask(torch.ones(40, 4, 4, 4, dtype=torch.bool), ratio, generator())
    counts = mask.flatten(1).sum(1)
    assert counts.min() >= low and counts.max() <= high
    assert (len(set(counts.tolist())) > 3) == (low != high)
    assert len({tuple(one.flatten().tolist()) for one in mask}) > 20, "samples share their mask"
    assert mask.flatten(1).any(0).all(), "a cell is never hidden"


def test_a_mask_follows_from_the_seed_alone() -> None:
    valid = torch.ones(2, 5, 5, dtype=torch.bool)
    assert torch.equal(draw_mask(valid, 0.6, generator(3)), draw_mask(valid, 0.6, generator(3)))
    assert not torch.equal(draw_mask(valid, 0.6, generator(3)), draw_mask(valid, 0.6, generator(4)))


def test_only_valid_cells_are_hidden_and_counted() -> None:
    valid = torch.zeros(4, 3, 4, dtype=torch.bool)
    valid[1, 0, :2] = True
    valid[2, 0, 0] = True
    valid[3] = True
    mask = draw_mask(valid, 0.5, generator())
    assert not (mask & ~valid).any()
    assert mask.flatten(1).sum(1).tolist() == [0, 1, 0, 6]


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, (0.7, 0.6), (0.5, 1.0), float("nan")])
def test_an_impossible_ratio_is_refused(ratio: Ratio) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        draw_mask(torch.ones(1, 4, 4, dtype=torch.bool), ratio, generator())


def test_cells_are_cut_and_spread_as_slices_say() -> None:
    grid = torch.randn(2, 3, 4, 6, 4)
    cells = to_cells(grid, (2, 3, 1))
    assert cells.shape == (2, 2, 2, 4, 3, 6)
    assert torch.equal(cells[1, 1, 0, 2, 1], grid[1, 1, 2:4, 0:3, 2:3].flatten())
    values = torch.randn(2, 2, 2, 4)
    assert torch.equal(to_cells(spread(values, (2, 3, 1))[:, None], (2, 3, 1))[..., 0, 5], values)
    some = torch.zeros(1, 4, 6, dtype=torch.bool)
    some[0, 3, 1] = True
    assert holding(some, (2, 3)).tolist() == [[[False, False], [True, False]]]


def test_a_grid_of_parts_of_cells_is_refused_with_what_would_do() -> None:
    with pytest.raises(ValueError, match=r"pad it to \(6, 6, 4\)"):
        to_cells(torch.zeros(1, 1, 5, 6, 4), (2, 3, 4))
