"""REAL-Colon (Biffi et al., 2024): frames and VOC annotations in two folders a recording, and two tables.

What our renderer writes has masks, depths and calibrations besides, one for all recordings or one for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.common.media.folders import Entries, natural, some

from .camera import NAME
from .info import Info, info_of
from .listing import Listing, camera_in, polyp_of
from .record import PolypError, Recording
from .recording import VocFrames
from .sources import Beside
from .tables import Row, read_table

LESIONS: Final = "lesion_info.csv"
VIDEOS: Final = "video_info.csv"
DEPTH_MM: Final = 0.01


def real_colon(entries: Entries, root: Path) -> Listing | None:
    """The recordings of a folder that holds `{video}_frames` and `{video}_annotations` (or `_annotation`)."""
    pairs = _pairs(entries)
    if not pairs:
        return None
    listing = Listing()
    camera = camera_in(entries, listing.notes)
    lesions = _lesions(entries, listing)
    videos = _videos(entries, listing)
    without, unknown = [], []
    for video, (images, labels) in pairs.items():
        row = videos.get(video)
        if row is None:
            without.append(video)
        fps = _number(row, "fps")
        patient = (row or {}).get("patient_id") or (row or {}).get("patient") or video
        beside = Beside(
            _folder(entries, f"{video}_masks", f"{video}_mask"),
            _folder(entries, f"{video}_depth", f"{video}_depths"),
            DEPTH_MM,
        )
        frames = VocFrames(images, labels, beside, None, fps)
        listing.recordings.append(Recording(video, frames, patient, fps))
        held = camera_in(entries, listing.notes, f"{video}_{NAME}") or camera
        own: dict[str, Info | None] = {**lesions.pop(video, {})}
        if not own and _number(row, "num_lesions") != 0.0:
            # No table says which polyps there are, so that the annotations must be opened to know.
            own = dict.fromkeys(_annotated(frames, listing))
            unknown += list(own)
        for name, info in own.items():
            source = VocFrames(images, labels, beside, name, fps)
            listing.polyps.append(polyp_of(name, source, info, video=video, patient=patient, camera=held))
    if without:
        listing.notes.append(some(without, f"recordings have no line in {VIDEOS}"))
    if unknown:
        listing.notes.append(some(unknown, f"annotated polyps have no line in {LESIONS}, so no size"))
    absent = sorted((name for own in lesions.values() for name in own), key=natural)
    if absent:
        listing.notes.append(some(absent, f"polyps of {LESIONS} are of recordings that are not here"))
    return listing


def _pairs(entries: Entries) -> dict[str, tuple[Path, Path]]:
    found = {}
    for name, images in entries.folders.items():
        video = images.name[: -len("_frames")]
        labels = _folder(entries, f"{video}_annotations", f"{video}_annotation")
        if name.endswith("_frames") and video and labels is not None:
            found[video] = (images, labels)
    return dict(sorted(found.items(), key=lambda one: natural(one[0])))


def _folder(entries: Entries, *names: str) -> Path | None:
    return next((entries.folders[one.lower()] for one in names if one.lower() in entries.folders), None)


def _table(entries: Entries, name: str, listing: Listing) -> list[Row]:
    path = entries.folder / name
    if path not in entries.files:
        listing.notes.append(f"there is no {name}")
        return []
    try:
        rows, notes = read_table(path)
    except PolypError as error:
        listing.notes.append(f"{name} is left out: {error}")
        return []
    listing.notes += notes
    return rows


def _lesions(entries: Entries, listing: Listing) -> dict[str, dict[str, Info | None]]:
    """Lines of the lesions' table by video and id."""
    found: dict[str, dict[str, Info | None]] = {}
    seen: dict[str, Info] = {}
    twice, short = [], 0
    for row in _table(entries, LESIONS, listing):
        name, info = row.get("unique_object_id", ""), info_of(row)
        video = info.video or name.rpartition("_")[0]
        if not name or not video:
            short += 1
        elif name in seen:
            twice.append(name)
            if seen[name].size != info.size:
                found[video if name in found.get(video, {}) else seen[name].video][name] = Info(
                    patient=info.patient, video=info.video
                )
        else:
            seen[name] = info
            found.setdefault(video, {})[name] = info
    if twice:
        listing.notes.append(
            f"{LESIONS}: {some(twice, 'lines have the id of another one; of two sizes neither is taken')}"
        )
    if short:
        listing.notes.append(f"{LESIONS}: {short} lines name no polyp, and are left out")
    return found


def _videos(entries: Entries, listing: Listing) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in _table(entries, VIDEOS, listing):
        found.setdefault(row.get("unique_video_name", ""), row)
    return found


def _annotated(frames: VocFrames, listing: Listing) -> list[str]:
    try:
        return frames.ids()
    except PolypError as error:
        listing.notes.append(str(error))
        return []


def _number(row: Row | None, name: str) -> float | None:
    try:
        value = float((row or {}).get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < 1e6 else None
