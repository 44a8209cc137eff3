"""Every score is made of what its name says, on the set that it is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from benchmarks.wafer_openset.candidates import (
    best_weights,
    candidates,
    class_gaussians,
    combined,
    joined,
    outlier_class_score,
)
from benchmarks.wafer_openset.outputs import restore, store
from benchmarks.wafer_openset.scores import SCORES, of_outputs
from pipelines.wafer.open_set import Mahalanobis, OpenMax
from tests.benchmarks.wafer_openset.double import outputs

COUNTS = {"held": 60, "known": 90, "novel": 45}


def test_all_scores_are_there_and_find_what_lies_between() -> None:
    found, classes = outputs()
    scores = of_outputs(found, classes, seed=0)
    assert set(scores) == set(SCORES)
    for name, score in scores.items():
        for part, count in COUNTS.items():
            assert score(part).shape == (count,)
            assert np.isfinite(score(part)).all()
        if name not in ("odin", "energy", "openmax"):
            assert score("novel").min() > np.median(score("known")), name


def test_scores_of_logits_and_of_latents() -> None:
    found, classes = outputs()
    scores = of_outputs(found, classes, seed=0, names=("softmax", "openmax", "mahalanobis", "odin"))
    assert list(scores) == ["softmax", "openmax", "mahalanobis", "odin"]
    shares = softmax(found.logits("novel"), axis=1).max(axis=1)
    np.testing.assert_allclose(np.exp(-scores["softmax"]("novel")), shares)
    expected = OpenMax.fit(found.logits("train"), classes).score(found.logits("known"))
    np.testing.assert_array_equal(scores["openmax"]("known"), expected)
    fitted = Mahalanobis.fit(found.latent("train"), classes)
    np.testing.assert_array_equal(scores["mahalanobis"]("held"), fitted.score(found.latent("held")))
    np.testing.assert_array_equal(scores["odin"]("novel"), found.odin["novel"])


def test_odin_needs_its_own_outputs() -> None:
    found, classes = outputs()
    assert "odin" not in of_outputs(replace(found, odin={}), classes, seed=0)


def test_outputs_are_kept_whole(tmp_path: Path) -> None:
    found, _ = outputs()
    store(tmp_path / "outputs.safetensors", found)
    again = restore(tmp_path / "outputs.safetensors")
    np.testing.assert_array_equal(again.weight, found.weight)
    np.testing.assert_array_equal(again.bias, found.bias)
    assert set(again.odin) == set(found.odin)
    for name, layers in found.layers.items():
        assert set(again.layers[name]) == set(layers)
        for layer, values in layers.items():
            np.testing.assert_array_equal(again.layers[name][layer], values)
    np.testing.assert_allclose(again.logits("known"), found.latent("known") @ found.weight.T + found.bias)


def test_the_candidates_of_the_study() -> None:
    found, classes = outputs()
    scores = candidates(found, classes, seed=0)
    assert set(SCORES) < set(scores)
    assert {"class Gaussians", "mahalanobis, early", "mahalanobis, all layers", "softmax + knn"} < set(scores)
    for name, score in scores.items():
        if name not in SCORES:
            assert np.median(score("novel")) > np.quantile(score("known"), 0.9), name


def test_an_output_for_outliers_is_a_score_and_no_class() -> None:
    found, classes = outputs(background=True)
    scores = candidates(found, classes, seed=0)
    logits = found.logits("novel")
    shares = softmax(logits, axis=1)[:, -1]
    np.testing.assert_allclose(scores["outlier class"]("novel"), np.log(shares / (1 - shares)))
    np.testing.assert_allclose(outlier_class_score(logits), scores["outlier class"]("novel"))
    known = softmax(logits[:, :3], axis=1).max(axis=1)
    np.testing.assert_allclose(np.exp(-scores["softmax"]("novel")), known)


def test_weights_go_to_the_score_that_finds_synthetic_outliers() -> None:
    rng = np.random.default_rng(0)
    held, outliers = rng.normal(0, 1, 200), rng.normal(0, 1, 150)
    useful = {"held": held, "outliers": outliers + 2}
    useless = {"held": rng.normal(0, 1, 200), "outliers": outliers}
    weights = best_weights({"useless": useless.__getitem__, "useful": useful.__getitem__})
    assert weights[1] > weights[0]
    alone = combined({"useful": useful.__getitem__})("outliers")
    weighed = combined({"a": useless.__getitem__, "b": useful.__getitem__}, (0, 4))("outliers")
    np.testing.assert_allclose(weighed, alone)


def test_a_gaussian_of_each_class() -> None:
    found, classes = outputs()
    mixture = class_gaussians(found.layers["train"]["latent"], classes)
    assert mixture.log_weights.exp().sum() == pytest.approx(1)
    points = (found.latent("train") - mixture.mean.numpy()) @ mixture.axes.numpy()
    for name in range(3):
        white = (points[classes == name] - mixture.centres[name].numpy()) @ mixture.precisions[name].numpy()
        np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-5)
        assert np.diag(np.cov(white.T)).mean() == pytest.approx(1, abs=0.15)


def test_joined_layers_weigh_alike() -> None:
    found, _ = outputs()
    train = joined(found, "train", ["early", "latent"])
    early, latent = train[:, :6], train[:, 6:]
    assert (early**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)
    assert (latent**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)
