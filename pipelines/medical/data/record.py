"""The one record that every format becomes. Units and axes are settled in the readers and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError


class VolumeError(UserError):
    """A file that is no usable volume. The message says why, in words for the user."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One 3D image as it is stored: nothing is resampled, flipped or turned.

    array: (I, J, K), in the order of the file's own voxel axes; the numbers mean what the format says (CT in
        HU, rescale slope applied), in float32 unless a whole-number type holds them exactly.
    affine: float64 (4, 4), from a voxel's index (i, j, k) at its centre to mm in RAS+: x to the patient's
        right, y to the front, z to the head.
    source: the file, or the folder of a DICOM series.
    name: what the case is called: the file name without its endings, or folder and series for DICOM.
    modality: `CT`, `MR`, ... where the format says it, else empty.
    header: what a writer of the same format needs to give back, such as the codes of a NIfTI's transforms.
    notes: what a reader had to assume, in words for the user.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    source: Path
    name: str
    modality: str = ""
    header: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        i, j, k = self.array.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Size of a voxel along its own axes, in mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres; true for sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0
