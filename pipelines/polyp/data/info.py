"""What tables say of polyps: size, patient, shape, site, histology, whatever the columns are called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pipelines.common.media.folders import some

from .record import PolypError
from .sizes import Size, parse_size
from .tables import Row, read_table

IDS: Final = (
    *("unique_object_id", "polyp_id", "polyp", "case_id", "case", "clip_id", "video_id", "video_name"),
    *("unique_video_name", "video", "id", "name", "no", "number"),
)
SIZES: Final = ("size_mm", "polyp_size_mm", "size", "polyp_size", "diameter_mm", "diameter")
_BOUND: Final = ("size_is_lower_bound", "censored", "lower_bound")
_PATIENTS: Final = ("patient_id", "patient", "subject", "subject_id")
_SHAPES: Final = ("shape", "paris", "paris_class", "morphology")
_SITES: Final = ("site", "location", "segment")
_HISTOLOGIES: Final = ("histology_class", "histology", "pathology", "histology_extended", "diagnosis")
_TRUE: Final = ("1", "1.0", "true", "yes", "y")


@dataclass(frozen=True, slots=True)
class Info:
    """A line of a table. size.mm is None if unknown; other texts are empty if unknown."""

    size: Size = field(default_factory=Size)
    patient: str = ""
    video: str = ""
    shape: str = ""
    site: str = ""
    histology: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        return (self.size.note,) if self.size.note else ()


def read_info(path: Path) -> tuple[dict[str, Info], list[str]] | None:
    """Lines by `plain_id` and notes; None if the table has no id or no size.

    Where a table has a sequence and a polyp in two columns, both are the id.

    An id that comes twice with another size has none, and a note. Raises PolypError with the path.
    """
    rows, notes = read_table(path)
    if not rows:
        return None
    key = next((one for one in IDS if one in rows[0]), None)
    if key is None or not any(one in rows[0] for one in SIZES):
        return None
    found: dict[str, Info] = {}
    twice, torn, nameless = [], [], 0
    for row in rows:
        text = f"{row['sequence']}/{row[key]}" if "sequence" in row else row[key]
        name = plain_id(text)
        if not name:
            nameless += 1
            continue
        info = info_of(row)
        if name not in found:
            found[name] = info
            continue
        twice.append(text)
        if (found[name].size.mm, found[name].size.censored) != (info.size.mm, info.size.censored):
            torn.append(text)
            found[name] = replace(
                found[name], size=Size(note="the table gives it two sizes, so it is taken as unknown")
            )
    if twice:
        notes.append(f"{path.name}: {some(twice, 'lines have the id of another one, and are left out')}")
    if torn:
        notes.append(f"{path.name}: {some(torn, 'ids have two sizes, which are taken as unknown')}")
    if nameless:
        notes.append(f"{path.name}: {nameless} lines have no id, and are left out")
    return found, notes


def info_of(row: Row) -> Info:
    """What a line of a table says."""
    bound = _first(row, _BOUND).lower() in _TRUE
    return Info(
        parse_size(_first(row, SIZES), lower_bound=bound),
        _first(row, _PATIENTS),
        _first(row, ("unique_video_name", "video")),
        _first(row, _SHAPES),
        _first(row, _SITES),
        _first(row, _HISTOLOGIES),
    )


def _first(row: Row, names: tuple[str, ...]) -> str:
    return next((row[one] for one in names if row.get(one)), "")


def plain_id(text: str) -> str:
    """An id as tables and folders may both have it: `case001`, `Case 1`, `1.0` and `1` are `1`.

    A sequence and a polyp in it, as `sequence001/polyp2` or `1/2`, are `1/2`.
    """
    plain = text.strip().lower()
    both = re.fullmatch(r"(?:sequence|seq)?[ _-]*(\d+)[ /_-]+polyp[ _-]*(\d+)|(\d+)/(\d+)", plain)
    if both is not None:
        return "/".join(str(int(one)) for one in both.groups() if one)
    plain = re.sub(r"\.(mp4|m4v|mov|avi|mkv|webm|mpg|mpeg)$", "", plain)
    plain = re.sub(r"^(case|video|polyp)[ _-]*(?=\d)", "", plain)
    plain = re.sub(r"^(\d+)\.0$", r"\1", plain)
    return str(int(plain)) if plain.isdecimal() and len(plain) < 19 else plain


def tables_in(folders: list[Path]) -> tuple[dict[str, Info], list[str]]:
    """All that the tables (.csv, .xlsx) lying in these folders say of polyps, the first word taken; notes.

    Never fails: a table that cannot be read is a note.
    """
    found: dict[str, Info] = {}
    notes: list[str] = []
    for folder in dict.fromkeys(folders):
        try:
            paths = sorted(one for one in folder.iterdir() if one.suffix.lower() in (".csv", ".xlsx"))
        except OSError:
            continue
        for path in paths:
            if path.name.startswith((".", "~")):
                continue
            try:
                one = read_info(path)
            except PolypError as error:
                notes.append(f"{path.name} is left out: {error}")
                continue
            if one is not None:
                found = one[0] | found
                notes += one[1]
    return found, notes
