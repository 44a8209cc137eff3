"""How right a model is on the held-out maps of a refit."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.wafer.evaluate import scores
from pipelines.wafer.model.trained import TrainedModel
from pipelines.wafer.refit.lesson import Lesson


def compare(old: TrainedModel, new: TrainedModel, lesson: Lesson) -> dict[str, dict[str, Any]]:
    """The scores `before` and `after`, as `held_out_scores` gives them."""
    return {"before": held_out_scores(old, lesson), "after": held_out_scores(new, lesson)}


def held_out_scores(model: TrainedModel, lesson: Lesson) -> dict[str, Any]:
    """What `pipelines.wafer.evaluate.scores` says, with the share that is called novel; empty without maps.

    old_recall, new_recall: means over the classes that the model knew before, and over the others.
    reviewed_: of the reviewed maps alone. None where no such map is held out.
    """
    held = lesson.held
    if not held.maps:
        return {}
    seen = model.measure(held.maps)
    truth = [lesson.labels[number] for number in held.classes]
    predicted = [model.labels[number] for number in seen.probabilities.argmax(1)]
    novel = seen.novelty > model.novelty.threshold(model.false_alarm_rate)
    right = np.array([a == b for a, b in zip(truth, predicted, strict=True)])
    found = scores(truth, predicted, seen.probabilities.max(1))
    recall = {name: one["recall"] for name, one in found["per_class"].items() if one["support"]}
    new = set(lesson.new_classes)
    reviewed = held.reviewed
    return {
        "maps": len(truth),
        "novel": float(novel.mean()),
        "old_recall": _mean([value for name, value in recall.items() if name not in new]),
        "new_recall": _mean([value for name, value in recall.items() if name in new]),
        "reviewed_maps": int(reviewed.sum()),
        "reviewed_accuracy": _mean(right[reviewed].tolist()),
        "reviewed_novel": _mean(novel[reviewed].tolist()),
        **found,
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
