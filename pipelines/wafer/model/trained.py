"""A trained model: network, calibration and novelty, from and to a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.common.models import ModelError, load_model
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.model.kinds import KINDS, Batch, Kind
from pipelines.wafer.novelty import Mixture
from sparse_backbones import engines

TASK = "wafer"


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """What classifies maps of one kind.

    labels: class names in the order of the logits. normal: the label that means nothing is wrong.
    prior_shift: float32 (K,), added to the logits: log of the classes' share in the data over their share in
        what training drew. temperature: divides the shifted logits.
    false_alarm_rate: the one from which the threshold is taken unless another is asked for.
    """

    name: str
    kind: Kind
    network: nn.Module
    labels: tuple[str, ...]
    normal: str | None
    prior_shift: Tensor
    temperature: float
    novelty: Mixture
    false_alarm_rate: float
    device: torch.device

    @torch.inference_mode()
    def run(self, maps: Sequence[WaferMap]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities (B, K) and novelty scores (B,) of maps of this model's kind."""
        logits, latent = self.network(self.kind.encode(maps).to(self.device))
        calibrated = (logits.double() + self.prior_shift) / self.temperature
        return calibrated.softmax(1).cpu().numpy(), self.novelty.score(latent).cpu().numpy()


@torch.inference_mode()
def run_network(
    network: nn.Module, kind: Kind, maps: Sequence[WaferMap], *, device: torch.device, batch_size: int = 256
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N, K) and latents (N, L) of a network in evaluation mode."""
    network.eval()
    logits, latents = [], []
    for start in range(0, len(maps), batch_size):
        batch: Batch = kind.encode(maps[start : start + batch_size]).to(device)
        scores, latent = network(batch)
        logits.append(scores.cpu().numpy())
        latents.append(latent.cpu().numpy())
    return np.concatenate(logits), np.concatenate(latents)


def load_trained(folder: Path, *, engine: str = "auto", device: torch.device | None = None) -> TrainedModel:
    """Load a model folder for inference. Raises ModelError, in words for the user, if it is no such model."""
    device = device or torch.device("cpu")
    stored = load_model(folder, task=TASK)
    config = stored.config
    try:
        kind = KINDS[config["kind"]](**config["preprocessing"])
        labels = tuple(config["labels"])
        network = kind.build(engines.load(engine), len(labels), config["architecture"])
        network.load_state_dict(_network_tensors(stored.tensors))
        return TrainedModel(
            name=stored.name,
            kind=kind,
            network=network.to(device).eval(),
            labels=labels,
            normal=config["normal_label"],
            prior_shift=stored.tensors["prior_shift"].double().to(device),
            temperature=float(config["temperature"]),
            novelty=Mixture.from_tensors(stored.tensors).to(device),
            false_alarm_rate=float(config["false_alarm_rate"]),
            device=device,
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder} is not a usable wafer model: {error}") from error


def _network_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    prefix = "network."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
