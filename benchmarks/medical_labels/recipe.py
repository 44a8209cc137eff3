"""The recipe of the bundled hippocampus model, in one place: plan, training and pretraining."""

from __future__ import annotations

from pipelines.medical.config import NetworkPlan, Normalisation, Plan
from pipelines.medical.pretrain.config import PretrainConfig
from pipelines.medical.train.config import TrainConfig

LABELS = {"anterior": 1, "posterior": 2}
FOLDS = 5


def hippocampus_plan() -> Plan:
    """Crops of 1 mm, about 35 x 50 x 36 voxels: all of a volume but its edge fits a patch."""
    return Plan(
        labels=LABELS,
        channels=("T1",),
        modality="MR",
        spacing=(1.0, 1.0, 1.0),
        patch=(40, 48, 40),
        batch_size=2,
        normalisation=(Normalisation(scheme="zscore"),),
        network=NetworkPlan(
            name="dense-unet",
            why="Every voxel counts.",
            channels=(16, 32, 48, 64),
            blocks=(1, 1, 1, 1),
            strides=((2, 2, 2),) * 3,
            heads=2,
        ),
    )


def training(steps: int, seed: int = 0) -> TrainConfig:
    """A training of `steps` steps.

    Flipped along x alone, which makes a right hippocampus of a left one: front and back, up and down tell the
    labels apart.
    """
    per_epoch = min(50, steps)
    return TrainConfig(
        device="cpu",
        seed=seed,
        folds=FOLDS,
        epochs=max(1, steps // per_epoch),
        steps_per_epoch=per_epoch,
        validate_every=10_000,
        learning_rate=3e-3,
        weight_decay=0.01,
        turn_degrees=10.0,
        scale=0.1,
        mirror=("x",),
        intensity=0.5,
    )


def pretraining(steps: int, seed: int = 0) -> PretrainConfig:
    """A pretraining of `steps` steps."""
    per_epoch = min(50, steps)
    return PretrainConfig(
        device="cpu",
        seed=seed,
        epochs=max(1, steps // per_epoch),
        steps_per_epoch=per_epoch,
        batch_size=8,
        learning_rate=2e-3,
        mirror=("x",),
        held_out=0.05,
    )
