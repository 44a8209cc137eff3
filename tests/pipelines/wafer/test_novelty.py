"""Novelty: two scores, made comparable, and thresholds against the share of maps above them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipelines.wafer.novelty import Novelty, Seen
from pipelines.wafer.open_set import Combined

RATES = (0.001, 0.01, 0.05, 0.2, 0.5, 0.9)


def seen(seed: int, count: int = 400, moved: float = 0.0) -> tuple[Seen, NDArray[np.int64]]:
    """Maps of two classes, the shape of all `moved`, and their classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(2, size=count)
    logits = np.eye(2)[classes] * 6 + rng.normal(0, 1, (count, 2))
    latent = np.eye(4)[classes] * 5 + rng.normal(0, 1, (count, 4))
    shape = rng.normal(0, 1, (count, 3)) + moved
    return Seen(*(torch.from_numpy(each).float() for each in (logits, latent, shape))), classes


def fitted() -> Novelty:
    some, classes = seen(0)
    return Novelty.fit(some, classes, seen(1)[0])


def test_it_is_the_mean_surprise_of_both_scores() -> None:
    novelty, held, new = fitted(), seen(1)[0], seen(2, 50, moved=1.5)[0]
    expected = Combined.fit(list(novelty.scores(held))).score(list(novelty.scores(new)))
    np.testing.assert_allclose(novelty.score(new), expected, rtol=1e-9)
    energy, _ = novelty.scores(new)
    np.testing.assert_allclose(energy, -torch.logsumexp(new.logits.double(), 1))


def test_an_odd_shape_and_a_doubtful_class_are_each_novel() -> None:
    novelty, (known, _) = fitted(), seen(2)
    usual = novelty.score(known)
    odd = novelty.score(seen(2, moved=4)[0])
    doubtful = novelty.score(Seen(known.logits * 0, known.latent, known.shape))
    for strange in (odd, doubtful):
        assert np.mean(strange > np.quantile(usual, 0.9)) > 0.8
    assert usual.min() >= 0


def test_the_false_alarms_on_held_out_maps_are_what_was_asked_for() -> None:
    novelty, held = fitted(), seen(1)[0]
    scores = novelty.score(held)
    for rate in RATES:
        assert np.mean(scores > novelty.threshold(rate)) == pytest.approx(rate, abs=1.5 / len(scores))


def test_a_higher_rate_never_raises_the_threshold() -> None:
    novelty = fitted()
    thresholds = [novelty.threshold(rate) for rate in np.linspace(1e-6, 1 - 1e-6, 200)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert novelty.known[0] <= thresholds[-1] < thresholds[0] <= novelty.known[-1]


def test_the_threshold_lies_between_quantiles() -> None:
    novelty = Novelty(fitted().mixture, np.zeros((2, 2)), np.zeros((2, 2)), np.array([1.0, 2.0, 4.0]))
    assert [novelty.threshold(rate) for rate in (1e-12, 0.25, 0.5, 0.75, 1 - 1e-12)] == pytest.approx(
        [4, 3, 2, 1.5, 1]
    )


def test_a_class_more_makes_its_maps_less_novel() -> None:
    novelty, (strange, _) = fitted(), seen(3, 30, moved=5)
    # The new class is supported, but less than the old ones are.
    three = Seen(torch.cat([strange.logits * 0, torch.full((30, 1), 3.0)], 1), strange.latent, strange.shape)
    taught = novelty.with_classes(three, np.full(30, 2))
    assert np.median(taught.score(three)) < novelty.threshold(0.2) < np.median(novelty.score(strange))
    known, _ = seen(1)
    padded = Seen(torch.cat([known.logits, torch.full((400, 1), -50.0)], 1), known.latent, known.shape)
    np.testing.assert_allclose(taught.score(padded), novelty.score(known), atol=1e-6)


def test_tensors_and_back() -> None:
    novelty, new = fitted(), seen(2)[0]
    again = Novelty.from_tensors(novelty.tensors(), 2)
    np.testing.assert_array_equal(again.score(new), novelty.score(new))
    np.testing.assert_array_equal(novelty.to(torch.device("cpu")).score(new), novelty.score(new))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offsets", torch.zeros(2, 3)),
        ("parts", torch.zeros(2)),
        ("parts", torch.zeros(3, 5)),
        ("parts", torch.zeros(2, 1)),
        ("parts", torch.tensor([[0.0, 1.0], [1.0, 0.0]])),
        ("known", torch.zeros(1)),
        ("known", torch.zeros(2, 2)),
        ("known", torch.tensor([1.0, 0.0])),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, value: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"novelty\."):
        Novelty.from_tensors({**fitted().tensors(), f"novelty.{name}": value}, 2)
