"""Small heads without a skull, each with a bright ball in it, in the layout of BRATS 2013."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from benchmarks.medical_segment.data import FLAIR, T1C, TUMOUR

SHAPE = (40, 36, 32)
BELOW = -3.5  # of the background


def write_patients(folder: Path, count: int = 2) -> Path:
    """The folder, with `count` patients in it."""
    rng = np.random.default_rng(0)
    grid = np.indices(SHAPE)
    brain = sum(((grid[axis] - side / 2) / (0.32 * side)) ** 2 for axis, side in enumerate(SHAPE)) < 1
    for number in range(count):
        patient = folder / f"patient{number}"
        patient.mkdir(parents=True)
        tumour = ((grid - np.array([20 + number, 18, 14])[:, None, None, None]) ** 2).sum(0) < 30
        parts = np.where(tumour, 1 + grid[0] % 4, 0).astype(np.uint8)
        for name in (FLAIR, T1C):
            image = rng.normal(0, 0.3, SHAPE) + 3 * tumour
            save(patient / name, np.where(brain, image, BELOW).astype(np.float32))
        save(patient / TUMOUR, parts)
    return folder


def save(path: Path, array: np.ndarray) -> None:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])  # stored from right to left and from front to back
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
