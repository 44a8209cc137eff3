"""The table of a data set: every number with its definition and an interval over images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from pipelines.crowd.density import block_counts
from pipelines.crowd.metrics import (
    METRICS,
    ImageScores,
    bias,
    bootstrap,
    definitions,
    interval_scores,
    localisation,
    mae,
    nae,
    rmse,
    score_image,
    summarise,
)


def scored(count: int = 40, seed: int = 0) -> list[ImageScores]:
    """Images of 64 x 48 px with some heads, a map, an interval and points beside the heads."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(count):
        heads = rng.uniform(0, 1, (int(rng.integers(0, 30)), 2)) * (64, 48)
        guesses = heads[rng.random(len(heads)) < 0.8] + rng.normal(0, 2, 2)
        predicted = len(heads) + rng.normal(0, 3)
        images.append(
            score_image(
                f"image {number}",
                heads,
                48,
                64,
                predicted,
                interval=(predicted - 4, predicted + 4),
                density=block_counts(guesses, 48, 64, 10),
                cell=10,
                points=guesses,
            )
        )
    return images


def test_every_value_is_what_the_functions_say() -> None:
    images = scored()
    found = summarise(images, draws=200)["metrics"]
    true, predicted = ([getattr(one, name) for one in images] for name in ("true", "predicted"))
    assert found["mae"]["value"] == pytest.approx(mae(true, predicted))
    assert found["rmse"]["value"] == pytest.approx(rmse(true, predicted))
    assert found["nae"]["value"] == pytest.approx(nae(true, predicted))
    assert found["bias"]["value"] == pytest.approx(bias(true, predicted))
    for level in range(4):
        assert found[f"game_{level}"]["value"] == pytest.approx(np.mean([one.game[level] for one in images]))
    ends = interval_scores(true, np.array(predicted) - 4, np.array(predicted) + 4)
    assert found["coverage"]["value"] == pytest.approx(ends.coverage)
    assert found["width"]["value"] == pytest.approx(8)
    assert found["relative_width"]["value"] == pytest.approx(ends.relative_width)
    for sigma in (4.0, 8.0):
        micro = localisation([one.hits[sigma] for one in images])
        for name in ("precision", "recall", "f1"):
            assert found[f"{name}_{sigma:g}px"]["value"] == pytest.approx(getattr(micro, name))


def test_intervals_hold_their_values_and_come_again() -> None:
    images = scored()
    once = summarise(images, draws=300)
    for name, one in once["metrics"].items():
        assert one["low"] <= one["value"] <= one["high"], name
    assert once == summarise(images, draws=300)
    narrow = summarise(images, draws=300, confidence=0.5)["metrics"]["mae"]
    assert once["metrics"]["mae"]["low"] < narrow["low"] < narrow["high"] < once["metrics"]["mae"]["high"]


def test_every_number_is_defined_and_goes_into_json() -> None:
    found = summarise(scored(), draws=50)
    assert json.loads(json.dumps(found)) == found
    assert found["metrics"].keys() | {"count", "interval"} == found["definitions"].keys()
    assert all(len(text) > 30 for text in found["definitions"].values())
    assert {one.name for one in METRICS} < definitions().keys()


def test_an_image_without_a_map_points_or_interval() -> None:
    images = [score_image("a", [[1, 1], [99, 1]], 8, 8, 3.0), *scored(3)]
    assert images[0] == ImageScores("a", 1.0, 3.0)
    found = summarise(images, draws=50)["metrics"]
    assert "images" not in found["mae"]
    assert found["game_0"]["images"] == found["coverage"]["images"] == 3
    assert found["f1_4px"]["images"] == 3
    alone = summarise(images[:1])
    assert alone["metrics"].keys() == {"mae", "rmse", "nae", "bias"}
    assert alone["metrics"]["mae"] == {"value": 2.0, "low": None, "high": None}


def test_empty_images_alone_have_no_relative_error() -> None:
    found = summarise([ImageScores("a", 0, 1), ImageScores("b", 0, 2)], draws=50)["metrics"]["nae"]
    assert found == {"value": None, "low": None, "high": None}


def test_no_images() -> None:
    with pytest.raises(ValueError, match="no images"):
        summarise([])


def test_the_bootstrap_as_scipy_has_it() -> None:
    values = np.random.default_rng(5).exponential(10, 80)
    found = bootstrap(values[:, None], lambda means: means[:, 0], draws=5_000)
    other = scipy_bootstrap(
        (values,), np.mean, n_resamples=5_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found is not None
    np.testing.assert_allclose([found.low, found.high], [other.low, other.high], rtol=0.03)


def test_a_bootstrap_covers_what_it_promises() -> None:
    """The mean of a known distribution, 300 times: about 95% of the intervals hold it."""
    rng = np.random.default_rng(7)
    held = 0
    for seed in range(300):
        found = bootstrap(rng.normal(3, 2, (60, 1)), lambda means: means[:, 0], draws=400, seed=seed)
        assert found is not None
        held += found.low <= 3 <= found.high
    assert 0.90 <= held / 300 <= 0.98


def test_a_bootstrap_of_too_little() -> None:
    assert bootstrap(np.ones((1, 1)), lambda means: means[:, 0]) is None
    assert bootstrap(np.zeros((5, 2)), lambda means: means[:, 0] / means[:, 1]) is None
