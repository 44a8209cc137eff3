"""The examples (`pipelines.wafer.examples`) of a model that was refitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from pipelines.wafer.data import WaferMap
from pipelines.wafer.examples import Classes, Examples, extended, gather, read_examples
from pipelines.wafer.model.trained import TrainedModel
from pipelines.wafer.train_config import TrainConfig

CANDIDATES: Final = 500  # maps of a class among which examples are chosen


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
    seen = model.look(chosen)
    network = seen.latent.float().cpu().numpy()
    return gather(chosen, classes[rows], model.novelty.place(seen), network, settings.examples)


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
    # Both mixtures have the same axes; what a place along them is scaled by differs.
    scales = (each.novelty.mixture.whitening().cpu() for each in (old, new))
    moved = torch.from_numpy(kept.latent).double() @ torch.linalg.inv(next(scales)) @ next(scales)
    return extended(
        replace(kept, latent=moved.float().numpy()),
        examples_of(new, maps, classes, settings),
        settings.examples,
    )
