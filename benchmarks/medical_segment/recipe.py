"""Plan and training of the contestants, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.medical.config import Foreground, NetworkName, NetworkPlan, Normalisation, Plan, Sides
from pipelines.medical.train.config import TrainConfig

PER_EPOCH = 10


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the networks follow from, beside the cases. steps: of each training."""

    patch: Sides = (64, 64, 64)
    channels: tuple[int, ...] = (16, 32, 64, 128)
    steps: int = 150
    seed: int = 0


def recipe_of(*, quick: bool, steps: int | None = None, seed: int = 0) -> Recipe:
    """The one of the figures, or a small one."""
    if quick:
        return Recipe((32, 32, 32), (4, 8, 16), steps or 2, seed)
    return Recipe(steps=steps or Recipe().steps, seed=seed)


def make_plan(network: NetworkName, recipe: Recipe) -> Plan:
    """Whole tumour from FLAIR and T1c at 1 mm; the skull is cut away, so what is not 0 is brain."""
    levels = len(recipe.channels)
    return Plan(
        labels={"tumour": 1},
        channels=("FLAIR", "T1c"),
        modality="MR",
        spacing=(1.0, 1.0, 1.0),
        patch=recipe.patch,
        batch_size=2,
        normalisation=(Normalisation(scheme="zscore"), Normalisation(scheme="zscore")),
        foreground=Foreground(rule="nonzero"),
        network=NetworkPlan(
            name=network,
            channels=recipe.channels,
            blocks=(1,) * levels,
            strides=((2, 2, 2),) * (levels - 1),
            heads=min(2, levels - 1),
        ),
    )


def training(recipe: Recipe) -> TrainConfig:
    """The same for all networks: half of the patches around the tumour, mirrored at random.

    Turns and changes of intensity are left out: with so few steps they would only slow the learning.
    """
    per_epoch = min(PER_EPOCH, recipe.steps)
    return TrainConfig(
        device="cpu",
        seed=recipe.seed,
        epochs=max(1, recipe.steps // per_epoch),
        steps_per_epoch=per_epoch,
        learning_rate=3e-3,
        warm_up=0.1,
        turn_degrees=0.0,
        scale=0.0,
        intensity=0.0,
        ema_decay=0.95,
    )
