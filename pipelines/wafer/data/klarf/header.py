"""What the header of a wafer says, from the fields of any KLARF version, in mm."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..record import WaferFileError

# The fields that are read, in lower case.
READ = frozenset(
    {
        "lotid",
        "waferid",
        "slot",
        "slotnumber",
        "stepid",
        "deviceid",
        "inspectionstationid",
        "resulttimestamp",
        "samplesize",
        "diepitch",
        "dieorigin",
        "samplecenterlocation",
        "orientationmarklocation",
        "orientationinstructions",
        "orientationinstruction",
        "coordinatesmirrored",
    }
)
MIN_DIAMETER_MM, MAX_DIAMETER_MM = 10.0, 1000.0
MAX_LENGTH_MM = 1e6
MAX_TEXT = 200
MARKS = ("down", "left", "up", "right")
# An angle is counted clockwise from the bottom, as SEMI E5 does for the flat or notch location (FNLOC).
MARK_BY_ANGLE = {0.0: "down", 90.0: "left", 180.0: "up", 270.0: "right", 360.0: "down"}
NAMES_FOR_NOTHING = ("", "none", "na", "n/a")
DATE = re.compile(r"(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?")

Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Units:
    """How many mm one unit of a length is, and of the sample's size."""

    length: float
    size: float


# KLARF 1.x gives lengths in um and the wafer's diameter in mm; 1.8 gives everything in nm.
MICROMETRES = Units(length=1e-3, size=1.0)
NANOMETRES = Units(length=1e-6, size=1e-6)


@dataclass(frozen=True, slots=True)
class Header:
    """One wafer's header. Lengths in mm, in the frame of the file; None where the file does not say.

    centre: of the wafer, from the origin of die (0, 0) (SampleCenterLocation).
    mark: where the notch or flat is: down, left, up or right.
    mirrored: whether the coordinates are a mirror image of the wafer as its front shows it.
    """

    lot: str
    wafer: str
    slot: str
    step: str
    device: str
    tool: str
    timestamp: datetime | None
    diameter: float | None
    pitch: tuple[float, float] | None
    origin: tuple[float, float]
    centre: tuple[float, float] | None
    mark: str
    mirrored: bool
    notes: tuple[str, ...]


def header(fields: Fields, units: Units) -> Header:
    """Read the fields (name in lower case: words). Raises WaferFileError at values that cannot be meant."""
    notes: list[str] = []
    mirrored = _mirrored(fields, notes)
    return Header(
        lot=_first(fields, "lotid"),
        wafer=_first(fields, "waferid"),
        slot=_first(fields, "slot") or _first(fields, "slotnumber"),
        step=_first(fields, "stepid"),
        device=_first(fields, "deviceid"),
        tool=" ".join(
            part
            for part in map(_tidy, fields.get("inspectionstationid", ()))
            if part.lower() not in NAMES_FOR_NOTHING
        ),
        timestamp=_timestamp(fields, notes),
        diameter=_diameter(fields, units, notes),
        pitch=_pitch(fields, units, notes),
        origin=_pair(fields, "dieorigin", "DieOrigin", units.length) or (0.0, 0.0),
        centre=_pair(fields, "samplecenterlocation", "SampleCenterLocation", units.length),
        mark=_mark(fields, notes),
        mirrored=mirrored,
        notes=tuple(notes),
    )


def _tidy(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TEXT]


def _first(fields: Fields, name: str) -> str:
    values = fields.get(name, ())
    return _tidy(values[0]) if values else ""


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise WaferFileError(f"{name} must be a number, not {_tidy(text)!r}")
    return value


def _pair(fields: Fields, name: str, shown: str, unit: float) -> tuple[float, float] | None:
    values = fields.get(name, ())
    if not values:
        return None
    if len(values) < 2:
        raise WaferFileError(f"{shown} must be two numbers, not {len(values)}")
    x, y = (_number(value, shown) * unit for value in values[:2])
    if max(abs(x), abs(y)) > MAX_LENGTH_MM:
        raise WaferFileError(f"{shown} is {x:g} x {y:g} mm, which no wafer has")
    return x, y


