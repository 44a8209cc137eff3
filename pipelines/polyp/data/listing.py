"""What a layout gives: polyps, recordings, and what was odd."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.common.media.folders import Entries

from .camera import NAME, read_camera
from .info import Info
from .record import Camera, Frames, Polyp, PolypError, Recording


@dataclass(slots=True)
class Listing:
    """Grows while a layout is read."""

    polyps: list[Polyp] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def polyp_of(
    id: str,
    frames: Frames,
    info: Info | None,
    *,
    video: str = "",
    patient: str = "",
    camera: Camera | None = None,
    split: str = "",
) -> Polyp:
    """A polyp with what a table says of it; without a line in a table its size is unknown."""
    known = info or Info()
    return Polyp(
        id,
        frames,
        known.patient or patient,
        video or known.video,
        known.size.mm,
        known.size.censored,
        known.shape,
        known.site,
        known.histology,
        split,
        camera,
        known.notes,
    )


def camera_in(entries: Entries, notes: list[str], name: str = NAME) -> Camera | None:
    """The camera of a calibration in a folder; None without one, or with a note if it cannot be read."""
    path = entries.folder / name
    if path not in entries.files:
        return None
    try:
        camera = read_camera(path)
    except PolypError as error:
        notes.append(f"{error}; the camera is taken as unknown")
        return None
    notes += camera.notes
    return camera


def table_folders(folder: Path, root: Path) -> list[Path]:
    """Where a table of a data set may lie: in the folder, and in those above it up to the named one."""
    above = [folder]
    while above[-1] != root and root in above[-1].parents:
        above.append(above[-1].parent)
    return above
