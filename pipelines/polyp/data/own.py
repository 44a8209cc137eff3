"""Our own layout: a table of polyps and a table of frames, or a folder or a video for each polyp.

polyps.csv: polyp, and as far as known patient, video, size_mm, censored, shape, site, histology. frames.csv:
polyp and image; or polyp, video and frame; and as far as known x0, y0, x1, y1, mask, depth, seconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Final

from pipelines.common.media.folders import Entries, inside, natural, some
from pipelines.common.media.video import is_video_name

from .info import info_of
from .listing import Listing, camera_in, polyp_of
from .record import Box, DepthFile, FrameRef, Frames, Listed, PolypError
from .sources import ClipFrames, FolderFrames
from .tables import Row, read_table

POLYPS: Final = "polyps.csv"
FRAMES: Final = "frames.csv"
DEPTH_MM: Final = 0.01
_CORNERS: Final = ("x0", "y0", "x1", "y1")


def own(entries: Entries, root: Path) -> Listing | None:
    """The polyps of a folder that holds `polyps.csv`. Nothing in the tables makes this fail."""
    if entries.folder / POLYPS not in entries.files:
        return None
    listing = Listing()
    camera = camera_in(entries, listing.notes)
    lines = _lines(entries, listing)
    frames = _frames(entries, listing) if entries.folder / FRAMES in entries.files else {}
    bare = []
    for id, row in lines.items():
        source = _source(entries, id, row, frames.pop(id, None))
        if source is None:
            bare.append(id)
            continue
        listing.polyps.append(polyp_of(id, source, info_of(row), camera=camera))
    for id, found in frames.items():
        listing.polyps.append(polyp_of(id, found, None, camera=camera))
    if frames:
        listing.notes.append(some(list(frames), f"polyps of {FRAMES} have no line in {POLYPS}, so no size"))
    if bare:
        listing.notes.append(some(bare, "polyps have no frames, and are left out"))
    listing.polyps.sort(key=lambda one: natural(one.id))
    return listing


def _lines(entries: Entries, listing: Listing) -> dict[str, Row]:
    found: dict[str, Row] = {}
    twice, nameless = [], 0
    for row in _rows(entries, POLYPS, listing):
        id = row.get("polyp", "")
        if not id:
            nameless += 1
        elif id in found:
            twice.append(id)
            if info_of(row).size != info_of(found[id]).size:
                found[id] = {**found[id], "size_mm": "two sizes", "size": ""}
        else:
            found[id] = row
    if twice:
        listing.notes.append(
            f"{POLYPS}: {some(twice, 'lines have the id of another one; of two sizes neither is taken')}"
        )
    if nameless:
        listing.notes.append(f"{POLYPS}: {nameless} lines name no polyp, and are left out")
    return found


def _rows(entries: Entries, name: str, listing: Listing) -> list[Row]:
    try:
        rows, notes = read_table(entries.folder / name)
    except PolypError as error:
        listing.notes.append(f"{name} is left out: {error}")
        return []
    listing.notes += notes
    return rows


def _source(entries: Entries, id: str, row: Row, listed: Frames | None) -> Frames | None:
    if listed is not None:
        return listed
    folder = inside(entries.folder, id)
    if folder is not None and folder.is_dir():
        return FolderFrames((folder,))
    video = inside(entries.folder, row.get("video", ""))
    if video is not None and is_video_name(video) and video.is_file():
        return ClipFrames(video)
    return None


def _frames(entries: Entries, listing: Listing) -> dict[str, Frames]:
    """Frames by polyp, in the order of the table."""
    found: dict[str, list[FrameRef]] = defaultdict(list)
    outside, missing, wrong, twice = [], [], [], []
    seen: set[tuple[str, str]] = set()
    for row in _rows(entries, FRAMES, listing):
        name = row.get("image") or row.get("video", "")
        path = inside(entries.folder, name)
        if not row.get("polyp") or path is None:
            outside.append(name or "(no name)")
        elif not path.is_file():
            missing.append(name)
        elif (frame := _frame(entries.folder, row, path)) is None:
            wrong.append(name)
        elif (row["polyp"], frame.name) in seen:
            twice.append(frame.name)
        else:
            seen.add((row["polyp"], frame.name))
            found[row["polyp"]].append(frame)
    for names, what in (
        (outside, "lines name no polyp or lead out of the folder, and are left out"),
        (missing, "files are missing"),
        (wrong, "lines of videos have no number of a frame, and are left out"),
        (twice, "frames come twice, and are taken once"),
    ):
        if names:
            listing.notes.append(f"{FRAMES}: {some(names, what)}")
    return {id: Listed(tuple(frames)) for id, frames in found.items()}


def _frame(folder: Path, row: Row, path: Path) -> FrameRef | None:
    notes: list[str] = []
    box = _box(row, notes)
    mask, depth = (_beside(folder, row.get(one, ""), one, notes) for one in ("mask", "depth"))
    numbers = {name: _number(row.get(name, "")) for name in ("frame", "seconds")}
    number = numbers["frame"]
    if not row.get("image") and (number is None or number < 0 or number != int(number)):
        return None
    of_video = None if row.get("image") or number is None else int(number)
    return FrameRef(
        path.stem if of_video is None else f"{path.stem}_{of_video}",
        path if of_video is None else None,
        None if of_video is None else path,
        of_video,
        numbers["seconds"],
        box,
        mask=mask,
        depth=DepthFile(depth, DEPTH_MM) if depth else None,
        upright=True,
        notes=tuple(notes),
    )


def _box(row: Row, notes: list[str]) -> Box | None:
    texts = [row.get(one, "") for one in _CORNERS]
    if not any(texts):
        return None
    corners = [_number(one) for one in texts]
    if any(one is None for one in corners):
        notes.append(f"the box {', '.join(texts)} is no four numbers, and is left out")
        return None
    x0, y0, x1, y1 = (one for one in corners if one is not None)
    return x0, y0, x1, y1


def _beside(folder: Path, name: str, what: str, notes: list[str]) -> Path | None:
    if not name:
        return None
    path = inside(folder, name)
    if path is None or not path.is_file():
        notes.append(f"the {what} {name} is missing")
        return None
    return path


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
