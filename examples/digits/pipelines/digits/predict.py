"""A trained network that was loaded once, and what it says of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.engines import load_engine
from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import find_model, load_model
from pipelines.digits.config import TASK, ClassifyConfig
from pipelines.digits.data import Picture
from pipelines.digits.network import batch, build
from sparse_backbones.resnet import SparseResNet


class Predictor:
    """labels: the classes in the order of the logits. about: what `run.json` says of the model."""

    def __init__(
        self, network: SparseResNet, engine: Any, labels: Sequence[str], device: torch.device
    ) -> None:
        self.network, self.engine, self.labels, self.device = network, engine, list(labels), device
        self.about: dict[str, Any] = {}

    @classmethod
    def load(cls, config: ClassifyConfig) -> Predictor:
        """The model that the config names. Raises UserError."""
        folder = load_model(find_model(TASK, config.model), task=TASK)
        device, engine = resolve_device(config.device), load_engine(config.engine)
        labels = folder.config["labels"]
        network = build(engine, len(labels))
        try:
            network.load_state_dict(folder.tensors)
        except RuntimeError as error:
            raise UserError(f"the weights of {folder.path} are not those of its network: {error}") from error
        predictor = cls(network.to(device).eval(), engine, labels, device)
        predictor.about = {"name": folder.name, "sha256": folder.sha256, "labels": labels}
        return predictor

    def logits(self, pictures: Sequence[Picture]) -> Tensor:
        """(B, labels), with gradients where the network is trained."""
        sites, features = batch(pictures)
        x = self.engine.SparseTensor(features.to(self.device), sites.to(self.device))
        logits: Tensor = self.network(x, len(pictures))[0]
        return logits

    def probabilities(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """(B, labels); the rows sum to 1."""
        with torch.inference_mode():
            chances: NDArray[np.float32] = self.logits(pictures).softmax(1).cpu().numpy()
        return chances
