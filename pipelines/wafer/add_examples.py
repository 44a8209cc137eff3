"""Examples (`pipelines.wafer.examples`) for a model that has none yet, or that was refitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from pipelines.common.errors import UserError
from pipelines.common.models import find_model, load_model
from pipelines.wafer.data import WaferMap
from pipelines.wafer.examples import (
    EXAMPLES,
    Classes,
    Examples,
    encode,
    extended,
    gather,
    read_examples,
)
from pipelines.wafer.model.trained import TASK, TrainedModel, load_trained
from pipelines.wafer.train import read_data, split
from pipelines.wafer.train_config import TrainConfig

CANDIDATES: Final = 500  # maps of a class among which examples are chosen


def add_examples(model: str, data: Path) -> Examples:
    """Write the examples of the model `model` from the data set that it was trained on.

    They are chosen among the maps that trained it, not among those that were held out; its other files stay
    as they are. Raises UserError.
    """
    folder = find_model(TASK, model)
    trained, config = load_trained(folder), load_model(folder, task=TASK).config["training"]
    maps, names = read_data(data, lambda text: None)
    labels, classes = np.unique(names, return_inverse=True)
    if tuple(labels.tolist()) != trained.labels:
        raise UserError(f"{data} has other classes than the model {folder}")
    settings = TrainConfig.model_validate(config)
    rows, _ = split(classes, labels, settings)
    examples = examples_of(trained, [maps[row] for row in rows], classes[rows], settings)
    new = folder / f".{EXAMPLES}.new"
    new.write_bytes(encode(examples))
    new.replace(folder / EXAMPLES)
    return examples


def examples_of(
    model: TrainedModel, maps: Sequence[WaferMap], classes: Classes, settings: TrainConfig
) -> Examples:
    """Examples chosen among training maps of the model, with their classes (N,)."""
    rng = np.random.default_rng(settings.seed)
    shuffled = rng.permutation(len(maps))
    rows = np.concatenate(
        [shuffled[classes[shuffled] == number][:CANDIDATES] for number in range(len(model.labels))]
    )
    chosen = [maps[row] for row in rows]
    return gather(chosen, classes[rows], model.measure(chosen).latent, settings.examples)


def refitted_examples(
    folder: Path,
    old: TrainedModel,
    new: TrainedModel,
    maps: Sequence[WaferMap],
    classes: Classes,
    settings: TrainConfig,
) -> Examples | None:
    """Those of a model whose last layer alone was tuned on the reviewed `maps`: old ones and some of these.

    None if the old model, in `folder`, has none: the reviewed maps alone would show too little.
    """
    kept = read_examples(folder)
    if kept is None:
        return None
    # Both mixtures have the same axes; what a latent is scaled by differs.
    latent = old.mixture.restored(torch.from_numpy(kept.latent).to(old.device))
    moved = new.mixture.standardise(latent).float().cpu().numpy()
    return extended(
        Examples(moved, kept.classes, kept.drawings),
        examples_of(new, maps, classes, settings),
        settings.examples,
    )
