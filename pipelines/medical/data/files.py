"""Any file or folder to volumes, whatever its format."""

from __future__ import annotations

from pathlib import Path

from . import nifti
from .record import Volume, VolumeError


def read_volume(path: str | Path) -> Volume:
    """The volume of a file. Raises VolumeError with the reason, which names the file."""
    path = Path(path)
    try:
        return nifti.read(path)
    except VolumeError as error:
        raise VolumeError(f"{path}: {error}") from error
    except OSError as error:
        raise VolumeError(f"{path}: cannot be read: {error.strerror}") from error
