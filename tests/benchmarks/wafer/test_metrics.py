"""Metrics beside scikit-learn's, and the bootstrap beside plain resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from benchmarks.wafer.metrics import accuracy, bootstrap_macro_f1, interval, macro_f1, recalls

LABELS = np.array(["Center", "Donut", "None", "Scratch"])


def some_labels(n: int, wrong: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = LABELS[rng.choice(4, n, p=[0.2, 0.1, 0.6, 0.1])]
    guess = np.where(rng.random(n) < wrong, LABELS[rng.integers(4, size=n)], truth)
    return truth, guess


def test_they_are_those_of_scikit_learn() -> None:
    truth, guess = some_labels(400, 0.4)
    assert accuracy(truth, guess) == pytest.approx(accuracy_score(truth, guess))
    assert macro_f1(truth, guess) == pytest.approx(f1_score(truth, guess, average="macro"))
    expected = recall_score(truth, guess, average=None, labels=LABELS)
    assert list(recalls(truth, guess).values()) == pytest.approx(expected.tolist())


def test_a_class_that_does_not_occur_counts_for_nothing() -> None:
    truth = np.array(["a", "a", "b"])
    assert macro_f1(truth, np.array(["a", "c", "b"])) == pytest.approx((2 / 3 + 1) / 2)


def test_the_bootstrap_agrees_with_plain_resampling() -> None:
    truth, guess = some_labels(300, 0.3)
    fast = bootstrap_macro_f1(truth, {"one": guess}, repeats=2000, seed=1)["one"]
    rng = np.random.default_rng(2)
    slow = []
    for _ in range(600):
        chosen = rng.integers(len(truth), size=len(truth))
        slow.append(f1_score(truth[chosen], guess[chosen], average="macro"))
    assert fast.mean() == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / np.sqrt(600))
    assert fast.std() == pytest.approx(np.std(slow), rel=0.15)


def test_both_guesses_see_the_same_resamples() -> None:
    truth, guess = some_labels(200, 0.3)
    samples = bootstrap_macro_f1(truth, {"one": guess, "same": guess, "right": truth}, repeats=50)
    np.testing.assert_array_equal(samples["one"], samples["same"])
    np.testing.assert_allclose(samples["right"], 1)
    low, high = interval(samples["right"] - samples["one"])
    assert 0 < low < high


def test_an_interval_leaves_as_much_on_either_side() -> None:
    values = np.random.default_rng(0).permutation(1001).astype(float)
    assert interval(values) == pytest.approx((25, 975))
    assert interval(values, 0.5) == pytest.approx((250, 750))
