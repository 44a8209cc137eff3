"""SUN (Misawa et al., 2021) and SUN-SEG (Ji et al., 2022), which has masks for clips of the same cases."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from pipelines.common.media.folders import Entries, entries_of, natural, some

from .info import Info, plain_id, tables_in
from .labelled import SunFrames
from .listing import Listing, polyp_of, table_folders
from .record import PolypError
from .sources import Beside, FolderFrames


def sun(entries: Entries, root: Path) -> Listing | None:
    """Cases of a folder that holds `case1`, `case2`, ... and `annotation_txt` with a text for each."""
    texts = entries.folders.get("annotation_txt")
    cases = {name: path for name, path in entries.folders.items() if re.fullmatch(r"case\d+", name)}
    if texts is None or not cases:
        return None
    listing = Listing()
    try:
        files = {path.stem.lower(): path for path in entries_of(texts).files if path.suffix == ".txt"}
    except PolypError as error:
        listing.notes.append(str(error))
        files = {}
    known, notes = tables_in(table_folders(entries.folder, root))
    listing.notes += notes
    bare = []
    for name, folder in sorted(cases.items(), key=lambda one: natural(one[0])):
        if name not in files:
            bare.append(name)
            continue
        source = SunFrames(folder, files[name])
        listing.polyps.append(polyp_of(name, source, known.get(plain_id(name)), video=name))
    if bare:
        listing.notes.append(some(bare, "cases have no text of boxes, and are left out"))
    _without_size(listing)
    return listing


def sun_seg(entries: Entries, root: Path) -> Listing | None:
    """Clips of a folder that holds `Frame` and `GT`, each with folders `case1_1`, `case1_2`, ... or `case4`.

    Clips of one case show one polyp. `Seen` and `Unseen` between are passed through by the search for
    layouts.
    """
    frames, masks = entries.folders.get("frame"), entries.folders.get("gt")
    if frames is None or masks is None:
        return None
    listing = Listing()
    cases: dict[str, list[Path]] = defaultdict(list)
    try:
        clips = entries_of(frames).folders
    except PolypError as error:
        listing.notes.append(str(error))
        return listing
    others = []
    for name, folder in sorted(clips.items(), key=lambda one: natural(one[0])):
        match = re.fullmatch(r"(case\d+)(_\d+)?", name)
        if match is None:
            others.append(name)
        else:
            cases[match[1]].append(folder)
    if not cases:
        return None
    known, notes = tables_in(table_folders(entries.folder, root))
    listing.notes += notes
    for name, folders in cases.items():
        info = known.get(plain_id(name)) or _of_clips(known, folders)
        listing.polyps.append(polyp_of(name, FolderFrames(tuple(folders), Beside(masks)), info, video=name))
    if others:
        listing.notes.append(some(others, "folders are not called after a case, and are left out"))
    _without_size(listing)
    return listing


def _of_clips(known: dict[str, Info], folders: list[Path]) -> Info | None:
    """What the table of clips says, which repeats the polyp's size for each of its clips."""
    return next((known[one] for folder in folders if (one := plain_id(folder.name)) in known), None)


def _without_size(listing: Listing) -> None:
    unknown = [one.id for one in listing.polyps if one.size_mm is None and not one.notes]
    if unknown:
        listing.notes.append(some(unknown, "polyps have no size in a table"))
