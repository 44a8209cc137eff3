"""The mixture of latents against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from pipelines.wafer.mixture import Covariance, Mixture, fit_mixture, with_components


def latents(seed: int, count: int) -> NDArray[np.float32]:
    """Latents (count, 6) in three clusters of unlike shape."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 6, (3, 6))
    shapes = np.random.default_rng(98).normal(0, 1, (3, 6, 6))
    which = rng.integers(3, size=count)
    noise = rng.normal(0, 1, (count, 6))
    return (centres[which] + np.einsum("nd,nde->ne", noise, shapes[which])).astype(np.float32)


def fitted(covariance: Covariance = "full", components: int = 3, dimension: int = 4) -> Mixture:
    mixture, _ = fit_mixture(
        latents(0, 300),
        components=(components,),
        covariances=(covariance,),
        dimension=dimension,
        seed=0,
    )
    return mixture


@pytest.mark.parametrize("covariance", ["full", "tied"])
@pytest.mark.parametrize("dimension", [1, 4, 6])
def test_the_score_is_scikit_learns(covariance: Covariance, dimension: int) -> None:
    mixture = fitted(covariance, dimension=dimension)
    train, new = latents(0, 300), latents(2, 100)
    pca = PCA(dimension, random_state=0).fit(train)
    model = GaussianMixture(3, covariance_type=covariance, reg_covar=1e-4, random_state=0, max_iter=200).fit(
        pca.transform(train).astype(np.float64)
    )
    expected = -model.score_samples(pca.transform(new).astype(np.float64))
    np.testing.assert_allclose(mixture.score(torch.from_numpy(new)).numpy(), expected, rtol=1e-4, atol=1e-3)


def test_a_far_latent_is_more_novel_than_a_near_one() -> None:
    mixture, near = fitted(), latents(2, 50)
    assert mixture.score(torch.from_numpy(near + 60)).min() > mixture.score(torch.from_numpy(near)).max()


@pytest.mark.parametrize("covariance", ["full", "tied"])
def test_tensors_and_back(covariance: Covariance) -> None:
    mixture = fitted(covariance)
    again = Mixture.from_tensors(mixture.tensors())
    assert all(torch.equal(again.tensors()[name], value) for name, value in mixture.tensors().items())
    new = torch.from_numpy(latents(2, 20))
    assert torch.equal(again.score(new), mixture.score(new))
    assert torch.equal(mixture.to(torch.device("cpu")).score(new), mixture.score(new))
    assert {value.dtype for value in again.tensors().values()} == {torch.float64}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", torch.zeros(5)),
        ("axes", torch.zeros(6)),
        ("axes", torch.zeros(6, 3)),
        ("log_weights", torch.zeros(())),
        ("log_weights", torch.zeros(2)),
        ("centres", torch.zeros(3, 5)),
        ("precisions", torch.ones(3, 4)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, value: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"mixture\."):
        Mixture.from_tensors({**fitted().tensors(), f"mixture.{name}": value})


def test_the_lowest_criterion_is_kept_and_all_are_told() -> None:
    mixture, tried = fit_mixture(
        latents(0, 300),
        components=(1, 3, 8),
        covariances=("full", "tied"),
        dimension=4,
        seed=0,
    )
    assert [one.bic for one in tried] == sorted(one.bic for one in tried)
    assert {(one.components, one.covariance) for one in tried} == {
        (count, covariance) for count in (1, 3, 8) for covariance in ("full", "tied")
    }
    assert len(mixture.log_weights) == tried[0].components == 3
    assert mixture.log_weights.exp().sum() == pytest.approx(1)


def test_few_maps_get_few_components_and_dimensions() -> None:
    mixture, tried = fit_mixture(
        latents(0, 9), components=(8, 16, 24), covariances=("full",), dimension=32, seed=0
    )
    assert [one.components for one in tried] == [2]
    assert tried[0].dimension == mixture.axes.shape[1] == 6
    assert torch.isfinite(mixture.score(torch.from_numpy(latents(2, 5)))).all()


def test_one_and_the_same_latent_for_all_maps() -> None:
    same = np.ones((30, 6), np.float32)
    mixture, _ = fit_mixture(same, components=(1, 3), covariances=("full", "tied"), dimension=4, seed=0)
    scores = mixture.score(torch.from_numpy(np.stack([same[0], same[0] + 1])))
    assert torch.isfinite(scores).all()


def test_equal_seeds_give_equal_mixtures() -> None:
    assert all(torch.equal(value, fitted().tensors()[name]) for name, value in fitted().tensors().items())


def test_samples_are_of_the_components_each_as_likely() -> None:
    mixture = fitted()
    drawn = (mixture.sample(30_000, 3) - mixture.mean) @ mixture.axes
    nearest = torch.cdist(drawn, mixture.centres).argmin(1)  # the clusters lie far apart
    assert nearest.bincount() / 30_000 == pytest.approx(torch.full((3,), 1 / 3), abs=0.02)
    for number, factor in enumerate(mixture.precisions):
        expected = torch.linalg.inv(factor @ factor.T)
        error = torch.cov(drawn[nearest == number].T) - expected
        assert error.abs().max() < 0.1 * expected.abs().max()


def test_a_component_more_makes_its_maps_known_and_leaves_a_distribution() -> None:
    mixture = fitted()
    rng = np.random.default_rng(1)
    far = mixture.centres.mean(0).numpy() + 200 + rng.normal(0, 0.2, (6, 4))
    points = mixture.mean + torch.from_numpy(far) @ mixture.axes.T
    grown = with_components(mixture, [points.float().numpy()], 100)
    assert (grown.score(points) < mixture.score(points) - 10).all()
    assert float(grown.log_weights.exp().sum()) == pytest.approx(1)
    assert float(grown.log_weights[-1].exp()) == pytest.approx(6 / 106)
    known = torch.from_numpy(latents(2, 10))
    kept = mixture.score(known) - np.log(100 / 106)
    torch.testing.assert_close(grown.score(known), kept, atol=0.01, rtol=0)
