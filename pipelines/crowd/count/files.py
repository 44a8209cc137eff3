"""Where the files of a row lie in a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ZONES: Final = "zones.json"
COMPANION: Final = "files.jsonl"  # which files belong to a row
MAPS, OVERLAYS, POINTS, VIDEOS = "maps", "overlays", "points", "videos"
ENDINGS: Final = {MAPS: ".npz", OVERLAYS: ".jpg", POINTS: ".csv", VIDEOS: ".mp4"}


def file_of(out: Path, folder: str, name: str, frame: int | None = None) -> Path:
    """The file of an image, or of a frame of a video, which has a folder for its frames."""
    if frame is None:
        return out / folder / f"{name}{ENDINGS[folder]}"
    return out / folder / name / f"{frame:06d}{ENDINGS[folder]}"


def files_of(out: Path, row: Mapping[str, Any]) -> list[Path]:
    """The files that a row may have, the map first. Raises KeyError or TypeError for what is no row."""
    name, frame = Path(row["name"]).name, row["frame"]
    files = [file_of(out, folder, name, frame) for folder in (MAPS, OVERLAYS, POINTS)]
    return [*files, file_of(out, VIDEOS, name)]
