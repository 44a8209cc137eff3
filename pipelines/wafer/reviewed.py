"""Reviewed labels: the CSV that a review writes, and the maps that it speaks of."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.runs import RUN
from pipelines.common.tables import plain
from pipelines.common.whole import whole_number
from pipelines.wafer.data import FailedMap, Limits, WaferMap, read_file
from pipelines.wafer.data.limits import DEFAULT
from pipelines.wafer.rows import item_hash

COLUMNS: Final = (
    *("source", "map", "item", "prediction", "novelty", "verdict", "label"),
    *("note", "reviewer", "time", "model"),
)
_NEEDED: Final = ("source", "map", "item", "prediction", "verdict", "label")
_LABEL: Final = re.compile(r"[\w \-]{1,60}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One reviewed map: its file, its place in it, the hash of what was classified, and its class."""

    source: str
    map: int
    item: str
    label: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not learnt from, with the reason."""

    source: str
    map: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Places:
    """Where files are looked for: from `start`, only `within` these files and folders. named: in words."""

    start: Path
    within: tuple[Path, ...]
    named: str


def read_review(path: Path) -> tuple[list[Verdict], list[LeftOut], int]:
    """The verdicts of a review, the rows that cannot be taken, and how many are `unsure`.

    Two rows for one map, or for maps of one content, with different labels conflict: none of them is taken.
    Raises UserError if the file cannot be read or lacks a column.
    """
    taken: list[Verdict] = []
    left_out: list[LeftOut] = []
    unsure = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in _NEEDED if name not in (table.fieldnames or ())]
            if missing:
                raise UserError(f"{path} is no review: it lacks the columns {', '.join(missing)}")
            for row in table:
                cells = {name: plain((row[name] or "").strip()) for name in _NEEDED}
                if cells["verdict"] == "unsure":
                    unsure += 1
                    continue
                found = _verdict(cells)
                if isinstance(found, Verdict):
                    taken.append(found)
                else:
                    left_out.append(LeftOut(cells["source"], cells["map"], f"line {table.line_num}: {found}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"the review {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    agreed, conflicts = _agreed(taken)
    return agreed, left_out + conflicts, unsure


def find_maps(
    verdicts: Sequence[Verdict],
    review: Path,
    root: Path | None,
    diameter_mm: float,
    limits: Limits = DEFAULT,
) -> tuple[list[tuple[WaferMap, Verdict]], list[LeftOut]]:
    """The map of each verdict, read again, and the verdicts whose map is not there or has changed.

    Files are looked for from `root`, and within it alone. Without it they are looked for from the folder that
    the run was started in, within the run's inputs, if the review lies in its run folder; else from where we
    are, within that folder and the review's.
    """
    places = _places(review, root)
    found: list[tuple[WaferMap, Verdict]] = []
    left_out: list[LeftOut] = []
    by_source: dict[str, dict[int, Verdict]] = {}
    for verdict in verdicts:
        by_source.setdefault(verdict.source, {})[verdict.map] = verdict
    for source, wanted in by_source.items():
        for wafer, verdict, why in _maps_of(source, places, wanted, diameter_mm, limits):
            if wafer is None:
                left_out.append(LeftOut(verdict.source, str(verdict.map), why))
            else:
                found.append((wafer, verdict))
    return found, left_out


def _maps_of(
    source: str, places: _Places, wanted: dict[int, Verdict], diameter_mm: float, limits: Limits
) -> Iterator[tuple[WaferMap | None, Verdict, str]]:
    wanted = dict(wanted)
    path = places.start / source
    why = _why_not(path, places)
    if not why:
        for item in read_file(path, assumed_diameter_mm=diameter_mm, limits=limits):
            verdict = wanted.pop(item.position, None)
            if verdict is None:
                continue
            if isinstance(item, FailedMap):
                yield None, verdict, f"cannot be read: {item.error}"
            elif item_hash(item) != verdict.item:
                yield None, verdict, "is not the map that was reviewed: the file has changed since"
            elif not item.locatable:
                yield None, verdict, "its defects have no positions"
            else:
                yield item, verdict, ""
            if not wanted:
                return
    for verdict in wanted.values():
        yield None, verdict, why or "the file has no such map"


def _why_not(path: Path, places: _Places) -> str:
    """Why the file may not be read, or is not there; empty if it can be."""
    try:
        target = path.resolve()
        if not any(target.is_relative_to(one) for one in places.within):
            return f"lies outside {places.named}"
        return "" if path.exists() else f"there is no file {path}"
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL in the name, or a link to itself
        return f"cannot be looked for: {getattr(error, 'strerror', None) or error}"


def _verdict(cells: dict[str, str]) -> Verdict | str:
    verdict, label, prediction = cells["verdict"], cells["label"], cells["prediction"]
    if verdict not in ("accept", "relabel"):
        return f"the verdict must be accept, relabel or unsure, not {verdict!r}"
    if verdict == "accept":
        label = label or prediction
        if label != prediction:
            return f"{prediction!r} is accepted, but the label is {label!r}"
    if verdict == "relabel" and not _LABEL.fullmatch(label):
        return f"a label has 1 to 60 letters, digits, spaces, _ or -, unlike {label!r}"
    if not label:
        return "there is no prediction to accept"
    number = whole_number(cells["map"])
    if number is None or not cells["source"] or not cells["item"]:
        return "source, map and item must name a map"
    return Verdict(cells["source"], number, cells["item"], label)


def _agreed(verdicts: Sequence[Verdict]) -> tuple[list[Verdict], list[LeftOut]]:
    labels: dict[tuple[str, ...], set[str]] = {}
    for one in verdicts:
        for key in _keys(one):
            labels.setdefault(key, set()).add(one.label)
    agreed: dict[str, Verdict] = {}
    left_out: list[LeftOut] = []
    for one in verdicts:
        given = set().union(*(labels[key] for key in _keys(one)))
        if len(given) > 1:
            why = f"conflicts: it is labelled {' and '.join(sorted(given))}"
            left_out.append(LeftOut(one.source, str(one.map), why))
        else:
            agreed.setdefault(one.item, one)  # copies of one map teach nothing more
    return list(agreed.values()), left_out


def _keys(one: Verdict) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (one.source, str(one.map)), (one.item,)


def _places(review: Path, root: Path | None) -> _Places:
    if root is not None:
        return _Places(root, _resolved([root]), str(root))
    record = _record_beside(review)
    if record is None:
        return _Places(Path(), _resolved([Path(), review.parent]), "the folder you are in; see --root")
    folder, inputs = record.get("folder"), record.get("inputs")
    start = Path(folder) if isinstance(folder, str) else Path()
    named = [start / one for one in inputs if isinstance(one, str)] if isinstance(inputs, list) else [start]
    return _Places(start, _resolved(named), "the inputs of the run; see --root")


def _resolved(paths: Sequence[Path]) -> tuple[Path, ...]:
    found = []
    for path in paths:
        with suppress(OSError, ValueError, RuntimeError):  # what cannot be found allows nothing
            found.append(path.resolve())
    return tuple(found)


def _record_beside(review: Path) -> dict[str, Any] | None:
    """What `run.json` says, if the review lies in a run folder."""
    try:
        record = json.loads((review.parent / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
