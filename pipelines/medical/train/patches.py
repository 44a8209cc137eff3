"""Patches drawn from prepared cases, and changed at random by MONAI's transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from monai.transforms.spatial.dictionary import RandAffined, RandFlipd, RandSimulateLowResolutiond
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.training.spread.world import ALONE, World
from pipelines.medical.config import Plan
from pipelines.medical.flips import AXES, mirror_for
from pipelines.medical.train.cases import TrainingCase
from pipelines.medical.train.config import TrainConfig

MARGIN = 1.25  # how much larger than the patch is what a turned patch is cut from
IMAGE, LABEL, ACTIVE = "image", "label", "active"


class Patches:
    """Draws batches; the same seed gives the same ones."""

    def __init__(self, cases: Sequence[TrainingCase], plan: Plan, config: TrainConfig) -> None:
        self.cases, self.plan, self.config = cases, plan, config
        self.transform = augmentation(plan, config)
        grown = config.turn_degrees > 0 or config.scale > 0
        self.cut = tuple(round(side * MARGIN) if grown else side for side in plan.patch)

    def batch(self, rng: np.random.Generator, world: World = ALONE) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images float32 (B, C, X, Y, Z), class indices int64 (B, X, Y, Z), active bool likewise or None; of
        several processes, the patches that this one takes."""
        places = [self._place(rng) for _ in range(self.plan.batch_size)]
        costs = [1 if world.size == 1 else self._cost(*place[:2]) for place in places]
        patches = [self._one(*places[item]) for item in world.share(costs)]
        images = torch.stack([one[IMAGE] for one in patches])
        labels = torch.stack([one[LABEL][0] for one in patches]).long()
        if ACTIVE not in patches[0]:
            return images, labels, None
        return images, labels, torch.stack([one[ACTIVE][0] > 0.5 for one in patches])

    def _place(self, rng: np.random.Generator) -> tuple[TrainingCase, tuple[int, ...], int]:
        """A case, the centre of a patch of it, and the seed of its random changes."""
        case = self.cases[int(rng.integers(len(self.cases)))]
        return case, self._centre(case, rng), int(rng.integers(2**31))

    def _cost(self, case: TrainingCase, centre: tuple[int, ...]) -> int:
        """What a patch costs the network: of a sparse one, its active voxels before they are changed."""
        if case.active is None or self.plan.network.name != "sparse-unet":
            return 1
        return int(cut(case.active[None], centre, self.plan.patch).sum())

    def _one(self, case: TrainingCase, centre: tuple[int, ...], seed: int) -> dict[str, Tensor]:
        patch: dict[str, Any] = {
            IMAGE: torch.from_numpy(cut(case.images, centre, self.cut)),
            LABEL: torch.from_numpy(cut(case.labels[None], centre, self.cut)),
        }
        if case.active is not None:
            patch[ACTIVE] = torch.from_numpy(cut(case.active[None], centre, self.cut).astype(np.uint8))
        self.transform.set_random_state(seed=seed)
        changed = self.transform(patch)
        return {name: torch.as_tensor(getattr(value, "array", value)) for name, value in changed.items()}

    def _centre(self, case: TrainingCase, rng: np.random.Generator) -> tuple[int, ...]:
        if case.places and rng.random() < self.config.foreground_share:
            kinds = sorted(case.places)
            places = case.places[kinds[rng.integers(len(kinds))]]
            return tuple(places[rng.integers(len(places))].tolist())
        # A centre that keeps the patch within the volume, where the volume is larger than the patch.
        low = [min(side, size) // 2 for side, size in zip(self.plan.patch, case.shape, strict=True)]
        high = [size - place for place, size in zip(low, case.shape, strict=True)]
        return tuple(int(rng.integers(a, max(a + 1, b))) for a, b in zip(low, high, strict=True))


def cut(array: NDArray[Any], centre: Sequence[int], sides: Sequence[int]) -> NDArray[Any]:
    """The box (C, *sides) around a voxel, with zeros where it leaves the array. array: (C, X, Y, Z)."""
    found = np.zeros((array.shape[0], *sides), array.dtype)
    there, here = [slice(None)], [slice(None)]
    for middle, side, size in zip(centre, sides, array.shape[1:], strict=True):
        start = middle - side // 2
        first, last = max(start, 0), min(start + side, size)
        there.append(slice(first, max(first, last)))
        here.append(slice(first - start, max(first, last) - start))
    found[tuple(here)] = array[tuple(there)]
    return found


def augmentation(plan: Plan, config: TrainConfig) -> Compose:
    """The random changes, in the order in which they happen; the last size is the plan's patch."""
    images, masks = [IMAGE], [LABEL, ACTIVE]
    turn = np.deg2rad(config.turn_degrees)
    strong = config.intensity
    steps: list[Any] = [
        RandAffined(
            [*images, *masks],
            spatial_size=plan.patch,
            prob=0.5 if turn or config.scale else 0.0,
            rotate_range=(turn, turn, turn),
            scale_range=(config.scale,) * 3,
            mode=["bilinear", "nearest", "nearest"],
            padding_mode="zeros",
            allow_missing_keys=True,
        )
    ]
    steps += [
        RandFlipd([*images, *masks], prob=0.5, spatial_axis=AXES[axis], allow_missing_keys=True)
        for axis in (mirror_for(plan.labels) if config.mirror is None else config.mirror)
    ]
    if strong:
        steps += [
            RandGaussianNoised(images, prob=0.15, std=0.1 * strong, sample_std=True),
            RandGaussianSmoothd(
                images, prob=0.15, sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8)
            ),
            RandScaleIntensityd(images, factors=0.25 * strong, prob=0.3),
            RandShiftIntensityd(images, offsets=0.2 * strong, prob=0.3),
            RandAdjustContrastd(images, prob=0.2, gamma=(0.7, 1.5), retain_stats=True),
            RandSimulateLowResolutiond(images, prob=0.1, zoom_range=(0.6, 1.0)),
        ]
    return Compose(steps)
