"""NIfTI-1 and NIfTI-2, gzipped or not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

import nibabel
import numpy as np

from pipelines.medical.data.record import VolumeError
from pipelines.medical.generate import files

from ..reader import Reader
from ._volumes import AFFINE, ARRAY, looked_at


def _seeds() -> list[bytes]:
    packed = files.nifti(ARRAY, AFFINE)
    second = nibabel.Nifti2Image(ARRAY.astype(np.float32), AFFINE).to_bytes()
    return [gzip.decompress(packed), packed, second]


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / "a.nii"
    path.write_bytes(data)
    return looked_at(path)


READER: Final = Reader(_seeds, _read, (VolumeError,))
