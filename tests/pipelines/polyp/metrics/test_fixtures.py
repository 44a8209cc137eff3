"""Two published tables of true and predicted sizes give the numbers that others computed from them.

The convention that gives them: sizes are not rounded; classes up to 5 mm, above 5 and below 10, from 10 mm;
macro F1 over the classes that occur; standard deviation with n - 1; the median predictor's median is that of
the same table, not left out one by one (which would give 1.62 instead of 1.53 for the second).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pipelines.polyp.metrics import Sized, agreement, summarise

SUN = ("sfsnet_sundb_1img.csv", "VIDEO", "GROUND_TRUTH_SIZE", "ESTIMATED_SIZE")
SNARE = ("polypsize42_loocv_predictions.csv", "Video_ID", "Polyp_Size_mm", "Predicted_Size_mm")
EXPECTED = {
    SUN: {
        "items": 90,
        "mae": 2.06,
        "median_predictor_mae": 2.62,
        "bias": -0.04,
        "loa_low": -5.80,
        "loa_high": 5.73,
        "icc": 0.70,
        "accuracy": 0.556,
        "macro_f1": 0.538,
        "kappa": 0.50,
    },
    SNARE: {
        "items": 41,
        "mae": 1.22,
        "median_predictor_mae": 1.53,
        "bias": -0.11,
        "loa_low": -3.64,
        "loa_high": 3.43,
        "icc": 0.58,
        "accuracy": 0.659,
        "macro_f1": 0.402,
        "kappa": 0.25,
    },
}
DIGITS = {"accuracy": 3, "macro_f1": 3}


def read(folder: Path, table: tuple[str, str, str, str]) -> list[Sized]:
    name, polyp, true, predicted = table
    with (folder / name).open(newline="") as file:
        return [
            Sized(row[polyp], float(row[true]), float(row[predicted]), polyp=row[polyp])
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("table", [SUN, SNARE], ids=["sun", "snare"])
def test_the_published_numbers(shared_data: Path, table: tuple[str, str, str, str]) -> None:
    items = read(shared_data / "polyp" / "mm_tables", table)
    found = summarise(items)
    expected = dict(EXPECTED[table])
    assert found["counts"]["used"] == expected.pop("items")
    values = {name: round(found["metrics"][name]["value"], DIGITS.get(name, 2)) for name in expected}
    assert values == expected
    for name in expected:
        one = found["metrics"][name]
        assert one["low"] <= one["value"] <= one["high"], name


def test_leaving_one_out_would_give_another_baseline(shared_data: Path) -> None:
    true = np.array([one.true_mm for one in read(shared_data / "polyp" / "mm_tables", SNARE)])
    left_out = [abs(one - np.median(np.delete(true, place))) for place, one in enumerate(true)]
    assert round(float(np.mean(left_out)), 2) == 1.62


def test_the_table_of_rendered_frames(shared_data: Path) -> None:
    """2,802 frames of few videos: frame level, clusters of frames."""
    with (shared_data / "polyp" / "mm_tables" / "sfsnet_synthetic.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    items = [
        Sized(row["IMAGE"], float(row["GROUND_TRUTH_SIZE"]), float(row["ESTIMATED_SIZE"]), row["VIDEO"])
        for row in rows
    ]
    found = summarise(items, "frame", draws=500)
    true, predicted = ([getattr(one, key) for one in items] for key in ("true_mm", "predicted_mm"))
    by_hand = agreement(true, predicted)
    assert found["metrics"]["mae"]["value"] == pytest.approx(by_hand.mae)
    assert found["metrics"]["icc"]["value"] == pytest.approx(by_hand.icc)
    alone = summarise(
        [Sized(str(number), one.true_mm, one.predicted_mm) for number, one in enumerate(items)], draws=500
    )
    wide, narrow = (one["metrics"]["mae"] for one in (found, alone))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])
