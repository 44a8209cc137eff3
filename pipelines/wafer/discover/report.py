"""The page of `suite wafer discover`: of every cluster its maps over each other, typical maps, and facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from markupsafe import Markup

from pipelines.wafer.discover.found import Discovered, Example, Map
from pipelines.wafer.pages import template
from pipelines.wafer.past import PastRun
from pipelines.wafer.report import BLOCK, fewer, points_per_map, safe_json

SHOWN = 12  # maps of a cluster that have a picture of their own
STACKED = 200  # maps of a cluster that are drawn over each other
SINGLES = 24  # maps of no cluster that are shown


def write(file: IO[str], result: Discovered, runs: Sequence[PastRun], settings: Mapping[str, Any]) -> None:
    """Write the page. Memory grows with the pictures that are on it, not with the runs."""
    wanted: list[Map] = []
    carried: list[str] = []
    for one in result.clusters:
        wanted += [each for each, _ in one.members[:STACKED]]
        wanted += [each.map for each in one.examples if each.map]
        carried += [each.drawing for each in one.examples if each.drawing]
    wanted += result.single[:SINGLES]
    pictures: dict[Any, str] = {**_pictures(wanted, runs), **dict(zip(carried, carried, strict=True))}
    places = {key: number for number, key in enumerate(pictures)}
    points = points_per_map(len(drawing) for drawing in pictures.values())
    context = {
        "result": result,
        "settings": settings,
        "shown": SHOWN,
        "stacked": STACKED,
        "singles": result.single[:SINGLES],
        "picture": lambda each: places[_key(each)],
        "title": _title,
        "file_name": _file_name,
        "blocks": _blocks(list(pictures.values()), points),
    }
    file.writelines(template("discover.html.j2").generate(context))


def _key(each: Map | Example) -> tuple[int, int] | str | None:
    if isinstance(each, Example):
        return _key(each.map) if each.map else each.drawing
    return each.run, each.place


def _title(each: Map) -> str:
    """The wafer; else the place in the file, which tells maps of one file apart in little room."""
    return each.wafer or (f"#{each.map} {Path(each.source).name}" if each.map else _file_name(each))


def _file_name(each: Map) -> str:
    return Path(each.source).name + (f" #{each.map}" if each.map else "")


def _pictures(wanted: Sequence[Map], runs: Sequence[PastRun]) -> dict[tuple[int, int], str]:
    """The packed maps, by number of the run and of the row."""
    keys = dict.fromkeys((each.run, each.place) for each in wanted)
    found: dict[tuple[int, int], str] = {}
    for number, run in enumerate(runs):
        last = max((place for of, place in keys if of == number), default=-1)
        for place, (_, drawing) in enumerate(islice(run.drawings(), last + 1)):
            if (number, place) in keys:
                found[number, place] = drawing
    return found


def _blocks(drawings: Sequence[str], points: int) -> list[Markup]:
    cut = [fewer(drawing, points) for drawing in drawings]
    return [safe_json("\n".join(cut[start : start + BLOCK])) for start in range(0, len(cut), BLOCK)]
