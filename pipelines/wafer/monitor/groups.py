"""What one point of a chart stands for: the maps of a lot, a step, a tool or a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import pi
from pathlib import Path
from typing import Final, Literal

from pipelines.wafer.past import PastRun, Row, distinct_rows, timestamp
from pipelines.wafer.rows import found

By = Literal["lot", "step", "tool", "time"]
BY: Final[tuple[By, ...]] = ("lot", "step", "tool", "time")


@dataclass(slots=True)
class Group:
    """What one point of the charts stands for, such as a lot.

    found: maps by class, `novel` being one. area_cm2: of all wafers whose defects are counted.
    base: whether its maps are of the baseline.
    """

    name: str
    base: bool
    time: datetime | None = None
    maps: int = 0
    found: Counter[str] = field(default_factory=Counter)
    defects: int = 0
    area_cm2: float = 0.0

    def add(self, row: Row, when: datetime | None) -> None:
        if when and (self.time is None or when < self.time):
            self.time = when
        if row["decision"]:
            self.maps += 1
            self.found[found(row)] += 1
        if row["defects"] is not None and row["diameter_mm"]:
            self.defects += row["defects"]
            self.area_cm2 += pi * (row["diameter_mm"] / 20) ** 2


@dataclass(slots=True)
class Collected:
    """What runs hold. streams: by kind of map and step, the groups by name and by whether they are base.

    charted: how many maps are in a group; left_out: how many state none. stated: what any map states.
    """

    streams: dict[tuple[str, str], dict[tuple[str, bool], Group]] = field(default_factory=dict)
    charted: int = 0
    left_out: int = 0
    stated: set[By] = field(default_factory=set)


def collect(runs: Sequence[PastRun], based: set[Path], by: By) -> Collected:
    """The groups of the maps of the runs; those in the folders `based` are of the baseline."""
    result = Collected()
    for number, _, row in distinct_rows(runs):
        if row["status"] != "ok":
            continue
        when = timestamp(row)
        names = {one: _name(row, one, when) for one in BY}
        result.stated |= {one for one, name in names.items() if name}
        if not names[by]:
            result.left_out += 1
            continue
        stream = ("dies" if row.get("die_level") else "coordinates", "" if by == "step" else row["step"])
        base = runs[number].path.resolve() in based
        groups = result.streams.setdefault(stream, {})
        if (names[by], base) not in groups:
            groups[names[by], base] = Group(names[by], base)
        groups[names[by], base].add(row, when)
        result.charted += 1
    return result


def _name(row: Row, by: By, when: datetime | None) -> str:
    if by == "time":
        return when.date().isoformat() if when else ""
    return str(row.get(by) or "")


def ordered(groups: Mapping[tuple[str, bool], Group]) -> list[Group]:
    """The baseline first, then by time; groups without a time come last, as they were read."""
    return sorted(groups.values(), key=lambda one: (not one.base, one.time is None, one.time or datetime.min))
