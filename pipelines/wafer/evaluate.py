"""How right a model is on labelled maps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from pipelines.common.errors import UserError
from pipelines.wafer.calibrate import expected_calibration_error
from pipelines.wafer.data import Limits, WaferFileError, WaferMap, read_labelled
from pipelines.wafer.data.limits import DEFAULT
from pipelines.wafer.model.kinds import UnsuitableMap
from pipelines.wafer.predict import Prediction, Predictor

BATCH = 256


def evaluate(data: Path, predictor: Predictor, limits: Limits = DEFAULT) -> dict[str, Any]:
    """Metrics on the labelled data set `data`; see `metrics`.

    `unknown_labels` are those in the data that no model has: maps of them can only count as wrong.
    Raises UserError if it cannot be read, or if a map in it lacks what the model needs.
    """
    truth: list[str] = []
    predictions: list[Prediction] = []
    try:
        for batch in _batches(read_labelled(data, limits=limits)):
            truth += [label for _, label in batch]
            predictions += predictor.predict([wafer for wafer, _ in batch])
    except WaferFileError as error:
        raise UserError(str(error)) from error
    except UnsuitableMap as error:
        raise UserError(f"{data}: {error}") from error
    if not truth:
        raise UserError(f"{data} holds no labelled map")
    known = {label for model in predictor.models.values() for label in model.labels}
    return {**metrics(truth, predictions), "unknown_labels": sorted(set(truth) - known)}


def metrics(truth: list[str], predictions: list[Prediction]) -> dict[str, Any]:
    """What `scores` says of the predicted labels, with the number of maps and the share flagged as novel."""
    probability = np.array([each.probability for each in predictions])
    return {
        "maps": len(truth),
        "novel": float(np.mean([each.decision == "novel" for each in predictions])),
        **scores(truth, [each.label for each in predictions], probability),
    }


def scores(truth: list[str], predicted: list[str], probability: NDArray[np.float64]) -> dict[str, Any]:
    """Accuracy, macro-F1, expected calibration error, and per class precision, recall, F1 and support.

    probability: float64 (N,), of the predicted labels. The confusion matrix has the true class in rows, the
    predicted one in columns. Classes are all that occur in the truth or in the predictions; macro-F1 is the
    mean over those that occur in the truth.
    """
    labels = sorted({*truth, *predicted})
    place = {label: number for number, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(matrix, ([place[name] for name in truth], [place[name] for name in predicted]), 1)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, average=None, zero_division=0.0
    )
    correct = np.array([a == b for a, b in zip(truth, predicted, strict=True)])
    return {
        "accuracy": float(correct.mean()),
        "macro_f1": float(f1[support > 0].mean()),
        "ece": expected_calibration_error(probability, correct),
        "per_class": {
            label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
            for label, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
        },
        "confusion": {"labels": labels, "matrix": matrix.tolist()},
    }


def _batches(items: Iterator[tuple[WaferMap, str]]) -> Iterator[list[tuple[WaferMap, str]]]:
    while batch := list(islice(items, BATCH)):
        yield batch