def _pitch(fields: Fields, units: Units, notes: list[str]) -> tuple[float, float] | None:
    pitch = _pair(fields, "diepitch", "DiePitch", units.length)
    if pitch is None:
        return None
    if min(pitch) < 0:
        raise WaferFileError(f"DiePitch must be positive, not {pitch[0]:g} x {pitch[1]:g} mm")
    if min(pitch) == 0:
        notes.append("DiePitch is zero and was taken as not stated")
        return None
    return pitch


def _diameter(fields: Fields, units: Units, notes: list[str]) -> float | None:
    values = [_number(value, "SampleSize") for value in fields.get("samplesize", ())[:3]]
    if not values:
        return None
    # 1.x counts its dimensions first (1: a diameter, 2: width, height); 1.8 has a second number, 0 if round.
    sizes = values if units is NANOMETRES or len(values) == 1 else values[1:]
    width, height = sizes[0] * units.size, (sizes[1] if len(sizes) > 1 else 0.0) * units.size
    if height and not math.isclose(width, height):
        raise WaferFileError(f"SampleSize is {width:g} x {height:g} mm: only round wafers are read")
    if width == 0:
        notes.append("SampleSize is zero and was taken as not stated")
        return None
    if not MIN_DIAMETER_MM <= width <= MAX_DIAMETER_MM:
        raise WaferFileError(
            f"SampleSize gives a diameter of {width:g} mm; "
            f"it must lie between {MIN_DIAMETER_MM:g} and {MAX_DIAMETER_MM:g} mm"
        )
    return width


def _mark(fields: Fields, notes: list[str]) -> str:
    text = _first(fields, "orientationmarklocation").lower()
    if text in MARKS:
        return text
    if text in NAMES_FOR_NOTHING:
        notes.append("OrientationMarkLocation is not stated and was taken as DOWN")
        return "down"
    try:
        mark = MARK_BY_ANGLE.get(float(text) % 360)
    except ValueError:
        mark = None
    if mark is None:
        raise WaferFileError(
            f"OrientationMarkLocation must be DOWN, LEFT, UP, RIGHT or 0, 90, 180, 270 degrees, not {text!r}"
        )
    if mark in ("left", "right"):
        notes.append(
            f"OrientationMarkLocation {text} was taken as {mark.upper()}: degrees clockwise from the bottom"
        )
    return mark


def _mirrored(fields: Fields, notes: list[str]) -> bool:
    said = _first(fields, "coordinatesmirrored").lower() in ("yes", "y", "true", "1")
    side = _first(fields, "orientationinstructions") or _first(fields, "orientationinstruction")
    if side.lower().startswith("back"):
        # On a back side, YES means that the tool has already turned the coordinates to the front's view.
        notes.append(
            f"a back side inspection, its coordinates {'' if said else 'not '}mirrored to the front's view"
        )
        return False
    if said:
        notes.append("CoordinatesMirrored is YES: x was mirrored back")
    return said


def _timestamp(fields: Fields, notes: list[str]) -> datetime | None:
    text = _tidy(" ".join(fields.get("resulttimestamp", ())))
    if text.lower() in NAMES_FOR_NOTHING:
        return None
    match = DATE.match(text)
    if match:
        date = match.group(1, 2, 3)
        a, b, c = map(int, date)
        hour, minute, second = (int(part or 0) for part in match.group(4, 5, 6))
        if len(date[0]) == 4:
            orders = [(a, b, c)]
        else:
            # Two digits of a year are read as POSIX does. A month above 12 can only be a day.
            year = c if len(date[2]) > 2 else c + (1900 if c >= 69 else 2000)
            orders = [(year, a, b), (year, b, a)]
        for year, month, day in orders:
            try:
                return datetime(year, month, day, hour, minute, second)
            except ValueError:
                continue
    notes.append(f"ResultTimestamp {text!r} was not understood")
    return None
