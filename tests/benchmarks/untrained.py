"""Wafer models that were never trained: what they say means nothing, what they cost is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pipelines.common.models import save_model
from pipelines.wafer.class_mixture import ClassMixture
from pipelines.wafer.mixture import Mixture
from pipelines.wafer.model.kinds import KINDS
from pipelines.wafer.model.trained import TASK
from pipelines.wafer.novelty import Novelty
from pipelines.wafer.shape import SHAPE_FEATURES
from sparse_backbones import engines

LATENT, DIMENSION = 128, 4


def untrained_model(folder: Path, kind: str, labels: list[str]) -> Path:
    """A model folder of the default network for `dies` or `coordinates`."""
    torch.manual_seed(0)
    chosen = KINDS[kind]()
    network = chosen.build(engines.load("native"), len(labels), {})
    mixture = Mixture(
        mean=torch.zeros(LATENT).double(),
        axes=torch.eye(LATENT, DIMENSION).double(),
        log_weights=torch.zeros(1).double(),
        centres=torch.zeros(1, DIMENSION).double(),
        precisions=torch.eye(DIMENSION).double()[None],
    )
    numbers = LATENT + SHAPE_FEATURES
    classes = ClassMixture(
        mean=torch.zeros(numbers).double(),
        spread=torch.ones(numbers).double(),
        axes=torch.eye(numbers, DIMENSION).double(),
        owner=torch.arange(len(labels)),
        log_weights=torch.zeros(len(labels)).double(),
        centres=torch.zeros(len(labels), DIMENSION).double(),
        precisions=torch.eye(DIMENSION).double().repeat(len(labels), 1, 1),
    )
    novelty = Novelty(
        classes, np.zeros((2, len(labels))), np.linspace([0, 0], [100, 100], 11).T, np.linspace(0, 10, 11)
    )
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {"prior_shift": torch.zeros(len(labels)).double()}
    tensors |= {**mixture.tensors(), **novelty.tensors()}
    config = {
        "task": TASK,
        "kind": kind,
        "preprocessing": chosen.settings(),
        "architecture": {},
        "labels": labels,
        "normal_label": labels[-1],
        "temperature": 1.0,
        "false_alarm_rate": 0.01,
    }
    save_model(folder, tensors=tensors, config=config, metrics={}, card="Untrained.\n")
    return folder
