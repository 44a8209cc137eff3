"""One row per image or frame, as `results.jsonl` and `results.csv` hold it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from pipelines.common import tables
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.data.record import Pixels

if TYPE_CHECKING:  # they come with torch
    from pipelines.crowd.count.scene import Area, Measured

COLUMNS: Final = (
    *("source", "frame", "count", "low", "high", "zones", "people_per_m2"),
    *("seconds", "model", "status", "error"),
)
KEY: Final = ("source", "frame")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shot:
    """What a row is about. name: of its files. frame: its number in a video, and time: there, in s; None for
    an image. bytes: of the file."""

    source: Path
    name: str
    frame: int | None = None
    time: float | None = None
    bytes: int = 0


def failed_row(shot: Shot, error: str, model: str) -> Row:
    """The row of an image or video that could not be counted. A reason need not repeat the source."""
    error = error.removeprefix(f"{shot.source}: ")
    row: Row = dict.fromkeys(COLUMNS)
    return row | _shot(shot) | {"zones": {}, "model": model, "status": "failed", "error": error, "notes": []}


def ok_row(
    shot: Shot,
    pixels: Pixels,
    full_size: tuple[int, int],
    found: CountMap,
    measured: Measured,
    *,
    model: str,
    seconds: float,
    notes: tuple[str, ...] = (),
) -> Row:
    """The row of an image or frame that was counted; beyond the columns it says what else is known of it.

    pixels: as they were read. full_size: (width, height) in px of the image in the file.
    """
    whole = measured.whole
    row: Row = dict.fromkeys(COLUMNS)
    return row | {
        **_shot(shot),
        "count": number(whole.count),
        "low": number(whole.low),
        "high": number(whole.high),
        "zones": {name: number(one.count) for name, one in measured.zones.items()},
        "people_per_m2": number(measured.people_per_m2),
        "seconds": round(seconds, 3),
        "model": model,
        "status": "ok",
        "error": "",
        "width": full_size[0],
        "height": full_size[1],
        "area_m2": number(whole.area_m2),
        "areas": {name: _area(one) for name, one in measured.zones.items()},
        "notes": [*notes, *measured.notes, *([found.note] if found.note else [])],
        "empty": bool(found.note),
        "tiles": found.tiles,
        "computed": number(found.computed),
        "item": item_hash(pixels),
    }


def item_hash(pixels: Pixels) -> str:
    """A hash of what was read; equal for equal images, whatever their files."""
    digest = blake2b(repr(pixels.shape).encode(), digest_size=12)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


class Table:
    """Writes `results.csv`; the zones of a row are one cell of JSON, name to count."""

    def __init__(self, file: IO[str]) -> None:
        self._table = tables.Table(file, COLUMNS)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        zones = json.dumps(row["zones"], ensure_ascii=False) if row["zones"] else ""
        self._table.writerow({**row, "zones": zones})


def number(value: float | None) -> float | None:
    """Six significant digits: more than a count knows."""
    return None if value is None else float(f"{value:.6g}")


def _shot(shot: Shot) -> Row:
    time = None if shot.time is None else round(shot.time, 3)
    return {
        "source": str(shot.source),
        "frame": shot.frame,
        "time": time,
        "name": shot.name,
        "bytes": shot.bytes,
    }


def _area(one: Area) -> Row:
    names = ("count", "low", "high", "share", "area_m2", "people_per_m2")
    return {name: number(getattr(one, name)) for name in names}
