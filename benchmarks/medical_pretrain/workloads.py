"""Real crops to pretrain on, and the networks that the suite plans for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.medical_pretrain.simulation import Simulation
from pipelines.common.errors import UserError
from pipelines.medical.config import Foreground, NetworkPlan, Plan, Sides
from pipelines.medical.data.files import read_volume
from pipelines.medical.model.networks import build_encoder
from pipelines.medical.prepare import prepare
from pipelines.medical.pretrain.simple_plan import UNLABELLED
from pipelines.medical.pretrain.volumes import Crop, Prepared, middle, stack
from sparse_backbones import engines
from sparse_backbones.masked import MaskedAutoencoder, draw_mask

SPARSE, SIMULATION = "sparse", "simulation"
CONTESTANTS = (SPARSE, SIMULATION)
SMALL = NetworkPlan()
DEEP = NetworkPlan(channels=(16, 32, 64, 128, 160), blocks=(1,) * 5, strides=((2, 2, 2),) * 4)


@dataclass(frozen=True, slots=True)
class Workload:
    """files: a pattern below `medical`. count: volumes of a batch. patch: voxels. about: in a few words.

    foreground: leave out the background, which is the lowest value of these images, as the suite does where
        there is much.
    """

    files: str
    count: int
    patch: Sides
    network: NetworkPlan
    about: str
    foreground: bool = False


_BRAIN = "brats2013/*/Flair*.nii.gz"
WORKLOADS = {
    "hippocampus": Workload(
        "hippocampus/imagesTr/*.nii.gz", 4, (40, 56, 40), SMALL, "MRI crops, every voxel an image"
    ),
    "brain": Workload(_BRAIN, 2, (96, 96, 96), DEEP, "MRI of heads, the background taken for image"),
    "brain_large": Workload(_BRAIN, 1, (128, 160, 128), DEEP, "whole heads, the background taken for image"),
    "brain_foreground": Workload(
        _BRAIN, 1, (128, 160, 128), DEEP, "whole heads, the background left out", foreground=True
    ),
}
QUICK_PATCH: dict[str, Sides] = {
    "hippocampus": (16, 24, 16),
    "brain": (48, 48, 48),
    "brain_large": (64, 64, 64),
    "brain_foreground": (48, 48, 48),
}


def crops(name: str, data: Path, *, quick: bool) -> tuple[Tensor, Tensor | None]:
    """Images float32 (B, 1, X, Y, Z), and valid bool (B, X, Y, Z) or None. Raises UserError without data.

    data: the folder that holds `medical`.
    """
    one = WORKLOADS[name]
    patch = QUICK_PATCH[name] if quick else one.patch
    files = sorted((data / "medical").glob(one.files))[: one.count]
    if len(files) < one.count:
        raise UserError(f"{data / 'medical'} must hold {one.count} files like {one.files}")
    plan = Plan(labels=UNLABELLED, patch=patch, network=one.network)
    found = [_middle(path, plan, one.foreground) for path in files]
    images = stack([crop.images for crop in found])
    return images, stack([crop.valid for crop in found]) if one.foreground else None


def _middle(path: Path, plan: Plan, foreground: bool) -> Crop:
    volume = read_volume(path)
    if foreground:
        lowest = Foreground(rule="above", threshold=float(np.min(volume.array)))
        plan = plan.model_copy(update={"foreground": lowest})
    prepared = prepare([volume], plan)
    active = None if prepared.active is None else prepared.active.numpy()
    places = None if active is None else np.argwhere(active).astype(np.int32)
    return middle(Prepared(path.name, prepared.images.numpy(), active, places), plan.patch)


class Step:
    """One contestant's steps of training on one batch."""

    def __init__(self, contestant: str, name: str, ratio: float, data: Path, *, quick: bool) -> None:
        torch.manual_seed(0)
        self.images, self.valid = crops(name, data, quick=quick)
        engine = engines.load("native")
        encoder = build_encoder(WORKLOADS[name].network, in_channels=1, engine=engine)
        model = MaskedAutoencoder(engine, encoder)
        self.mask = draw_mask(
            model.valid_cells(self.images, self.valid), ratio, torch.Generator().manual_seed(1)
        )
        self.model = model if contestant == SPARSE else Simulation(model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-4)

    def __call__(self) -> float:
        """Forward, backward, update; the loss before."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model.loss(self.images, self.mask, self.valid)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def losses(self, count: int) -> list[float]:
        """The losses of the first `count` steps."""
        return [self() for _ in range(count)]
