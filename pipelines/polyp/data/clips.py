"""A video or a folder of frames for each polyp: Polyp-Size (Song et al., 2025), PolypSense3D (2025)."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from pipelines.common.media.folders import Entries, entries_of, natural, some
from pipelines.common.media.images import is_image_name
from pipelines.common.media.video import is_video_name

from .camera import read_sense_cameras
from .info import plain_id, tables_in
from .listing import Listing, camera_in, polyp_of, table_folders
from .record import Camera, FrameRef, Frames, Listed, PolypError
from .sources import Beside, ClipFrames, FolderFrames, frame_time, in_time

_NAMED: Final = re.compile(r"(.+)_\d+\.\d+_")  # {video}_{t:.2f}_
SENSE_DEPTH_MM: Final = 1.0


def polyp_size(entries: Entries, root: Path) -> Listing | None:
    """A video for each polyp, or frames named `{video}_{seconds}_`, in a folder or below; a table of sizes.

    The table has an id that is the video's name, or the number in it. Videos alone, without a table that
    names one of them, are no data set.
    """
    known, notes = tables_in(table_folders(entries.folder, root))
    if not known:
        return None
    listing = Listing(notes=notes)
    sources: dict[str, Frames] = {}
    loose: dict[str, list[Path]] = defaultdict(list)
    for path in entries.files:
        match = _NAMED.fullmatch(path.stem)
        if is_video_name(path):
            sources[path.stem] = ClipFrames(path)
        elif is_image_name(path) and match:
            loose[match[1]].append(path)
    for name, paths in loose.items():
        frames = [FrameRef(one.stem, one, seconds=frame_time(one.stem)) for one in sorted(paths, key=in_time)]
        sources.setdefault(name, Listed(tuple(frames)))
    for folder in entries.folders.values():
        if plain_id(folder.name) in known and folder.name not in sources and _has_images(folder):
            sources[folder.name] = FolderFrames((folder,), in_seconds=True)
    if not any(plain_id(one) in known for one in sources):
        return None
    camera = camera_in(entries, listing.notes)
    bare = []
    for name, source in sorted(sources.items(), key=lambda one: natural(one[0])):
        info = known.pop(plain_id(name), None)
        if info is None:
            bare.append(name)
        listing.polyps.append(polyp_of(name, source, info, video=name, camera=camera))
    if bare:
        listing.notes.append(some(bare, "videos have no line in a table, so no size"))
    if known:
        listing.notes.append(some(sorted(known, key=natural), "lines of the table have no video"))
    return listing


def _has_images(folder: Path) -> bool:
    try:
        return any(is_image_name(one) for one in entries_of(folder).files)
    except PolypError:
        return False


def polyp_sense(entries: Entries, root: Path) -> Listing | None:
    """PolypSense3D: `polyp_frame/sequence001/polyp1/frame_0001.jpg`, `calibrations`, and a table of sizes.

    `polyp_mask` and `polyp_depth`, laid out alike, are taken if they are there; depths are whole mm.
    """
    top = entries.folders.get("polyp_frame")
    if top is None:
        return None
    listing = Listing()
    cameras: dict[str, Camera] = {}
    calibrations = entries.folders.get("calibrations")
    if calibrations is not None:
        cameras, listing.notes = read_sense_cameras(calibrations)
    single = camera_in(entries, listing.notes)
    known, notes = tables_in(table_folders(entries.folder, root))
    listing.notes += notes
    without: list[str] = []
    try:
        sequences = entries_of(top).folders
    except PolypError as error:
        listing.notes.append(str(error))
        sequences = {}
    for folder in sorted(sequences.values(), key=lambda one: natural(one.name)):
        camera = cameras.get(folder.name, single)
        if camera is None:
            without.append(folder.name)
        try:
            polyps = entries_of(folder).folders.values()
        except PolypError as error:
            listing.notes.append(str(error))
            continue
        for polyp in polyps:
            id = f"{folder.name}/{polyp.name}"
            masks, depths = (
                _beside(entries, kind, folder.name, polyp.name) for kind in ("polyp_mask", "polyp_depth")
            )
            beside = Beside(masks, depths, SENSE_DEPTH_MM)
            listing.polyps.append(
                polyp_of(
                    id,
                    FolderFrames((polyp,), beside),
                    known.get(plain_id(f"{folder.name}/{polyp.name}")),
                    video=folder.name,
                    camera=camera,
                )
            )
    if without:
        listing.notes.append(some(without, "sequences have no calibrated camera"))
    unknown = [one.id for one in listing.polyps if one.size_mm is None and not one.notes]
    if unknown:
        listing.notes.append(some(unknown, "polyps have no size in a table"))
    return listing


def _beside(entries: Entries, kind: str, sequence: str, polyp: str) -> Path | None:
    top = entries.folders.get(kind)
    folder = top / sequence / polyp if top else None
    return folder if folder is not None and folder.is_dir() else None
