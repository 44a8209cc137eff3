"""Sizes of polyps as tables have them: numbers, `6mm`, `15mm-`, `1.5 cm`, and much that is no size."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

MAX_MM: Final = 200.0  # the largest polyps reported are about half of it
_NUMBER: Final = r"(-?\d+(?:[.,]\d+)?)"
_SIZE: Final = re.compile(
    rf"(?P<over>>=|≥|=>|>|at least)?\s*{_NUMBER}\s*(?P<unit>mm|cm)?\s*(?P<more>-|\+|or more|and more|以上)?",
    re.IGNORECASE,
)
_UNKNOWN: Final = ("", "na", "n/a", "nan", "none", "null", "unknown", "-", "?")


@dataclass(frozen=True, slots=True)
class Size:
    """mm: None if unknown. censored: mm is a lower bound. note: why a text is no size, for the user."""

    mm: float | None = None
    censored: bool = False
    note: str = ""


def parse_size(text: str, *, lower_bound: bool = False) -> Size:
    """A size from the cell of a table; never fails.

    Numbers are mm unless they say cm. A dash or plus after the number, or `>=` before it, means as large or
    larger. An empty cell is unknown without a note. 0, negative numbers, ranges, upper bounds and other texts
    are unknown with a note. lower_bound: another column says so.
    """
    plain = text.strip()
    if plain.lower() in _UNKNOWN:
        return Size()
    match = _SIZE.fullmatch(plain)
    if match is None:
        return Size(note=f"the size {plain[:40]!r} is none that can be read, and is taken as unknown")
    mm = float(match[2].replace(",", "."))
    if (match["unit"] or "").lower() == "cm":
        mm *= 10
    if not math.isfinite(mm) or mm <= 0:
        return Size(note=f"the size {plain[:40]!r} is not above 0, and is taken as unknown")
    if mm > MAX_MM:
        return Size(note=f"the size {plain[:40]!r} is above {MAX_MM:g} mm, and is taken as unknown")
    return Size(mm, bool(match["over"] or match["more"] or lower_bound))
