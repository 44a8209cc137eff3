"""The cases: FLAIR and T1c of each patient with a background of 0, and the whole tumour as one label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import nibabel
import numpy as np
from numpy.typing import NDArray

from benchmarks.cache import cache_folder, fingerprint
from pipelines.common.errors import UserError
from pipelines.medical.config import Plan
from pipelines.medical.data.cases import Case
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.record import Volume
from pipelines.medical.prepare import Prepared, prepare

FLAIR, T1C, TUMOUR = "Flair_subtrMeanDivStd.nii.gz", "T1c_subtrMeanDivStd.nii.gz", "OTMultiClass.nii.gz"

QUICK_SIDE = 64

Item = TypeVar("Item")


def read_cases(folder: Path, root: Path | None = None) -> list[Case]:
    """The patients of BRATS 2013, in the order of their names.

    The images come with their mean subtracted, so that their background is some number below 0, and the label
    maps with 1 to 4 for parts of the tumour. Both are written once into the benchmark's cache (in `root`, if
    one is given): images with the background at 0, as skull-stripped images are, and 1 for any part of the
    tumour. Raises UserError if a file is missing.
    """
    patients = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if len(patients) < 2:
        raise UserError(f"{folder} must hold a folder for each of two patients or more")
    return [_case(patient, cache_folder("medical_segment", root) / "volumes") for patient in patients]


def split(items: Sequence[Item], held_out: int) -> tuple[list[Item], Item]:
    """Those to train on, and the one that is held out."""
    return [item for number, item in enumerate(items) if number != held_out], items[held_out]


def lifted(image: NDArray[Any]) -> NDArray[np.float32]:
    """The image with the number of its first voxel, which is background, taken off everywhere."""
    found: NDArray[np.float32] = (image - image[0, 0, 0]).astype(np.float32)
    return found


def whole_tumour(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """1 where there is any part of the tumour, else 0."""
    return (labels > 0).astype(np.uint8)


def prepared_volume(case: Case, plan: Plan, *, quick: bool = False) -> Prepared:
    """The images as the networks get them. quick: a part from the middle, 64 voxels a side."""
    return prepare([_part(read_volume(path), quick) for path in case.images], plan)


def truth(case: Case, *, quick: bool = False) -> NDArray[np.bool_]:
    """Where the tumour is, bool (I, J, K) on the stored grid."""
    assert case.labels is not None
    found: NDArray[np.bool_] = _part(read_volume(case.labels), quick).array > 0
    return found


def _part(volume: Volume, quick: bool) -> Volume:
    if not quick:
        return volume
    i, j, k = (slice(max(0, (side - QUICK_SIDE) // 2), (side + QUICK_SIDE) // 2) for side in volume.shape)
    affine = volume.affine.copy()
    affine[:3, 3] = (volume.affine @ [i.start, j.start, k.start, 1])[:3]
    return replace(volume, array=volume.array[i, j, k], affine=affine)


def _case(patient: Path, cache: Path) -> Case:
    for name in (FLAIR, T1C, TUMOUR):
        if not (patient / name).is_file():
            raise UserError(f"{patient / name} is missing: each patient needs {FLAIR}, {T1C} and {TUMOUR}")
    images = tuple(_derived(patient / name, cache, lifted) for name in (FLAIR, T1C))
    return Case(patient.name, images, _derived(patient / TUMOUR, cache, whole_tumour))


def _derived(source: Path, cache: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Path:
    target = cache / f"{source.parent.name}-{source.name.split('.')[0]}-{fingerprint(source)}.nii"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        volume = read_volume(source)
        new = target.with_suffix(".new.nii")
        nibabel.save(nibabel.Nifti1Image(change(volume.array), volume.affine), new)
        new.replace(target)
    return target
