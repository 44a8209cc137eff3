"""`suite wafer discover` and `monitor`, which go on from runs."""

from __future__ import annotations

from typing import Any

import typer

from suite import exits, options, terminal, wafer_options
from suite.folders import new_folder

MAX_LISTED = 20
MAX_NAMED = 3  # lots of a cluster that the table names


def discover(
    runs: wafer_options.Runs,
    out: wafer_options.ResultOut = None,
    min_size: wafer_options.MinSize = 5,
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
    runs: wafer_options.Runs,
    by: wafer_options.ByOption = wafer_options.By.lot,
    baseline: wafer_options.Baseline = None,
    alarm: wafer_options.Alarm = False,
    limits: wafer_options.LimitsOption = wafer_options.Limits.laney,
    sigma: wafer_options.Sigma = 3.0,
    min_maps: wafer_options.MinMaps = 3,
    out: wafer_options.ResultOut = None,
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


def _print_excursions(excursions: list[dict[str, Any]], by: wafer_options.By) -> None:
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
