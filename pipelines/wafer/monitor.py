"""Control charts of runs: shares of the classes, novelty rate and defect density, and excursions."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import pi
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.hardware import suite_version
from pipelines.wafer import monitor_report
from pipelines.wafer.control import Limits, p_chart, u_chart
from pipelines.wafer.past import PastRun, Row, distinct_rows, open_runs, result_folder, timestamp
from pipelines.wafer.rows import found

By = Literal["lot", "step", "tool", "time"]
Width = Literal["laney", "standard"]
SUMMARY, POINTS, EXCURSIONS, REPORT = "monitor.json", "points.csv", "excursions.csv", "report.html"
NOVELTY, DENSITY = "novelty rate", "defect density"
COLUMNS: Final = (
    *("kind", "step", "group", "time", "measure", "maps", "count", "size", "value"),
    *("centre", "lower", "upper", "spread", "side"),
)


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


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a chart. value: count / size; size: maps, or cm²; side: 1 above, -1 below its limits, else
    0.
    """

    group: str
    time: datetime | None
    maps: int
    count: float
    size: float
    value: float
    lower: float
    upper: float
    side: int
    base: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure of one stream of maps over its groups.

    kind: `coordinates` or `dies`. step: empty if the files do not state it, or if the groups are steps.
    measure: NOVELTY, DENSITY or the name of a class. spread: see `pipelines.wafer.control`.
    """

    kind: str
    step: str
    measure: str
    centre: float
    spread: float
    points: tuple[Point, ...]

    @property
    def excursions(self) -> list[Point]:
        return [point for point in self.points if point.side]


@dataclass(frozen=True, slots=True)
class Monitored:
    """What `monitor` found and wrote. notes: what the charts do not show, in words."""

    out: Path
    by: By
    maps: int
    groups: int
    charts: tuple[Chart, ...]
    notes: tuple[str, ...]

    @property
    def excursions(self) -> list[tuple[Chart, Point]]:
        """Every excursion with its chart, the furthest out of its limits first."""
        pairs = [(chart, point) for chart in self.charts for point in chart.excursions]
        return sorted(pairs, key=lambda pair: -_how_far(*pair))


def monitor(
    runs: Sequence[Path],
    *,
    out: Path,
    by: By = "lot",
    baseline: Sequence[Path] = (),
    width: Width = "laney",
    sigma: float = 3.0,
    min_maps: int = 3,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Monitored:
    """Chart the runs and write `points.csv`, `excursions.csv`, `monitor.json` and `report.html` to `out`.

    Maps of die results and of coordinates are charted apart, and so is each process step unless the points
    are steps. Groups come in the order of their earliest map; without times, as read.

    baseline: runs that set centre lines and limits; their points are drawn and never an excursion. Without
        them all points set the limits. width: `standard` limits, or widened after Laney; sigma: how many
        standard deviations away they are. min_maps: groups of fewer classified maps are drawn, and never an
        excursion. Raises UserError if a folder is no run, or if there is nothing to chart.
    """
    opened = open_runs([*baseline, *runs])
    based = {path.resolve() for path in baseline}
    both = [str(path) for path in runs if path.resolve() in based]
    if both:
        raise UserError(f"{both[0]} is both a run to watch and the baseline of it")
    result_folder(out, SUMMARY, overwrite=overwrite)
    progress("reading the runs")
    streams, left_out, maps = _collect(opened, based, by)
    notes = _run_notes(opened)
    if left_out:
        noun = "time" if by == "time" else by
        notes.append(f"{left_out:,} maps are in no chart, since their files state no {noun}")
    if not streams:
        why = (
            f"no map of them states a {by}; choose another --by"
            if left_out
            else "they hold no classified map"
        )
        raise UserError(f"there is nothing to chart in {', '.join(str(run.path) for run in opened)}: {why}")
    charts: list[Chart] = []
    for (kind, step), groups in sorted(streams.items()):
        charts += _charts(kind, step, _ordered(groups), bool(baseline), width, sigma, min_maps, notes)
    points = sum(len(stream) for stream in streams.values())
    result = Monitored(out, by, maps, points, tuple(charts), tuple(notes))
    settings = {
        "runs": [str(path) for path in runs],
        "baseline": [str(path) for path in baseline],
        "by": by,
        "limits": width,
        "sigma": sigma,
        "min_maps": min_maps,
    }
    _write(result, settings)
    return result


def _collect(
    runs: Sequence[PastRun], based: set[Path], by: By
) -> tuple[dict[tuple[str, str], dict[tuple[str, bool], Group]], int, int]:
    """Groups by stream and by name, how many maps state no group, and how many are charted."""
    streams: dict[tuple[str, str], dict[tuple[str, bool], Group]] = {}
    left_out = charted = 0
    for number, _, row in distinct_rows(runs):
        if row["status"] != "ok":
            continue
        when = timestamp(row)
        name = when.date().isoformat() if by == "time" and when else str(row.get(by, "") or "")
        if not name:
            left_out += 1
            continue
        stream = ("dies" if row.get("die_level") else "coordinates", "" if by == "step" else row["step"])
        base = runs[number].path.resolve() in based
        groups = streams.setdefault(stream, {})
        if (name, base) not in groups:
            groups[name, base] = Group(name, base)
        groups[name, base].add(row, when)
        charted += 1
    return streams, left_out, charted


def _ordered(groups: Mapping[tuple[str, bool], Group]) -> list[Group]:
    """The baseline first, then by time; groups without a time come last, as they were read."""
    return sorted(groups.values(), key=lambda one: (not one.base, one.time is None, one.time or datetime.min))


def _charts(
    kind: str,
    step: str,
    groups: list[Group],
    with_baseline: bool,
    width: Width,
    sigma: float,
    min_maps: int,
    notes: list[str],
) -> Iterator[Chart]:
    where = f"{kind}{f', step {step}' if step else ''}"
    if with_baseline and not any(group.base for group in groups):
        notes.append(f"the baseline has no maps of {where}: all its points set the limits")
        with_baseline = False
    names = sorted({name for group in groups for name in group.found} - {"novel"})
    for measure in (NOVELTY, DENSITY, *names):
        is_density = measure == DENSITY
        kept = [group for group in groups if (group.area_cm2 if is_density else group.maps) > 0]
        base = np.array([group.base or not with_baseline for group in kept], bool)
        if not kept or not base.any():
            continue
        name = "novel" if measure == NOVELTY else measure
        count = np.array([one.defects if is_density else one.found[name] for one in kept], np.float64)
        size = np.array([one.area_cm2 if is_density else one.maps for one in kept], np.float64)
        draw = u_chart if is_density else p_chart
        limits = draw(count, size, base=base, sigma=sigma, laney=width == "laney")
        points = _points(kept, count, size, limits, min_maps, with_baseline)
        yield Chart(kind, step, measure, limits.centre, limits.spread, tuple(points))
    if len(groups) < 2:
        notes.append(
            f"{where}: a single group has nothing to be compared with; name more runs, or a --baseline"
        )


def _points(
    groups: Iterable[Group], count: Any, size: Any, limits: Limits, min_maps: int, with_baseline: bool
) -> Iterator[Point]:
    for at, (group, side) in enumerate(zip(groups, limits.side.tolist(), strict=True)):
        tested = group.maps >= min_maps and not (with_baseline and group.base)
        yield Point(
            group=group.name,
            time=group.time,
            maps=group.maps,
            count=float(count[at]),
            size=float(size[at]),
            value=float(limits.value[at]),
            lower=float(limits.lower[at]),
            upper=float(limits.upper[at]),
            side=side if tested else 0,
            base=group.base,
        )


def _how_far(chart: Chart, point: Point) -> float:
    """How far a point lies from the centre line, in distances of the limit that it is out of."""
    reach = abs((point.upper if point.side > 0 else point.lower) - chart.centre)
    return abs(point.value - chart.centre) / reach if reach else float("inf")


def _run_notes(runs: Sequence[PastRun]) -> list[str]:
    return [
        f"the run {run.path} did not finish; the rows that it has are charted"
        for run in runs
        if run.record.get("status") != "finished"
    ]


def _write(result: Monitored, settings: Mapping[str, Any]) -> None:
    with replacing(result.out / POINTS) as file:
        _write_table(file, ((chart, point) for chart in result.charts for point in chart.points))
    with replacing(result.out / EXCURSIONS) as file:
        _write_table(file, result.excursions)
    with replacing(result.out / REPORT) as file:
        monitor_report.write(file, result, settings)
    with replacing(result.out / SUMMARY) as file:
        json.dump(summary(result) | {"settings": settings, "suite": suite_version()}, file, indent=2)
        file.write("\n")


def summary(result: Monitored) -> dict[str, Any]:
    """Counts, notes, centre lines and excursions as JSON holds them."""
    return {
        "maps": result.maps,
        "by": result.by,
        "groups": result.groups,
        "notes": list(result.notes),
        "charts": [
            {
                **{name: value for name, value in asdict(chart).items() if name != "points"},
                "points": len(chart.points),
                "excursions": len(chart.excursions),
            }
            for chart in result.charts
        ],
        "excursions": [_cells(chart, point) for chart, point in result.excursions],
    }


def _write_table(file: Any, pairs: Iterable[tuple[Chart, Point]]) -> None:
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    for chart, point in pairs:
        table.writerow(_cells(chart, point))


def _cells(chart: Chart, point: Point) -> dict[str, Any]:
    numbers = {name: float(f"{getattr(point, name):.7g}") for name in ("value", "lower", "upper")}
    return {
        "kind": chart.kind,
        "step": chart.step,
        "group": point.group,
        "time": point.time.isoformat() if point.time else "",
        "measure": chart.measure,
        "maps": point.maps,
        "count": int(point.count),
        "size": float(f"{point.size:.7g}"),
        **numbers,
        "centre": float(f"{chart.centre:.7g}"),
        "spread": float(f"{chart.spread:.7g}"),
        "side": {1: "above", -1: "below", 0: ""}[point.side],
    }
