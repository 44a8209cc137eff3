"""A folder to polyps and recordings. No image and no annotation of a single frame is opened for it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipelines.common.media.folders import entries_of, natural, some

from .layouts import LAYOUTS, recognise, split_of
from .listing import Listing
from .record import Dataset, Polyp, PolypError, Recording

MAX_DEPTH: Final = 5
MAX_FOLDERS: Final = 10_000


def read_dataset(folder: str | Path, *, layout: str = "") -> Dataset:
    """The polyps of a data set in one of the known layouts.

    A folder that is none is searched with the folders in it. Nothing in a single file can make this fail.
    Where several data sets are found, ids get their folders before them; patients and videos do not, so that
    clips of one case in several parts stay together; of different layouts they get the layout's name. layout:
    the only one to look for, one of LAYOUTS. Raises PolypError if there is no polyp and no recording at all.
    """
    folder = Path(folder)
    if layout and layout not in LAYOUTS:
        raise PolypError(f"there is no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    if not folder.exists():
        raise PolypError(f"there is no {folder}")
    if not folder.is_dir():
        raise PolypError(f"{folder} is a file; a data set is a folder")
    found, notes = _search(folder, layout)
    names = sorted({_family(name) for _, name, _ in found})
    polyps: list[Polyp] = []
    recordings: list[Recording] = []
    for inner, name, listing in found:
        prefix = f"{inner.as_posix()}/" if len(found) > 1 and inner.parts else ""
        family = f"{_family(name)}:" if len(names) > 1 else ""
        split = split_of(inner)
        notes += [f"{prefix}: {note}" if prefix else note for note in listing.notes]
        polyps += [
            replace(
                one,
                id=prefix + one.id,
                patient=one.patient and family + one.patient,
                video=one.video and family + one.video,
                split=one.split or split,
            )
            for one in listing.polyps
        ]
        recordings += [
            replace(one, id=prefix + one.id, patient=one.patient and family + one.patient)
            for one in listing.recordings
        ]
    if not polyps and not recordings:
        more = f" ({notes[0]})" if notes else ""
        raise PolypError(f"{folder} holds no data set in a known layout ({', '.join(LAYOUTS)}){more}")
    polyps = _once(polyps, notes)
    recordings.sort(key=lambda one: natural(one.id))
    notes += _odd_sizes(polyps)
    layouts = ", ".join(sorted({name for _, name, _ in found}))
    return Dataset(tuple(polyps), tuple(recordings), layouts, tuple(notes))


def _family(layout: str) -> str:
    """SUN-SEG shows cases of SUN, under the same names."""
    return "sun" if layout == "sun-seg" else layout


def _once(polyps: list[Polyp], notes: list[str]) -> list[Polyp]:
    """Polyps by id, in natural order. Of those with one id the first is kept."""
    found: dict[str, Polyp] = {}
    twice = []
    for one in polyps:
        if one.id in found:
            twice.append(one.id)
        found.setdefault(one.id, one)
    if twice:
        notes.append(some(twice, "polyps have the id of another one, and are left out"))
    return sorted(found.values(), key=lambda one: natural(one.id))


def _odd_sizes(polyps: list[Polyp]) -> list[str]:
    """Notes of single polyps, told once for all that have the same."""
    by_note: dict[str, list[str]] = defaultdict(list)
    for one in polyps:
        for note in one.notes:
            by_note[note].append(one.id)
    return [f"{note}: {some(ids, 'polyps')}" for note, ids in by_note.items()]


def _search(top: Path, layout: str) -> tuple[list[tuple[Path, str, Listing]], list[str]]:
    """The data sets in a folder, each with its place below it, and what could not be read."""
    found: list[tuple[Path, str, Listing]] = []
    notes: list[str] = []
    waiting, seen = [(top, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        seen += 1
        if seen > MAX_FOLDERS:
            notes.append(f"it holds more than {MAX_FOLDERS:,} folders, and the rest were not looked at")
            break
        try:
            entries = entries_of(folder)
            one = recognise(entries, top, layout)
        except PolypError as error:
            notes.append(str(error))
            continue
        if one is not None:
            found.append((folder.relative_to(top), *one))
        elif depth < MAX_DEPTH:
            inner = sorted(entries.folders.values(), key=lambda path: natural(path.name), reverse=True)
            waiting += [(path, depth + 1) for path in inner]
    return found, notes
