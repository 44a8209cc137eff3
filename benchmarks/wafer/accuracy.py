"""How right the suite's model and the dense peer are on the same maps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Row, Section
from benchmarks.wafer.dense_cnn import Peer, binned, probabilities
from benchmarks.wafer.metrics import accuracy, bootstrap_macro_f1, interval, macro_f1, recalls
from pipelines.wafer.calibrate import expected_calibration_error
from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.predict import Predictor

BATCH_MAPS = 256


def measure(validation: Path, peer: Peer, predictor: Predictor, cache: Path, *, seed: int = 0) -> Section:
    """Accuracy, macro-F1, calibration error and recalls of both on `validation`, and the difference.

    The intervals hold 95% of 2,000 resamples of the maps, the same ones for both; they do not hold the spread
    over trainings, of which there is one each.
    """
    images, truth = binned(validation, cache)
    chances = probabilities(peer.model, images)
    predictions = [prediction for batch in _batches(validation) for prediction in predictor.predict(batch)]
    guesses: dict[str, NDArray[np.str_]] = {
        "suite": np.array([prediction.label for prediction in predictions]),
        "dense": np.array(peer.labels)[chances.argmax(1)],
    }
    sure = {
        "suite": np.array([one.probability for one in predictions]),
        "dense": chances.max(1).astype(np.float64),
    }
    samples = bootstrap_macro_f1(truth, guesses, seed=seed)
    rows: list[Row] = []
    for name, guess in guesses.items():
        low, high = interval(samples[name])
        rows.append(
            {
                "model": name,
                "maps": len(truth),
                "accuracy": accuracy(truth, guess),
                "macro_f1": macro_f1(truth, guess),
                "macro_f1_low": low,
                "macro_f1_high": high,
                "ece": expected_calibration_error(sure[name], truth == guess),
            }
        )
    found = {name: recalls(truth, guess) for name, guess in guesses.items()}
    rows += [
        {
            "class": label,
            "maps": int((truth == label).sum()),
            **{f"recall_{name}": found[name][label] for name in guesses},
        }
        for label in found["suite"]
    ]
    low, high = interval(samples["suite"] - samples["dense"])
    summary = {f"macro_f1_{name}": row["macro_f1"] for name, row in zip(guesses, rows, strict=False)}
    summary |= {
        "macro_f1_difference": rows[0]["macro_f1"] - rows[1]["macro_f1"],
        "macro_f1_difference_low": low,
        "macro_f1_difference_high": high,
        "macro_f1_ratio": rows[0]["macro_f1"] / max(rows[1]["macro_f1"], 1e-9),
        "error_ratio": (1 - rows[0]["macro_f1"]) / max(1 - rows[1]["macro_f1"], 1e-9),
        "accuracy_suite": rows[0]["accuracy"],
        "accuracy_dense": rows[1]["accuracy"],
        "ece_suite": rows[0]["ece"],
        "ece_dense": rows[1]["ece"],
    }
    return Section(rows, summary)


def _batches(path: Path) -> Iterator[list[WaferMap]]:
    maps = (wafer for wafer, _ in read_labelled(path))
    while batch := list(islice(maps, BATCH_MAPS)):
        yield batch
