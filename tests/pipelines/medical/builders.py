"""Small labelled volumes: two balls of different brightness in noise."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pipelines.medical.config import NetworkPlan, Plan

LABELS = {"dark": 1, "bright": 2}


def two_balls(
    seed: int, shape: tuple[int, int, int] = (24, 28, 20)
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """An image and its labels: ball 1 at 3, ball 2 at 6, in noise around 0 of deviation 1 on a body of 1."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(side) for side in shape), indexing="ij"), axis=-1)
    labels = np.zeros(shape, np.uint8)
    for value, where in ((1, 0.3), (2, 0.7)):
        centre = np.array(shape) * where + rng.uniform(-1.5, 1.5, 3)
        labels[((grid - centre) ** 2).sum(-1) < rng.uniform(3.0, 4.5) ** 2] = value
    means = np.array([1.0, 3.0, 6.0])
    image = (means[labels] + rng.normal(0, 0.5, shape)).astype(np.float32)
    return image, labels


def write_dataset(folder: Path, count: int, *, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Path:
    """A data set in the layout of the Medical Segmentation Decathlon, of NIfTI files."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    affine = np.diag([*spacing, 1.0])
    for number in range(count):
        image, labels = two_balls(number)
        nib.save(nib.Nifti1Image(image, affine), folder / "imagesTr" / f"case_{number:02d}.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"case_{number:02d}.nii.gz")
    return folder


def small_plan(name: str = "dense-unet", **changes: object) -> Plan:
    """A plan whose network trains in seconds."""
    network = NetworkPlan(
        name=name,  # type: ignore[arg-type]
        channels=(8, 16),
        blocks=(1, 1),
        strides=((2, 2, 2),),
        heads=1,
    )
    plan = Plan(labels=LABELS, patch=(16, 16, 16), batch_size=2, network=network)
    return plan.model_copy(update=changes)
