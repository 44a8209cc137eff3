"""`suite wafer discover` and `monitor`, which go on from runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from suite import exits, options, terminal
from suite.folders import new_folder

MAX_LISTED = 20
MAX_NAMED = 3  # lots of a cluster that the table names


class By(StrEnum):
    """What one point of a chart stands for."""

    lot = "lot"
    step = "step"
    tool = "tool"
    time = "time"


class Limits(StrEnum):
    """How wide control limits are."""

    laney = "laney"
    standard = "standard"


Runs = Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders of suite wafer classify.")]
ResultOut = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The folder to write; default: a new one in runs.")
]


def discover(
    runs: Runs,
    out: ResultOut = None,
    min_size: Annotated[
        int, typer.Option("--min-size", min=2, metavar="N", help="The fewest maps that make a cluster.")
    ] = 5,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Which novel maps show the same pattern: clusters among the novel maps of one or more runs.

    Writes clusters.csv, clusters.json and report.html. Nothing is named: that is for you to do.
    """
    with exits.exits():
        from pipelines.wafer.discover import REPORT, summary
        from pipelines.wafer.discover import discover as run

        target = out or new_folder("wafer-discover")
        with terminal.progress(quiet) as progress:
            found = run(runs, out=target, min_size=min_size, overwrite=overwrite, progress=progress)
        if as_json:
            terminal.print_json({"out": str(target)} | summary(found))
            return
        for text in found.notes:
            terminal.note(text, quiet)
        if found.clusters:
            columns = ("cluster", "maps", "nearest class", "lots", "first", "last")
            rows = [_cluster_cells(one) for one in summary(found)["clusters"]]
            terminal.print_table(columns, lambda: rows, right=("cluster", "maps"))
            typer.echo()
        inside = found.novel - len(found.single)
        clusters = f"{len(found.clusters):,} {'cluster' if len(found.clusters) == 1 else 'clusters'}"
        typer.echo(f"{found.maps:,} maps: {found.novel:,} novel, {inside:,} of them in {clusters}")
        typer.echo(f"Report: {terminal.printable(str(target / REPORT))}")


def monitor(
    runs: Runs,
    by: Annotated[By, typer.Option("--by", help="What one point of a chart is; time: a day.")] = By.lot,
    baseline: Annotated[
        list[Path] | None,
        typer.Option("--baseline", metavar="RUN", help="A run that sets the limits; may be repeated."),
    ] = None,
    alarm: Annotated[
        bool, typer.Option("--alarm", help="End with exit code 4 if a point is out of its limits.")
    ] = False,
    limits: Annotated[
        Limits,
        typer.Option("--limits", help="standard p and u charts, or widened where points vary more (laney)."),
    ] = Limits.laney,
    sigma: Annotated[
        float, typer.Option("--sigma", min=0.5, max=10, help="Standard deviations from centre to limit.")
    ] = 3.0,
    min_maps: Annotated[
        int, typer.Option("--min-maps", min=1, metavar="N", help="Points of fewer maps are no excursion.")
    ] = 3,
    out: ResultOut = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Control charts of runs over time: shares of the classes, novelty rate, defect density.

    Writes points.csv, excursions.csv, monitor.json and report.html.
    """
    with exits.exits():
        from pipelines.wafer.monitor import REPORT, summary
        from pipelines.wafer.monitor import monitor as run

        target = out or new_folder("wafer-monitor")
        with terminal.progress(quiet) as progress:
            found = run(
                runs,
                out=target,
                by=by.value,
                baseline=baseline or (),
                width=limits.value,
                sigma=sigma,
                min_maps=min_maps,
                overwrite=overwrite,
                progress=progress,
            )
        excursions = summary(found)["excursions"]
        if as_json:
            terminal.print_json({"out": str(target)} | summary(found))
        else:
            for text in found.notes:
                terminal.note(text, quiet)
            _print_excursions(excursions, by)
            noun = "excursion" if len(excursions) == 1 else "excursions"
            typer.echo(f"{found.maps:,} maps in {len(found.charts):,} charts: {len(excursions):,} {noun}")
            typer.echo(f"Report: {terminal.printable(str(target / REPORT))}")
    if alarm and excursions:
        raise typer.Exit(exits.ALARM)


def _cluster_cells(one: dict[str, Any]) -> tuple[str, ...]:
    lots = list(one["lots"])
    named = ", ".join(lots[:MAX_NAMED]) + (
        f" and {len(lots) - MAX_NAMED} more" if len(lots) > MAX_NAMED else ""
    )
    nearest = next(iter(one["nearest_classes"]))
    return (str(one["cluster"]), str(one["size"]), nearest, named, one["first"][:10], one["last"][:10])


def _print_excursions(excursions: list[dict[str, Any]], by: By) -> None:
    if not excursions:
        return
    columns = (by.value, "step", "measure", "value", "side", "centre", "lower", "upper", "maps")
    rows = [
        (
            *(one["group"], one["step"], one["measure"], f"{one['value']:.4g}", one["side"]),
            *(f"{one[name]:.4g}" for name in ("centre", "lower", "upper")),
            str(one["maps"]),
        )
        for one in excursions[:MAX_LISTED]
    ]
    terminal.print_table(columns, lambda: rows, right=("value", "centre", "lower", "upper", "maps"))
    if len(excursions) > MAX_LISTED:
        typer.echo(f"and {len(excursions) - MAX_LISTED:,} more, in excursions.csv")
    typer.echo()
