"""The page of `suite wafer discover`: every cluster with its maps over each other, its surest maps and its
facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from markupsafe import Markup

from pipelines.wafer.pages import template
from pipelines.wafer.past import PastRun
from pipelines.wafer.report import BLOCK, fewer, points_per_map, safe_json

if TYPE_CHECKING:
    from pipelines.wafer.discover import Discovered, Map

SHOWN = 12  # maps of a cluster that have a picture of their own
STACKED = 200  # maps of a cluster that are drawn over each other
SINGLES = 24  # maps of no cluster that are shown


def write(file: IO[str], result: Discovered, runs: Sequence[PastRun], settings: Mapping[str, Any]) -> None:
    """Write the page. Memory grows with the pictures that are on it, not with the runs."""
    wanted: list[Map] = []
    for one in result.clusters:
        wanted += [each for each, _ in one.members[:STACKED]]
        wanted += [each for each, _ in one.examples]
    wanted += result.single[:SINGLES]
    pictures = _pictures(wanted, runs)
    places = {key: number for number, key in enumerate(pictures)}
    points = points_per_map(len(drawing) for drawing in pictures.values())
    context = {
        "result": result,
        "settings": settings,
        "shown": SHOWN,
        "stacked": STACKED,
        "singles": result.single[:SINGLES],
        "picture": lambda each: places[each.run, each.place],
        "title": lambda each: each.wafer or _file_name(each),
        "file_name": _file_name,
        "blocks": _blocks(list(pictures.values()), points),
    }
    file.writelines(template("discover.html.j2").generate(context))


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
