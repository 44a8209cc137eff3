"""The model folder that a refit writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.common.hardware import environment
from pipelines.common.models import ModelFolder, save_model
from pipelines.wafer.card import model_card
from pipelines.wafer.examples import EXAMPLES, Examples, encode
from pipelines.wafer.mixture import Fit
from pipelines.wafer.model.trained import TrainedModel
from pipelines.wafer.refit.lesson import Lesson
from pipelines.wafer.train_config import TrainConfig

HELD_OUT_SCORES = ("accuracy", "macro_f1", "ece", "per_class", "confusion")


def write_folder(
    out: Path,
    model: TrainedModel,
    *,
    stored: ModelFolder,
    config: TrainConfig,
    lesson: Lesson,
    data: Path | None,
    compared: Mapping[str, Mapping[str, Any]],
    mixtures: Sequence[Fit],
    ece: float | None,
    examples: Examples | None,
    warnings: Sequence[str],
    seconds: float,
    command: str,
    overwrite: bool,
) -> dict[str, Any]:
    """Write the refitted `model` to `out`, and return its metrics.

    stored: the old model, whose config is kept but for what changed. compared: see `compare`. ece: before
    the temperature, if that was fitted anew. seconds: of learning.
    """
    train, held = lesson.train, lesson.held
    after = compared["after"]
    refitted_from = {
        "name": stored.name,
        "sha256": stored.sha256,
        "reviewed": int(train.reviewed.sum() + held.reviewed.sum()),
        "new_classes": list(lesson.new_classes),
        "data": data.name if data else None,
    }
    written = {
        **stored.config,
        "labels": list(model.labels),
        "temperature": model.temperature,
        "training": config.model_dump(mode="json"),
        "refitted_from": refitted_from,
    }
    counts = np.bincount(np.concatenate([train.classes, held.classes]), minlength=len(model.labels))
    metrics = {
        "held_out": {name: after[name] for name in HELD_OUT_SCORES} if after else {},
        "held_out_ece_before_temperature": after.get("ece") if ece is None else ece,
        "mixtures": [asdict(each) for each in mixtures] or [_kept_mixture(model)],
        "novelty": model.novelty.facts(),
        "threshold": model.novelty.threshold(model.false_alarm_rate),
        "maps": {"train": len(train.maps), "held_out": len(held.maps)},
        "examples": len(examples.drawings) if examples else 0,
        "maps_per_class": dict(zip(model.labels, counts.tolist(), strict=True)),
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "seconds": round(seconds, 1),
        "environment": environment(),
        "command": command,
        "refit": {
            **compared,
            "unsure": lesson.unsure,
            "left_out": [asdict(one) for one in lesson.left_out],
            "warnings": list(warnings),
        },
    }
    tensors = {f"network.{name}": value.cpu() for name, value in model.network.state_dict().items()}
    cpu = torch.device("cpu")
    tensors |= {
        "prior_shift": model.prior_shift.cpu(),
        **model.mixture.to(cpu).tensors(),
        **model.novelty.to(cpu).tensors(),
    }
    learnt = f"{data.name} and a review" if data else "a review"
    card = model_card(out.name, written, metrics, data=learnt, terms=config.data_terms, notes=config.notes)
    files = {EXAMPLES: encode(examples)} if examples and examples.drawings else {}
    save_model(
        out, tensors=tensors, config=written, metrics=metrics, card=card, files=files, overwrite=overwrite
    )
    return metrics


def _kept_mixture(model: TrainedModel) -> dict[str, Any]:
    """The mixture as `metrics.json` describes one that was fitted."""
    count, dimension, _ = model.mixture.precisions.shape
    return {"components": count, "covariance": "full", "dimension": dimension, "bic": None}
