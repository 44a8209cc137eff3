"""Wafer maps as a new KLARF file, with the class that was found on each wafer.

Positions keep their place on the wafer. Dies are numbered from the die nearest the wafer's centre, and the
mark is DOWN, whatever the map was read from. Where a class is given, yield systems find it as CLASSNUMBER of
every defect (and MACROSIGCLASS, the column for signatures of a whole wafer), named in the class lookup, and
per wafer, with decision and probability, in CustomWaferList. A wafer decided "novel" has the class "Novel".
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from ..record import WaferMap
from .layout import Classified, layout
from .text import clean, text_12, text_18

UNCLASSIFIED: Final = "Unclassified"
NOVEL: Final = "Novel"


def write(
    maps: Sequence[WaferMap],
    path: Path,
    version: Literal["1.2", "1.8"] = "1.2",
    classes: Sequence[Classified] | None = None,
    *,
    now: datetime | None = None,
) -> None:
    """Write the maps, with one class for each where `classes` is given, to a new file, whole or not at all.

    Positions are kept to 1 nm. Quotes, semicolons, braces and line breaks in names are replaced. Read back,
    a die fails if a defect lies in it, the failing dies of a map of dies are defects, and an assumed diameter
    is stated.

    Args:
        now: the file's timestamp; the present by default.

    Raises:
        FileExistsError: `path` exists; nothing is overwritten.
        ValueError: an unknown version, no maps, or another number of classes than of maps.
    """
    if version not in ("1.2", "1.8"):
        raise ValueError(f"KLARF is written as version 1.2 or 1.8, not {version!r}")
    if not maps:
        raise ValueError("a KLARF file needs at least one wafer map")
    if classes is not None and len(classes) != len(maps):
        raise ValueError(f"{len(classes)} classes are given for {len(maps)} wafer maps")
    if path.exists():
        raise FileExistsError(f"{path} exists already; results are written to a new file")
    found: Sequence[Classified | None] = [None] * len(maps) if classes is None else classes
    names = [UNCLASSIFIED if one is None else _class_name(one) for one in found]
    lookup = [UNCLASSIFIED, *sorted(set(names) - {UNCLASSIFIED})]
    numbers = {name: number for number, name in enumerate(lookup)}
    whole, unit = (version == "1.8", 1e6 if version == "1.8" else 1e3)
    wafers = [
        layout(one, what, numbers[name], unit, whole=whole)
        for one, what, name in zip(maps, found, names, strict=True)
    ]
    text = text_18 if whole else text_12
    _write_new(path, text(wafers, lookup, now or datetime.now()))


def _class_name(found: Classified) -> str:
    return NOVEL if found.decision == "novel" else clean(found.label) or UNCLASSIFIED


def _write_new(path: Path, text: str) -> None:
    """Through a temporary file beside it, so that a reader never sees half a file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
