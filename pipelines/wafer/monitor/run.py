"""The whole monitoring, from runs to tables and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.hardware import suite_version
from pipelines.wafer.monitor import report
from pipelines.wafer.monitor.charts import Chart, Width, charts_of
from pipelines.wafer.monitor.found import Monitored, summary, write_table
from pipelines.wafer.monitor.groups import BY, By, Collected, collect, ordered
from pipelines.wafer.past import check_result_folder, open_runs

SUMMARY, POINTS, EXCURSIONS, REPORT = "monitor.json", "points.csv", "excursions.csv", "report.html"
MAX_NAMED = 3


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
    check_result_folder(out, SUMMARY, overwrite=overwrite)
    progress("reading the runs")
    collected = collect(opened, based, by)
    if not collected.streams:
        named = ", ".join(str(run.path) for run in opened)
        raise UserError(f"there is nothing to chart in {named}: {_why_nothing(collected, by)}")
    notes = [
        f"the run {run.path} did not finish; the rows that it has are charted"
        for run in opened
        if run.record.get("status") != "finished"
    ]
    if collected.left_out:
        maps = "map is" if collected.left_out == 1 else "maps are"
        notes.append(f"{collected.left_out:,} {maps} in no chart, since no {by} is stated")
    charts: list[Chart] = []
    alone: list[str] = []
    for (kind, step), of in sorted(collected.streams.items()):
        groups = ordered(of)
        where = f"{kind}, step {step}" if step else kind
        with_baseline = any(group.base for group in groups)
        if baseline and not with_baseline:
            notes.append(f"the baseline has no maps of {where}: all its points set the limits")
        if len(groups) < 2:
            alone.append(where)
        charts += charts_of(
            kind, step, groups, with_baseline=with_baseline, width=width, sigma=sigma, min_maps=min_maps
        )
    if alone:
        notes.append(_alone(alone, by))
    points = sum(len(of) for of in collected.streams.values())
    result = Monitored(out, by, collected.charted, points, tuple(charts), tuple(notes))
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


def _why_nothing(collected: Collected, by: By) -> str:
    if not collected.left_out:
        return "they hold no classified map"
    stated = [one for one in BY if one in collected.stated]
    instead = f"--by {' or '.join(stated)} would do" if stated else f"nor any other of {', '.join(BY)}"
    return f"no map of them states a {by}; {instead}"


def _alone(streams: Sequence[str], by: By) -> str:
    named = "; ".join(streams[:MAX_NAMED])
    more = f" and {len(streams) - MAX_NAMED} more" if len(streams) > MAX_NAMED else ""
    point = "day" if by == "time" else by
    return f"a single {point} has nothing to be compared with: {named}{more}; name more runs, or a --baseline"


def _write(result: Monitored, settings: Mapping[str, Any]) -> None:
    result.out.mkdir(parents=True, exist_ok=True)
    with replacing(result.out / POINTS) as file:
        write_table(file, ((chart, point) for chart in result.charts for point in chart.points))
    with replacing(result.out / EXCURSIONS) as file:
        write_table(file, result.excursions)
    with replacing(result.out / REPORT) as file:
        report.write(file, result, settings)
    with replacing(result.out / SUMMARY) as file:
        json.dump(summary(result) | {"settings": settings, "suite": suite_version()}, file, indent=2)
        file.write("\n")
