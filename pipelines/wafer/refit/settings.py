"""The settings of a refit: those of the first training, what differs, and what was asked for."""

from __future__ import annotations

from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.models import ModelFolder
from pipelines.wafer.train_config import TrainConfig

# A refit goes on from a model that is nearly right: few maps and small steps do, and it takes minutes.
EPOCHS: Final = 3
MAPS_PER_EPOCH: Final = 4_000
SLOWER: Final = 2  # divides the learning rate
FIXED: Final = ("kind", "cells", "resolution", "architecture", "normal_label")


def refit_config(stored: ModelFolder, asked: TrainConfig) -> TrainConfig:
    """The settings for a refit of the model `stored`; fields that are set in `asked` win.

    Only the mixture that was chosen for the first training is fitted again. Raises UserError for a field that
    a refit cannot change.
    """
    fixed = sorted(asked.model_fields_set & set(FIXED))
    if fixed:
        raise UserError(f"{', '.join(fixed)} cannot change in a refit; train a new model for that")
    training = stored.config.get("training", {})
    first = TrainConfig.model_validate(
        {name: value for name, value in training.items() if name in TrainConfig.model_fields}
    )
    changed: dict[str, Any] = {
        "epochs": EPOCHS,
        "maps_per_epoch": MAPS_PER_EPOCH,
        "learning_rate": first.learning_rate / SLOWER,
    }
    chosen = next(iter(stored.metrics.get("mixtures", [])), None)
    if chosen:
        changed |= {"components": (chosen["components"],), "covariances": (chosen["covariance"],)}
    return first.model_copy(update=changed | {name: getattr(asked, name) for name in asked.model_fields_set})
