"""Wafer models that were never trained: what they say means nothing, what they cost is real."""

from __future__ import annotations

from pathlib import Path

import torch

from pipelines.common.models import save_model
from pipelines.wafer.model.kinds import KINDS
from pipelines.wafer.model.trained import TASK
from pipelines.wafer.novelty import Mixture
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
        known=torch.linspace(0, 100, 11).double(),
    )
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {"prior_shift": torch.zeros(len(labels)).double(), **mixture.tensors()}
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
