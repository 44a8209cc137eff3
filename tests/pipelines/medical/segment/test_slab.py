"""Slab by slab, against all scores at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipelines.medical.segment import slab as slab_module
from pipelines.medical.segment.slab import Slab, slab_dtype


def gather(
    scores: Tensor, target: tuple[int, int, int], step: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels and doubt as a slab gives them that gets `step` planes at a time."""
    found, doubt = np.full(target, 255, np.uint8), np.full(target, 255, np.uint8)

    def sink(first: int, labels: NDArray[np.uint8], unsure: NDArray[np.uint8]) -> None:
        found[first : first + len(labels)] = labels
        doubt[first : first + len(labels)] = unsure

    shape = tuple(scores.shape[1:])
    slab = Slab(len(scores), shape, target, step, sink)
    for first in range(0, shape[0], step):
        end = min(first + step, shape[0])
        slab.window(first, end).add_(scores[:, first:end])
        slab.finish(end)
    return found, doubt


def at_once(scores: Tensor, target: tuple[int, int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    whole = functional.interpolate(scores[None], size=target, mode="trilinear", align_corners=False)[0]
    best, labels = whole.max(0)
    return labels.numpy(), best.numpy()


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(1, 14)] * 3),
    st.tuples(*[st.integers(1, 20)] * 3),
    st.integers(1, 9),
    st.integers(2, 6),
)
def test_slabs_give_what_all_scores_at_once_give(
    shape: tuple[int, int, int], target: tuple[int, int, int], step: int, classes: int
) -> None:
    torch.manual_seed(sum(shape) + step)
    scores = torch.softmax(3 * torch.randn(classes, *shape), 0)
    found, doubt = gather(scores, target, step)
    labels, best = at_once(scores, target)
    top = torch.from_numpy(best)
    sure = np.abs(doubt / 255 - (1 - top.numpy())).max()
    assert sure <= 0.5 / 255 + 1e-5
    assert (found == labels).mean() > 0.99  # but for ties in the last digit


def test_half_precision_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.softmax(3 * torch.randn(5, 12, 10, 9, generator=torch.Generator().manual_seed(0)), 0)
    wide = gather(scores, (17, 11, 9), 4)
    monkeypatch.setattr(slab_module, "WIDE_BYTES", 0)
    assert slab_dtype(5, 4, (12, 10, 9)) == torch.float16
    half = gather(scores, (17, 11, 9), 4)
    assert (wide[0] == half[0]).mean() > 0.995
    assert np.abs(wide[1].astype(int) - half[1]).max() <= 1


def test_small_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.softmax(torch.randn(4, 9, 8, 7, generator=torch.Generator().manual_seed(0)), 0)
    once = gather(scores, (20, 8, 7), 3)
    monkeypatch.setattr(slab_module, "CHUNK_BYTES", 1)
    for one, other in zip(once, gather(scores, (20, 8, 7), 3), strict=True):
        assert np.array_equal(one, other)


def test_planes_outside_the_slab_are_refused() -> None:
    slab = Slab(2, (20, 4, 4), (20, 4, 4), 5, lambda *args: None)
    with pytest.raises(ValueError, match="not in the slab"):
        slab.window(10, 15)
    slab.finish(5)
    with pytest.raises(ValueError, match="not in the slab"):
        slab.window(3, 6)
    assert slab.window(5, 10).shape == (2, 5, 4, 4)
