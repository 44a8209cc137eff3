"""The figures beside plain counting."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.wafer_openset.judge import NOVEL, Answers, judge

RNG = np.random.default_rng(0)
HELD, KNOWN, NOVEL_SCORES = RNG.normal(0, 1, 1000), RNG.normal(0, 1, 400), RNG.normal(1.5, 1, 100)
TRUTH = np.array(["a", "b"])[np.arange(400) % 2]
GUESS = np.where(RNG.random(400) < 0.1, "b", TRUTH)
ANSWERS = Answers(TRUTH, GUESS, np.repeat("a", 100))


def test_they_are_what_counting_gives() -> None:
    found = judge(HELD, KNOWN, NOVEL_SCORES, ANSWERS)
    wins = (NOVEL_SCORES[:, None] > KNOWN[None]).mean()
    assert found["auroc"] == pytest.approx(wins)
    threshold = np.sort(HELD)[989]
    assert found["false_alarms"] == pytest.approx(np.mean(threshold < KNOWN), abs=0.003)
    assert found["found"] == pytest.approx(np.mean(threshold < NOVEL_SCORES), abs=0.02)
    assert found["fpr_at_95_tpr"] == pytest.approx(np.mean(np.sort(KNOWN)[379] >= NOVEL_SCORES), abs=0.02)
    assert found["false_alarms_at_95_found"] == pytest.approx(
        np.mean(np.sort(NOVEL_SCORES)[5] <= KNOWN), abs=0.02
    )


def test_precision_is_averaged_over_the_novel_maps() -> None:
    found = judge(HELD, KNOWN, NOVEL_SCORES, ANSWERS)
    everything = np.concatenate([KNOWN, NOVEL_SCORES])
    novel = np.repeat([False, True], [400, 100])
    precisions = [novel[everything >= score].mean() for score in NOVEL_SCORES]
    assert found["aupr"] == pytest.approx(np.mean(precisions))


def test_a_known_map_that_is_called_novel_is_wrong() -> None:
    held = np.zeros(100)
    known = np.where(np.arange(400) < 40, 1.0, -1.0)
    found = judge(held, known, np.ones(100), ANSWERS)
    right = (GUESS == TRUTH)[40:].sum() / 400
    assert found["accuracy"] == pytest.approx(right)
    assert found["false_alarms"] == pytest.approx(0.1)
    assert found["macro_f1"] < judge(held, -np.ones(400), np.ones(100), ANSWERS)["macro_f1"]


def test_novel_maps_that_pass_lower_the_open_score_alone() -> None:
    held, known = np.zeros(100), -np.ones(400)
    caught = judge(held, known, np.ones(100), ANSWERS)
    missed = judge(held, known, -np.ones(100), ANSWERS)
    assert caught["macro_f1"] == missed["macro_f1"]
    assert caught["open_macro_f1"] > missed["open_macro_f1"]
    right = Answers(TRUTH, TRUTH, np.repeat("a", 100))
    assert judge(held, known, np.ones(100), right)["open_macro_f1"] == 1


def test_perfect_and_useless_scores() -> None:
    perfect = judge(HELD, KNOWN, KNOWN[:100] + 50, ANSWERS)
    assert (perfect["auroc"], perfect["aupr"], perfect["fpr_at_95_tpr"]) == (1, 1, 0)
    useless = judge(HELD, np.zeros(400), np.zeros(100), ANSWERS)
    assert useless["auroc"] == 0.5
    assert useless["fpr_at_95_tpr"] == useless["false_alarms_at_95_found"] == 1
    assert NOVEL not in TRUTH
