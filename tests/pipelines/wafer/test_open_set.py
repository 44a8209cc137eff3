"""The scores beside slow oracles, and what each must do whatever the data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import weibull_min

from pipelines.wafer.open_set import (
    Combined,
    Mahalanobis,
    Neighbours,
    OpenMax,
    Vim,
    energy_score,
    fit_weibull,
    softmax_score,
    surprise,
)

CLASSES, WIDTH = 3, 6
Floats = NDArray[np.float64]


def clusters(seed: int, count: int = 120) -> tuple[Floats, NDArray[np.int64]]:
    """Latents (count, 6) in three clusters that lie in the first four dimensions, and their classes."""
    rng = np.random.default_rng(seed)
    centres = np.array([[8, 0, 0, 0, 0, 0], [0, 8, 0, 0, 0, 0], [0, 0, 8, 0, 0, 0]], dtype=float)
    classes = np.arange(count) % CLASSES
    spread = np.array([1.0, 0.5, 2.0, 1.0, 0.05, 0.05])
    return centres[classes] + rng.normal(0, 1, (count, WIDTH)) * spread, classes


def head() -> tuple[Floats, Floats]:
    """A weight (3, 6) that reads the clusters off, and a bias."""
    weight = np.zeros((CLASSES, WIDTH))
    weight[np.arange(3), np.arange(3)] = 1.0
    return weight, np.array([0.3, -0.2, 0.1])


def logits_of(latents: Floats) -> Floats:
    weight, bias = head()
    return latents @ weight.T + bias


def test_the_softmax_score_goes_with_the_largest_probability() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(-softmax_score(logits)), shares.max(axis=1), rtol=1e-12)


def test_the_softmax_score_still_tells_very_sure_maps_apart() -> None:
    low, high = softmax_score([[60.0, 0.0], [50.0, 0.0]])
    assert 0 < low < high


def test_the_energy_is_minus_the_log_of_the_sum() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    np.testing.assert_allclose(energy_score(logits), -np.log(np.exp(logits).sum(axis=1)))
    np.testing.assert_allclose(energy_score(logits, 2.0), -2 * np.log(np.exp(logits / 2).sum(axis=1)))
    assert energy_score([[1e4, 0.0]])[0] == pytest.approx(-1e4)


def test_mahalanobis_is_the_nearest_class_by_the_shared_covariance() -> None:
    latents, classes = clusters(0)
    new, _ = clusters(1, 30)
    means = np.stack([latents[classes == name].mean(axis=0) for name in range(CLASSES)])
    around = latents - means[classes]
    inverse = np.linalg.inv(around.T @ around / len(latents))
    expected = [min((x - mean) @ inverse @ (x - mean) for mean in means) for x in new]
    np.testing.assert_allclose(Mahalanobis.fit(latents, classes).score(new), expected, rtol=1e-8)


def test_mahalanobis_leaves_out_what_never_varies() -> None:
    latents, classes = clusters(0)
    padded = np.concatenate([latents, np.full((len(latents), 1), 5.0)], axis=1)
    np.testing.assert_allclose(
        Mahalanobis.fit(padded, classes).score(padded), Mahalanobis.fit(latents, classes).score(latents)
    )


def test_mahalanobis_does_not_mind_a_change_of_axes() -> None:
    latents, classes = clusters(0)
    change = np.random.default_rng(3).normal(0, 1, (WIDTH, WIDTH)) + 3 * np.eye(WIDTH)
    np.testing.assert_allclose(
        Mahalanobis.fit(latents @ change, classes).score(latents @ change),
        Mahalanobis.fit(latents, classes).score(latents),
        rtol=1e-6,
    )


@pytest.mark.parametrize("k", [1, 3, 10])
def test_neighbours_are_counted_on_the_unit_sphere(k: int) -> None:
    known, _ = clusters(0, 700)
    new, _ = clusters(1, 40)
    unit = [x / np.linalg.norm(x) for x in known]
    expected = [sorted(np.linalg.norm(x / np.linalg.norm(x) - y) for y in unit)[k - 1] for x in new]
    np.testing.assert_allclose(Neighbours.fit(known, k).score(new), expected, atol=1e-7)
    np.testing.assert_allclose(Neighbours.fit(known, k).score(3 * new), expected, atol=1e-7)


def test_vim_is_the_residual_as_a_logit_against_the_others() -> None:
    latents, _ = clusters(0)
    new, _ = clusters(1, 30)
    weight, bias = head()
    vim = Vim.fit(latents, weight, bias, dimension=4)
    origin = -np.linalg.pinv(weight) @ bias
    np.testing.assert_allclose(weight @ origin + bias, 0, atol=1e-12)
    values, axes = np.linalg.eigh((latents - origin).T @ (latents - origin))
    principal = axes[:, np.argsort(-values)[:4]]
    outside = np.eye(WIDTH) - principal @ principal.T

    def virtual(x: Floats) -> float:
        return float(np.linalg.norm(outside @ (x - origin)))

    alpha = logits_of(latents).max(axis=1).sum() / sum(virtual(x) for x in latents)
    expected = [alpha * virtual(x) - np.log(np.exp(weight @ x + bias).sum()) for x in new]
    np.testing.assert_allclose(vim.score(new), expected, rtol=1e-8)


def test_vim_sees_what_the_logits_do_not() -> None:
    latents, _ = clusters(0)
    weight, bias = head()
    vim = Vim.fit(latents, weight, bias, dimension=4)
    off = latents[:20] + np.array([0, 0, 0, 0, 0, 6.0])
    np.testing.assert_allclose(logits_of(off), logits_of(latents[:20]))
    assert (vim.score(off) > vim.score(latents[:20])).all()


@pytest.mark.parametrize("shape", [0.7, 1.5, 6.0])
def test_the_weibull_is_the_likeliest_one(shape: float) -> None:
    values = 3 * np.random.default_rng(1).weibull(shape, 80)
    found, scale = fit_weibull(values)
    expected = weibull_min.fit(values, floc=0)
    assert found == pytest.approx(expected[0], rel=1e-3)
    assert scale == pytest.approx(expected[2], rel=1e-3)


def test_equal_values_give_the_steepest_weibull() -> None:
    shape, scale = fit_weibull([2.0, 2.0, 2.0])
    assert shape == 1e3
    assert scale == pytest.approx(2, rel=1e-3)


def test_openmax_is_the_paper_step_by_step() -> None:
    latents, classes = clusters(0, 300)
    values, new = logits_of(latents), logits_of(clusters(1, 40)[0] * 1.3)
    found = OpenMax.fit(values, classes, tail=10, top=2).probabilities(new)
    models = []
    for name in range(CLASSES):
        own = values[(classes == name) & (values.argmax(axis=1) == name)]
        mean = own.mean(axis=0)
        far = np.sort([np.linalg.norm(x - mean) for x in own])[-10:]
        models.append((mean, 1 - far[0], weibull_min.fit(far + 1 - far[0], floc=0)))
    for row, given in zip(found, new, strict=True):
        x = given - given.min()
        moved, unknown = x.copy(), 0.0
        for place, name in enumerate(np.argsort(-x)[:2]):
            mean, shift, (shape, _, scale) = models[name]
            # The mean is of logits as they are; that the row was moved must not change its distance.
            w = weibull_min.cdf(np.linalg.norm(given - mean) + shift, shape, 0, scale)
            moved[name] = x[name] * (1 - (2 - place) / 2 * w)
            unknown += x[name] - moved[name]
        every = np.exp(np.append(moved, unknown))
        np.testing.assert_allclose(row, every / every.sum(), atol=2e-3)


def test_openmax_takes_the_mean_of_what_is_classified_rightly() -> None:
    values = np.array([[5.0, 0], [6, 0], [0, 9], [0, 5], [0, 7]])
    np.testing.assert_allclose(OpenMax.fit(values, [0, 0, 0, 1, 1]).centres, [[5.5, 0], [0, 6]])


def test_openmax_gives_the_unknown_more_the_farther_away() -> None:
    latents, classes = clusters(0, 300)
    model = OpenMax.fit(logits_of(latents), classes)
    far = np.array([[s, s * 0.9, s * 0.8] for s in (8.0, 30.0, 60.0)])
    unknown = model.probabilities(far)[:, -1]
    assert unknown[0] <= unknown[1] <= unknown[2]
    assert unknown[-1] > 0.5
    assert np.median(model.probabilities(logits_of(latents))[:, -1]) < 0.01
    np.testing.assert_allclose(model.probabilities(far).sum(axis=1), 1)


def test_openmax_takes_a_class_that_is_never_right_and_one_map_alone() -> None:
    values = np.array([[5.0, 0, 0], [6, 0, 0], [0, 5, 0], [7, 0, 1]])
    model = OpenMax.fit(values, [0, 0, 1, 2])
    assert np.isfinite(model.score(values)).all()
    assert np.isfinite(model.score([[1e6, -1e6, 0.0]])).all()


def _all_scores() -> dict[str, Callable[[Floats], Floats]]:
    latents, classes = clusters(0, 240)
    weight, bias = head()
    return {
        "softmax": lambda x: softmax_score(logits_of(x)),
        "mahalanobis": Mahalanobis.fit(latents, classes).score,
        "knn": Neighbours.fit(latents).score,
        "vim": Vim.fit(latents, weight, bias, dimension=4).score,
    }


@pytest.mark.parametrize("name", ["softmax", "mahalanobis", "knn", "vim"])
def test_a_map_between_and_beside_the_classes_is_more_novel(name: str) -> None:
    score = _all_scores()[name]
    known = score(clusters(5)[0])
    between = np.random.default_rng(6).normal([3, 3, 3, 0, 0, 2], 0.2, (30, WIDTH))
    assert np.median(score(between)) > np.quantile(known, 0.95)
    assert known.shape == (120,)
    assert known.dtype == np.float64


def test_surprise_is_the_share_of_known_maps_above() -> None:
    known = np.sort(np.random.default_rng(0).normal(0, 1, 1000))
    assert surprise(known, [known[499]])[0] == pytest.approx(np.log(2), abs=0.01)
    assert surprise(known, [known[989]])[0] == pytest.approx(np.log(100), rel=0.05)
    rising = surprise(known, np.linspace(-9, 9, 500))
    assert (np.diff(rising) >= 0).all()
    beyond = surprise(known, [known[-1], known[-1] + 1, known[-1] + 50])
    assert (np.diff(beyond) > 0).all()


def test_surprise_does_not_mind_the_units() -> None:
    known = np.sort(np.random.default_rng(0).normal(0, 1, 200))
    new = np.linspace(-4, 9, 60)
    np.testing.assert_allclose(surprise(known * 7 + 3, new * 7 + 3), surprise(known, new), rtol=1e-9)


def test_combined_is_the_weighted_mean_of_the_surprises() -> None:
    rng = np.random.default_rng(0)
    held, new = rng.normal(0, 1, (2, 100)), rng.normal(0, 2, (2, 40))
    both = Combined.fit(list(held), [1.0, 3.0]).score(list(new))
    one, other = (surprise(np.sort(a), b) for a, b in zip(held, new, strict=True))
    np.testing.assert_allclose(both, 0.25 * one + 0.75 * other)
    np.testing.assert_allclose(Combined.fit([held[0]]).score([new[0]]), one)


def test_combined_with_a_weight_of_nothing_leaves_that_score_out() -> None:
    rng = np.random.default_rng(0)
    held, new = rng.normal(0, 1, (2, 100)), rng.normal(0, 2, (2, 40))
    alone = Combined.fit([held[0]]).score([new[0]])
    np.testing.assert_allclose(Combined.fit(list(held), [2.0, 0.0]).score(list(new)), alone)


def _bad_calls() -> dict[str, tuple[Callable[[], object], str]]:
    latents, classes = clusters(0, 30)
    weight, bias = head()
    return {
        "one dimension": (lambda: softmax_score([1.0, 2.0]), "two dimensions"),
        "no temperature": (lambda: energy_score([[1.0]], 0.0), "temperature"),
        "classes missing": (lambda: Mahalanobis.fit(latents, classes[:-1]), "one of each"),
        "no spread": (lambda: Mahalanobis.fit(np.ones((4, 2)), [0, 0, 1, 1]), "do not vary"),
        "other width": (lambda: Mahalanobis.fit(latents, classes).score(latents[:, :3]), "3 columns, not 6"),
        "k of none": (lambda: Neighbours.fit(latents, 0), "between 1 and the 30"),
        "k of too many": (lambda: Neighbours.fit(latents, 31), "between 1 and the 30"),
        "whole space": (lambda: Vim.fit(latents, weight, bias, dimension=6), "below 6"),
        "other bias": (lambda: Vim.fit(latents, weight, bias[:2]), "bias"),
        "class without a map": (lambda: OpenMax.fit(logits_of(latents), np.zeros(30)), "class 1"),
        "no tail": (lambda: OpenMax.fit(logits_of(latents), classes, tail=0), "tail"),
        "weibull of nought": (lambda: fit_weibull([0.0, 1.0]), "above 0"),
        "nothing to combine": (lambda: Combined.fit([]), "at least one score"),
        "negative weight": (lambda: Combined.fit([[1, 2], [1, 2]], [1, -1]), "weights of 0 or more"),
        "one score too few": (lambda: Combined.fit([[1, 2], [1, 2]]).score([[1.0]]), "2 scores were fitted"),
    }


@pytest.mark.parametrize("name", list(_bad_calls()))
def test_what_does_not_fit_is_refused(name: str) -> None:
    call, message = _bad_calls()[name]
    with pytest.raises(ValueError, match=message):
        call()
