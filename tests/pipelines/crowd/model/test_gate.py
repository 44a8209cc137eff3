"""Gates: who is reached, how they grow, what training opens them for."""

from __future__ import annotations

import math

import pytest
import torch

from pipelines.crowd.model.gate import finer, gate_recall, threshold_for, training_gate, with_halo


def test_recall_counts_people_and_not_blocks() -> None:
    counts = torch.tensor([[[9, 1], [0, 0]]])
    assert gate_recall(torch.tensor([[[True, False], [True, True]]]), counts) == 0.9
    assert gate_recall(torch.zeros(1, 2, 2, dtype=torch.bool), counts) == 0
    assert math.isnan(gate_recall(torch.ones(1, 2, 2, dtype=torch.bool), torch.zeros(1, 2, 2)))


def test_the_threshold_for_a_recall_reaches_it_and_a_higher_one_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    occupied = torch.rand(200, generator=generator)
    counts = torch.poisson(3 * occupied, generator=generator)
    for recall in (0.5, 0.9, 0.99, 1.0):
        threshold = threshold_for(occupied, counts, recall)
        assert gate_recall(occupied >= threshold, counts) >= recall
        assert gate_recall(occupied > threshold, counts) < recall


def test_nobody_needs_no_threshold() -> None:
    assert threshold_for(torch.rand(4), torch.zeros(4), 0.9) == 0
    assert threshold_for(torch.rand(0), torch.zeros(0), 0.9) == 0


@pytest.mark.parametrize("recall", [0.0, 1.5, -1.0])
def test_a_recall_is_a_share(recall: float) -> None:
    with pytest.raises(ValueError, match="above 0 and be 1 at most"):
        threshold_for(torch.rand(4), torch.ones(4), recall)


def test_halos_grow_in_all_directions() -> None:
    one = torch.zeros(1, 5, 6, dtype=torch.bool)
    one[0, 2, 0] = True
    assert torch.equal(with_halo(one, 0), one)
    grown = with_halo(one, 1)
    assert grown.sum() == 6 and grown[0, 1:4, 0:2].all()


def test_finer_blocks_lie_in_their_coarse_one() -> None:
    blocks = torch.tensor([[[1, 2]]])
    assert finer(blocks, 2).tolist() == [[[1, 1, 2, 2], [1, 1, 2, 2]]]


def test_training_opens_the_gate_for_people_predictions_and_some_others() -> None:
    predicted = torch.zeros(1, 100, 100, dtype=torch.bool)
    counts = torch.zeros(1, 100, 100)
    predicted[0, 0, 0], counts[0, 1, 1] = True, 2
    generator = torch.Generator().manual_seed(0)
    gate = training_gate(predicted, counts, 0.1, generator)
    assert gate[0, 0, 0] and gate[0, 1, 1]
    assert 800 < int(gate.sum()) < 1_200
    assert training_gate(predicted, counts, 0.0).sum() == 2
