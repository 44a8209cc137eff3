"""Mixtures class by class, against scikit-learn's and against scipy's densities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from pipelines.wafer.class_mixture import ClassMixture, component_log_density

CLASSES = np.repeat([0, 1, 2], [400, 60, 5])


def numbers(seed: int, classes: NDArray[np.int64] = CLASSES) -> NDArray[np.float32]:
    """Numbers (N, 6) of unlike scale, about a centre for each class."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 4, (3, 6))
    return ((centres[classes] + rng.normal(0, 1, (len(classes), 6))) * [1, 2, 3, 10, 0.1, 1]).astype(
        np.float32
    )


def fitted(**settings: int) -> ClassMixture:
    return ClassMixture.fit(numbers(0), CLASSES, **settings)  # type: ignore[arg-type]


def log_probability(count: int, seed: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 3))).log_softmax(1)


def test_the_density_of_a_component_is_scipys() -> None:
    rng = np.random.default_rng(0)
    factors = np.stack([np.triu(rng.normal(0, 0.3, (4, 4))) + np.eye(4) * 2 for _ in range(3)])
    centres, points = rng.normal(size=(3, 4)), rng.normal(size=(7, 4))
    found = component_log_density(*(torch.from_numpy(each) for each in (points, centres, factors)))
    for number in range(3):
        covariance = np.linalg.inv(factors[number] @ factors[number].T)
        expected = multivariate_normal(centres[number], covariance).logpdf(points)
        np.testing.assert_allclose(found[:, number], expected, rtol=1e-9)


def test_the_score_is_the_sum_over_the_classes() -> None:
    mixture = fitted(dimension=4)
    new, said = numbers(1), log_probability(len(CLASSES))
    points = np.clip((new - mixture.mean.numpy()) / mixture.spread.numpy(), -10, 10) @ mixture.axes.numpy()
    terms = []
    for owner, weight, centre, factor in zip(
        mixture.owner.tolist(), mixture.log_weights.tolist(), mixture.centres, mixture.precisions, strict=True
    ):
        covariance = np.linalg.inv((factor @ factor.T).numpy())
        terms.append(
            said[:, owner].numpy() + weight + multivariate_normal(centre.numpy(), covariance).logpdf(points)
        )
    expected = -logsumexp(np.stack(terms), axis=0)
    np.testing.assert_allclose(mixture.score(torch.from_numpy(new), said), expected, rtol=1e-6)


def test_each_class_has_a_distribution_of_its_own() -> None:
    mixture = fitted()
    assert set(mixture.owner.tolist()) == {0, 1, 2}
    for number in range(3):
        assert mixture.log_weights[mixture.owner == number].exp().sum() == pytest.approx(1)


def test_what_is_usual_for_one_class_surprises_in_another() -> None:
    mixture, new = fitted(), torch.from_numpy(numbers(1))
    sure = torch.full((len(new), 3), -30.0)
    right, wrong = sure.clone(), sure.clone()
    right[torch.arange(len(new)), torch.from_numpy(CLASSES)] = 0
    wrong[torch.arange(len(new)), torch.from_numpy((CLASSES + 1) % 3)] = 0
    assert (mixture.score(new, right) < mixture.score(new, wrong)).all()


def test_what_weighs_less_matters_less() -> None:
    weight = np.array([1, 1, 1, 1, 1, 0.01])
    light = ClassMixture.fit(numbers(0), CLASSES, weight=weight)
    heavy = fitted()
    new = torch.from_numpy(numbers(1)[:50])
    moved = new.clone()
    moved[:, 5] += 30
    said = log_probability(50)
    assert (heavy.score(moved, said) - heavy.score(new, said)).min() > 5
    assert (light.score(moved, said) - light.score(new, said)).abs().max() < 1


def test_a_class_more_makes_its_maps_usual_and_leaves_the_others() -> None:
    mixture = fitted()
    far = (numbers(5, np.zeros(8, np.int64)) + np.float32(25)).astype(np.float32)
    grown = mixture.with_classes(far, np.full(8, 3))
    said = torch.log(torch.tensor([[0.1, 0.1, 0.1, 0.7]])).expand(8, 4)
    assert (
        grown.score(torch.from_numpy(far), said) < mixture.score(torch.from_numpy(far), said[:, :3]) - 10
    ).all()
    old, known = torch.from_numpy(numbers(1)), log_probability(len(CLASSES))
    four = torch.cat([known, torch.full((len(known), 1), -1e9)], dim=1)
    torch.testing.assert_close(grown.score(old, four), mixture.score(old, known))
    again = grown.with_classes(far + np.float32(5), np.full(8, 3))
    assert again.log_weights[again.owner == 3].exp().sum() == pytest.approx(1)
    assert len(mixture.owner) < len(grown.owner) < len(again.owner)


def test_one_map_and_numbers_that_never_vary() -> None:
    classes = np.array([0] * 10 + [1])
    same = np.ones((11, 6), np.float32)
    mixture = ClassMixture.fit(same, classes)
    said = torch.zeros(2, 2).log_softmax(1)
    assert torch.isfinite(mixture.score(torch.from_numpy(np.stack([same[0], same[0] + 9])), said)).all()


def test_tensors_and_back() -> None:
    mixture = fitted()
    again = ClassMixture.from_tensors(mixture.tensors("some"), "some", 3)
    new, said = torch.from_numpy(numbers(1)), log_probability(len(CLASSES))
    assert torch.equal(again.score(new, said), mixture.score(new, said))
    assert torch.equal(mixture.to(torch.device("cpu")).score(new, said), mixture.score(new, said))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", torch.zeros(5)),
        ("spread", torch.zeros(6)),
        ("axes", torch.zeros(6)),
        ("owner", torch.zeros(3, 1)),
        ("owner", torch.tensor([0, 1, 3])),
        ("owner", torch.tensor([0, 1, -1])),
        ("log_weights", torch.zeros(9)),
        ("centres", torch.zeros(3, 5)),
        ("precisions", torch.ones(3, 4)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, value: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"some\."):
        ClassMixture.from_tensors({**fitted().tensors("some"), f"some.{name}": value}, "some", 3)
