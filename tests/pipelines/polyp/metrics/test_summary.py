"""The table of polyps or frames: every number with its definition and an interval over patients."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import recall_score

from pipelines.polyp.metrics import (
    METRICS,
    Sized,
    accuracy,
    agreement,
    confusion,
    definitions,
    kappa,
    macro_f1,
    size_class,
    summarise,
)
from pipelines.polyp.metrics.bootstrap import draw, ends, of_weights, weighted_median


def polyps(count: int = 60, seed: int = 0, each: int = 2) -> list[Sized]:
    """Polyps with intervals, `each` a patient."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(1, 20, count)
    predicted = np.maximum(0.5, true + rng.normal(0.3, 2, count))
    return [
        Sized(f"p{n}", t, p, f"p{n}", f"patient {n // each}", low_mm=p - 3, high_mm=p + 3)
        for n, (t, p) in enumerate(zip(true.tolist(), predicted.tolist(), strict=True))
    ]


def values(found: dict[str, object], name: str) -> dict[str, float]:
    metrics = found["metrics"]
    assert isinstance(metrics, dict)
    one: dict[str, float] = metrics[name]
    return one


def test_every_value_is_what_the_functions_say() -> None:
    items = polyps()
    found = summarise(items, draws=200)
    true, predicted = (np.array([getattr(one, key) for one in items]) for key in ("true_mm", "predicted_mm"))
    by_hand = agreement(true, predicted)
    matrix = confusion(size_class(true), size_class(predicted))
    expected = {
        "mae": by_hand.mae,
        "median_error": by_hand.median_error,
        "bias": by_hand.bias,
        "loa_low": by_hand.low,
        "loa_high": by_hand.high,
        "icc": by_hand.icc,
        "accuracy": accuracy(matrix),
        "macro_f1": macro_f1(matrix),
        "kappa": kappa(matrix),
        "sensitivity_5mm": recall_score(true > 5, predicted > 5),
        "specificity_5mm": recall_score(true <= 5, predicted <= 5),
        "sensitivity_10mm": recall_score(true >= 10, predicted >= 10),
        "specificity_10mm": recall_score(true < 10, predicted < 10),
        "coverage": float((abs(predicted - true) <= 3).mean()),
        "width": 6,
        "median_predictor_mae": float(abs(true - np.median(true)).mean()),
    }
    for name, value in expected.items():
        assert values(found, name)["value"] == pytest.approx(value), name
    assert found["metrics"].keys() == expected.keys()
    assert found["matrix"] == matrix.tolist()
    assert found["baseline"]["mae"] == pytest.approx(expected["median_predictor_mae"])
    assert found["baseline"]["median_mm"] == pytest.approx(np.median(true))
    constant = size_class(np.full_like(true, np.median(true)))
    assert found["baseline"]["macro_f1"] == pytest.approx(macro_f1(confusion(size_class(true), constant)))
    assert found["baseline"]["kappa"] == pytest.approx(0, abs=1e-12)


def test_every_number_is_defined_and_goes_into_json() -> None:
    items = [*polyps(), Sized("big", 15, 12, censored=True), Sized("wide", 15, 18, censored=True)]
    found = summarise(items, draws=50)
    assert json.loads(json.dumps(found)) == found
    assert found["metrics"].keys() == {one.name for one in METRICS}
    assert found["metrics"].keys() < found["definitions"].keys()
    assert {"item", "classes", "censored", "abstained", "unknown", "baseline", "interval"} < found[
        "definitions"
    ].keys()
    assert all(len(text) > 30 for text in found["definitions"].values())
    assert definitions("frame")["item"] != definitions("polyp")["item"]


def test_a_lower_bound_counts_where_it_says_something() -> None:
    """15 or more, predicted 12: the class is right, the bound is not met. 6 or more: no class, large at 5."""
    items = [
        Sized("exact", 8, 9),
        Sized("bound met", 15, 20, censored=True),
        Sized("bound missed", 15, 12, censored=True),
        Sized("no class", 6, 3, censored=True, low_mm=1, high_mm=9),
        Sized("nothing known", 4, 3, censored=True),
    ]
    found = summarise(items, draws=50)
    assert found["counts"]["censored"] == 4 and found["counts"]["censored_of_known_class"] == 2
    assert (values(found, "mae")["value"], values(found, "mae")["items"]) == (1, 1)
    assert values(found, "censored_right")["value"] == 1 / 4
    assert (values(found, "accuracy")["value"], values(found, "accuracy")["items"]) == (1, 3)
    assert found["matrix"] == [[0, 0, 0], [0, 1, 0], [0, 0, 2]]
    assert (values(found, "sensitivity_5mm")["value"], values(found, "sensitivity_5mm")["items"]) == (
        3 / 4,
        4,
    )
    assert (values(found, "specificity_10mm")["value"], values(found, "specificity_10mm")["items"]) == (1, 1)
    assert found["baseline"]["median_mm"] == 8
    assert "coverage" not in found["metrics"] and "specificity_5mm" not in found["metrics"]


