"""Heads that a reviewer marks: the steps by which they came to be, where marking begins, and what is saved.

Points are pairs x, y in px of the upright image in the file, rounded to hundredths. Free of Streamlit.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from apps.edits import Edits, Step
from apps.items import Item, Row, Run
from apps.store import Store
from pipelines.common.errors import UserError
from pipelines.crowd.count.files import POINTS, file_of
from pipelines.crowd.count.heads import place_heads
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.data.limits import MAX_POINTS

BEGIN, ADD, REMOVE = "begin", "add", "remove"
MAX_STEPS: Final = 10_000  # that a browser may send at once

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Marks:
    """points: as they are to be shown. own: whether the reviewer has taken a step on this item, so that they
    are not just where marking begins. origin: in words, where they begin if there is no step."""

    points: tuple[Point, ...]
    own: bool
    origin: str = ""


def marks_of(item: Item, store: Store, reviewer: str, listed: Sequence[Point]) -> Marks:
    """The heads of an item: of the reviewer's steps, else of the verdict that counts, else those that the run
    listed. A verdict with heads that came after the last step is newer than the steps."""
    steps, since = Edits(store).of(item.id, reviewer)
    detail, time = store.detail(item.id)
    if steps and not (detail and time > since):
        return Marks(tuple(after(steps)), own=True)
    if detail:
        return Marks(tuple(saved_points(detail)), own=False, origin="as saved")
    return Marks(tuple(listed), own=False, origin="as the model placed them")


def after(steps: Sequence[str]) -> list[Point]:
    """The points after steps, each a JSON list: `["begin", [[x, y], ...]]`, `["add", x, y]` or `["remove",
    x, y]`. To remove a point that is not there changes nothing."""
    last = max((number for number, text in enumerate(steps) if text.startswith(f'["{BEGIN}"')), default=None)
    begun = [] if last is None else json.loads(steps[last])[1]
    points: dict[int, Point] = {}
    places: dict[Point, list[int]] = {}
    for step in (
        *((ADD, x, y) for x, y in begun),
        *map(json.loads, steps[0 if last is None else last + 1 :]),
    ):
        kind, point = step[0], (float(step[1]), float(step[2]))
        if kind == ADD:
            number = len(points) and next(reversed(points)) + 1
            points[number] = point
            places.setdefault(point, []).append(number)
        elif places.get(point):
            del points[places[point].pop()]
    return list(points.values())


def checked_steps(sent: object, tab: object, width: int, height: int) -> list[Step]:
    """What a browser sent as steps of a window, each `[number, kind, ...]`. Raises ValueError."""
    if not isinstance(sent, list) or not isinstance(tab, str) or not tab or len(sent) > MAX_STEPS:
        raise ValueError("the page sent no steps")
    steps = []
    for one in sent:
        if not isinstance(one, list) or len(one) < 3 or type(one[0]) is not int or not 0 <= one[0] < 2**53:
            raise ValueError("the page sent a step without a number")
        number, kind, *rest = one
        if kind == BEGIN and isinstance(rest[0], list) and len(rest[0]) <= MAX_POINTS:
            edit: list[Any] = [kind, [_point(point, width, height) for point in rest[0]]]
        elif kind in (ADD, REMOVE):
            edit = [kind, *_point(rest, width, height)]
        else:
            raise ValueError("the page sent a step of an unknown kind")
        steps.append(Step(tab, number, json.dumps(edit, separators=(",", ":"))))
    return steps


def _point(given: object, width: int, height: int) -> Point:
    if isinstance(given, list) and len(given) == 2 and all(type(one) in (int, float) for one in given):
        x, y = float(given[0]), float(given[1])
        if 0 <= x <= width and 0 <= y <= height:
            return x, y
    raise ValueError("the page sent a head that is not in the image")


def as_detail(points: Sequence[Point], width: int, height: int) -> str:
    """What is kept with a verdict. width, height: of the image in px."""
    return json.dumps({"width": width, "height": height, "heads": points}, separators=(",", ":"))


def saved_points(detail: str) -> list[Point]:
    """The heads of a verdict; none if it has none. Raises UserError if it is damaged."""
    if not detail:
        return []
    try:
        return [(float(x), float(y)) for x, y in json.loads(detail)["heads"]]
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"the heads of this verdict are damaged: {error}") from error


def run_points(run: Run, row: Row) -> list[Point]:
    """The heads that the run listed for a row (`suite crowd count --points`); none if it did not.

    Raises UserError if the list is damaged.
    """
    frame = None if row["frame"] is None else int(row["frame"])
    path = file_of(run.path, POINTS, Path(str(row["name"])).name, frame)
    path = run.artefact(str(path.relative_to(run.path)))
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            points = [(float(one["x"]), float(one["y"])) for one in csv.DictReader(file)]
    except (OSError, LookupError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"the list of heads {path.name} is damaged: {error}") from error
    return rounded(point for point in points if math.isfinite(point[0]) and math.isfinite(point[1]))


def model_points(found: CountMap, width: int, height: int) -> list[Point]:
    """As many heads as the map counts, where it has most; width, height: of the image in the file, in px."""
    points, _ = place_heads(found)
    across, down = width / found.width, height / found.height
    return rounded((x * across, y * down) for x, y in points.tolist())


def rounded(points: Iterable[Point]) -> list[Point]:
    """To hundredths of a px, as the browser sends and compares them."""
    return [(round(x, 2), round(y, 2)) for x, y in points]
