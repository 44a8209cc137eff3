"""Temperature and calibration error against what is known beforehand, and against loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from pipelines.wafer.calibrate import BINS, expected_calibration_error, fit_temperature


def draw(rng: np.random.Generator, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true chance of each class, and classes drawn by it."""
    logits = rng.normal(0, 2, (count, 5))
    chance = softmax(logits, axis=1).cumsum(1)
    return logits, (rng.random((count, 1)) > chance).sum(1)


@pytest.mark.parametrize("known", [0.25, 1.0, 4.0])
def test_a_known_temperature_is_found(known: float) -> None:
    logits, truth = draw(np.random.default_rng(0))
    assert fit_temperature(logits * known, truth) == pytest.approx(known, rel=0.05)


def test_the_temperature_makes_probabilities_mean_what_they_say() -> None:
    logits, truth = draw(np.random.default_rng(1))
    logits *= 3

    def error(temperature: float) -> float:
        probability = softmax(logits / temperature, axis=1)
        return expected_calibration_error(probability.max(1), probability.argmax(1) == truth)

    assert error(1.0) > 0.1
    assert error(fit_temperature(logits, truth)) < 0.02


def test_the_temperature_stays_within_bounds() -> None:
    logits = np.array([[9.0, 0.0], [0.0, 9.0]] * 20)
    right, wrong = np.array([0, 1] * 20), np.array([1, 0] * 20)
    assert 0.05 <= fit_temperature(logits, right) < 0.5
    assert fit_temperature(logits, wrong) == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_what_a_loop_over_bins_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random(300)
    correct = rng.random(300) < probability**2
    expected = 0.0
    for number in range(BINS):
        inside = [i for i, p in enumerate(probability) if number / BINS <= p < (number + 1) / BINS]
        if inside:
            sure = sum(probability[i] for i in inside) / len(inside)
            right = sum(correct[i] for i in inside) / len(inside)
            expected += len(inside) / len(probability) * abs(sure - right)
    assert expected_calibration_error(probability, correct) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probability", "correct", "error"),
    [
        ([1.0, 1.0, 1.0], [True, True, True], 0.0),  # sure and right
        ([1.0, 1.0], [False, False], 1.0),  # sure and wrong
        ([0.5] * 4, [True, True, False, False], 0.0),  # right as often as it says
        ([0.5] * 4, [True] * 4, 0.5),
        ([0.2, 0.9], [False, True], 0.15),  # (0.2 + 0.1) / 2, in two bins
        ([], [], 0.0),
    ],
)
def test_calibration_error_of_plain_cases(
    probability: list[float], correct: list[bool], error: float
) -> None:
    found = expected_calibration_error(np.array(probability), np.array(correct, dtype=bool))
    assert found == pytest.approx(error)