def test_abstentions_and_unknown_sizes_are_counted_and_nothing_else() -> None:
    items = polyps(20)
    more = [*items, Sized("abstained", 7, None), Sized("unknown", None, 7), Sized("both", None, None)]
    found, alone = summarise(more, draws=50), summarise(items, draws=50)
    assert found["metrics"] == alone["metrics"] and found["baseline"] == alone["baseline"]
    counts = found["counts"]
    assert (counts["items"], counts["used"], counts["abstained"], counts["unknown_size"]) == (23, 20, 2, 2)
    assert (counts["polyps"], counts["patients"]) == (20, 10)


def test_nothing_to_score_is_an_empty_table() -> None:
    found = summarise([Sized("a", None, 4), Sized("b", 4, None)])
    assert found["metrics"] == {} and found["matrix"] == [[0] * 3] * 3
    assert found["baseline"]["median_mm"] is None


def test_a_median_from_training_is_taken_as_it_is() -> None:
    items = polyps()
    found = summarise(items, median_mm=4.0, draws=50)
    true = np.array([one.true_mm for one in items], float)
    assert values(found, "median_predictor_mae")["value"] == pytest.approx(abs(true - 4).mean())
    assert found["baseline"]["median_mm"] == 4 and found["baseline"]["from_training"]


def test_intervals_hold_their_values_and_come_again() -> None:
    items = polyps()
    once = summarise(items, draws=400)
    for name, one in once["metrics"].items():
        assert one["low"] <= one["value"] <= one["high"], name
    assert once == summarise(items, draws=400)
    narrow = summarise(items, draws=400, confidence=0.5)["metrics"]["mae"]
    assert once["metrics"]["mae"]["low"] < narrow["low"] < narrow["high"] < once["metrics"]["mae"]["high"]


def test_frames_of_one_patient_are_one_draw() -> None:
    """A hundred frames of each of ten patients are no better known than ten."""
    few = polyps(10, each=1)
    many = [replace(one, name=f"{one.name} {n}") for one in few for n in range(100)]
    one, other = (summarise(each, "frame", draws=500)["metrics"] for each in (few, many))
    assert other["mae"]["low"] == pytest.approx(one["mae"]["low"])
    assert other["mae"]["high"] == pytest.approx(one["mae"]["high"])
    assert other["median_error"]["low"] == pytest.approx(one["median_error"]["low"])


def test_one_patient_has_no_interval() -> None:
    one = summarise(polyps(4, each=4), draws=50)["metrics"]["mae"]
    assert (one["low"], one["high"]) == (None, None)
    without_patients = [replace(each, patient="") for each in polyps(4)]
    assert summarise(without_patients, draws=50)["metrics"]["mae"]["low"] is not None


def test_a_patient_is_never_taken_for_a_polyp() -> None:
    items = [Sized("a", 4, 5, polyp="1", patient="x"), Sized("b", 4, 9, polyp="x")]
    assert summarise(items, draws=50)["metrics"]["mae"]["low"] is not None


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Sized("a", 0, 4), "above 0"),
        (Sized("a", -1, 4), "above 0"),
        (Sized("a", float("nan"), 4), "finite"),
        (Sized("a", 4, float("inf")), "finite"),
        (Sized("a", 4, 4, low_mm=5, high_mm=3), "end below"),
    ],
)
def test_what_are_no_sizes(item: Sized, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        summarise([item])


def test_no_items() -> None:
    with pytest.raises(ValueError, match="no sizes"):
        summarise([])


def test_draws_against_drawing_word_for_word() -> None:
    """Sums and medians of each draw are those of a list into which the drawn clusters' items are put."""
    rng = np.random.default_rng(4)
    names = [str(one) for one in rng.integers(0, 7, 40)]
    numbers = rng.integers(0, 9, 40).astype(float)
    chosen = rng.random(40) < 0.7
    found = draw(names, draws=30, seed=1)
    clusters = sorted(set(names))
    sums = found.sums(numbers[chosen][:, None], chosen)[:, 0]
    medians = of_weights(found, chosen, lambda one: weighted_median(numbers[chosen], one))
    for times, total, middle in zip(found.times, sums, medians, strict=True):
        listed = [
            numbers[place]
            for cluster, often in zip(clusters, times, strict=True)
            for _ in range(often)
            for place in range(40)
            if names[place] == cluster and chosen[place]
        ]
        assert total == pytest.approx(sum(listed))
        assert middle == pytest.approx(np.median(listed))


def test_intervals_of_a_mean_cover_what_they_promise() -> None:
    """Clusters of four alike: about 95% of the intervals of the mean hold the true one."""
    rng, held = np.random.default_rng(7), 0
    for seed in range(200):
        clusters = np.repeat(np.arange(40), 4)
        values_ = np.repeat(rng.normal(3, 2, 40), 4) + rng.normal(0, 0.1, 160)
        drawn = draw([str(one) for one in clusters], draws=300, seed=seed)
        found = ends(drawn.sums(values_[:, None], np.ones(160, bool))[:, 0] / 160)
        assert found is not None
        held += found.low <= 3 <= found.high
    assert 0.89 <= held / 200 <= 0.98
