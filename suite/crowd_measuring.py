"""`suite crowd evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.errors import UserError
from suite import exits, options, settings, terminal
from suite.crowd_counting import NetworkOption

if TYPE_CHECKING:
    from pipelines.crowd.evaluate import Evaluation

MAX_LISTED = 20
COLUMNS = ("metric", "value", "95% interval", "unit", "better")


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Images with marked heads: a folder in a known layout, or a CSV or COCO file.",
            exists=True,
        ),
    ],
    model: options.Model = None,
    split: Annotated[
        str,
        typer.Option("--split", metavar="NAME", help="Only these images, such as test. Default: all."),
    ] = "",
    points: Annotated[
        bool,
        typer.Option("--points/--no-points", help="Also measure where heads are placed, or leave that out."),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.csv", help="Also write one row per image to a CSV file."),
    ] = None,
    network: NetworkOption = None,
    overwrite: options.Overwrite = False,
    engine: options.EngineOption = None,
    device: options.Device = None,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """How far a model's counts are off: MAE, RMSE, NAE, GAME, intervals, and where heads are.

    Counts the images of a data set as suite crowd count does, and compares with the marked heads.
    """
    with exits.exits():
        from pipelines.crowd.count.config import PredictConfig

        given = {
            "model": model,
            **options.computing(engine, device, seed),
            "network": network and network.value,
        }
        config = settings.resolve(PredictConfig, config_file, sets or (), given)
        if out is not None and out.exists() and not overwrite:
            raise UserError(f"{out} exists; name another file, or replace it with --overwrite")
        if out is not None and not out.absolute().parent.is_dir():
            raise UserError(f"{out} cannot be written: there is no folder {out.parent}")
        with terminal.progress(quiet) as progress:
            progress("loading the model")
            from pipelines.crowd.count.predict import Predictor
            from pipelines.crowd.evaluate import evaluate as run

            found = run(data, Predictor.load(config), split=split, points=points, progress=progress)
        for text in found.notes:
            terminal.note(text, quiet)
        if out is not None:
            from pipelines.common.files import replacing

            with replacing(out) as file:
                found.write_csv(file)
        failed = [row for row in found.rows if row["status"] != "ok"]
        if as_json:
            terminal.print_json(found.document())
        else:
            _print(found, failed)
    if len(failed) == len(found.rows):
        terminal.error("no image could be measured; the reasons are in the results")
        raise typer.Exit(exits.USAGE)
    if failed:
        raise typer.Exit(exits.SOME_FAILED)


def _print(found: Evaluation, failed: list[dict[str, Any]]) -> None:
    from pipelines.crowd.metrics import METRICS, localisation_metrics

    summary = found.summary()
    sigmas = sorted({sigma for one in found.scores for sigma in one.hits})
    known = {one.name: one for one in (*METRICS, *(one for at in sigmas for one in localisation_metrics(at)))}
    rows = []
    for name, one in summary["metrics"].items():
        ends = "" if one["low"] is None else f"{_short(one['low'])} to {_short(one['high'])}"
        metric = known.get(name)
        shown = (metric.title, metric.unit, metric.better) if metric else (name.replace("_", " "), "", "")
        rows.append((shown[0], _short(one["value"]), ends, *shown[1:]))
    if rows:
        terminal.print_table(COLUMNS, lambda: rows, right=COLUMNS[1:3], count=len(rows))
    if failed:
        typer.echo("\nFailed:")
        for row in failed[:MAX_LISTED]:
            typer.echo(terminal.printable(f"  {row['name']}: {row['error']}"))
        if len(failed) > MAX_LISTED:
            typer.echo(f"  and {len(failed) - MAX_LISTED:,} more, in the rows of --out or --json")
    images = summary["images"]
    typer.echo(
        f"\n{images:,} {'image' if images == 1 else 'images'} with {summary['people']:,.0f} heads"
        + (f", {len(failed):,} failed" if failed else "")
    )


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
