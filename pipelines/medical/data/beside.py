"""The file of voxels that a header in another file names."""

from __future__ import annotations

from pathlib import Path

from .record import VolumeError


def file_beside(header: Path, name: str) -> Path:
    """The file called `name` in the header's own folder, the only place where it is looked for.

    Raises VolumeError if it leads elsewhere, by its name or by a link, or is missing.
    """
    folder = header.parent.resolve()
    if not name or "\0" in name or "\\" in name or Path(name).is_absolute():
        raise VolumeError(f"its voxels are in {name!r}; they must lie in the same folder as the header")
    path = header.parent / name
    try:
        inside = path.resolve().is_relative_to(folder)
        found = path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long, or a link to itself
        raise VolumeError(f"its voxels are in {name!r}, which cannot be opened") from error
    if not inside:
        raise VolumeError(f"its voxels are in {name!r}; they must lie in the same folder as the header")
    if not found:
        raise VolumeError(f"the voxels of this header are missing: there is no {name!r} beside it")
    return path
