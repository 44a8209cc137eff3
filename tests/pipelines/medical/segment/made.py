"""Models and volumes for the tests: a network that is a threshold, and U-networks whose answers vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.common.engines import load_engine
from pipelines.medical.config import Foreground, NetworkPlan, Normalisation, Plan
from pipelines.medical.data.record import Volume
from pipelines.medical.model.networks import Network, build_network
from pipelines.medical.model.trained import TrainedModel, save_trained
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.predict import Predictor

PLAIN = (Normalisation(scheme="none"),)
CPU = torch.device("cpu")


class Threshold(nn.Module):
    """Label k where the first channel is above the k-th of some levels, whatever further channels hold."""

    def __init__(self, *levels: float, sharpness: float = 50.0) -> None:
        super().__init__()
        self.levels, self.sharpness, self.asked = levels, sharpness, 0

    def forward(self, images: Tensor, active: Tensor | None = None) -> list[Tensor]:
        self.asked += len(images)
        first = images[:, 0]
        rungs = [torch.zeros_like(first)]
        for level in self.levels:
            rungs.append(rungs[-1] + self.sharpness * (first - level))
        return [torch.stack(rungs, 1)]


def unet_plan(name: str = "sparse-unet", **changes: Any) -> Plan:
    network = NetworkPlan(
        name=name,
        channels=(4, 6, 8),
        blocks=(1, 1, 1),
        strides=((2, 2, 2), (2, 2, 1)),
        heads=1,
    )
    return Plan(
        labels={"one": 1, "two": 2}, patch=(16, 16, 16), normalisation=PLAIN, network=network
    ).model_copy(update=changes)


def lively_unet(plan: Plan, seed: int = 0) -> Network:
    """An untrained network whose labels differ from voxel to voxel."""
    torch.manual_seed(seed)
    network = build_network(
        plan.network,
        in_channels=len(plan.channels),
        classes=1 + len(plan.labels),
        patch=plan.patch,
        engine=load_engine("native"),
    )
    network.train()
    image = torch.randn(1, len(plan.channels), 16, 16, 16)
    with torch.no_grad():
        for _ in range(30):  # the statistics of the norms settle
            network(image)
        network.eval()
        weights = network.shared_weights()
        for name in ("decoder.heads.0.kernel", "decoder.heads.0.bias"):
            weights[name] = torch.randn(weights[name].shape) * 4
        network.load_shared(weights)
        mean = network(image)[0].mean((0, 2, 3, 4))
        weights["decoder.heads.0.bias"] -= mean.reshape(weights["decoder.heads.0.bias"].shape)
        network.load_shared(weights)
    return network


def predictor_of(plan: Plan, *members: Any, **settings: Any) -> Predictor:
    model = TrainedModel("stub", plan, members, CPU, "0" * 64)
    return Predictor(model, SegmentConfig(model="stub", **settings))


def threshold_plan(*levels: float, patch: int = 16, **changes: Any) -> Plan:
    labels = {f"above {level:g}": number for number, level in enumerate(levels, start=1)}
    plan = Plan(labels=labels, patch=(patch, patch, patch), normalisation=PLAIN)
    return plan.model_copy(update=changes)


def volume(array: NDArray[Any], affine: NDArray[np.float64] | None = None, name: str = "made") -> Volume:
    return Volume(array, np.eye(4) if affine is None else affine, Path(f"{name}.nii.gz"), name)


def noise(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def save_tiny(folder: Path, plan: Plan | None = None, members: int = 1, **training: Any) -> Path:
    """A model folder of a lively U-network. training: what it tells of its training."""
    plan = plan or unet_plan("dense-unet", foreground=Foreground())
    weights = [lively_unet(plan, seed).shared_weights() for seed in range(members)]
    save_trained(folder, plan=plan, members=weights, training=training, metrics={}, card="# Untrained")
    return folder
