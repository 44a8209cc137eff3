"""`suite polyp evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite import exits, options, results, settings, terminal
from suite.folders import run_folder
from suite.polyp_sizing import (
    Calibration,
    FinderOption,
    FramesPerPolyp,
    IgnoreLabels,
    exit_code,
    load_predictor,
)

if TYPE_CHECKING:
    from pipelines.polyp.evaluate import Evaluation

COLUMNS = ("metric", "value", "95% interval", "median predictor", "unit", "better")


def evaluate(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA", help="Data sets with polyps of known size.", exists=True),
    ],
    model: options.Model = None,
    out: options.Out = None,
    finder: FinderOption = None,
    ignore_labels: IgnoreLabels = False,
    calibration: Calibration = None,
    frames_per_polyp: FramesPerPolyp = None,
    layout: options.Layout = None,
    keep_trained: Annotated[
        bool,
        typer.Option(
            "--keep-trained",
            help="Also measure polyps that the model was trained on; they are marked, and scores are worth"
            " little.",
        ),
    ] = False,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    engine: options.EngineOption = None,
    device: options.Device = None,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """How far a model's sizes are off, polyp by polyp and frame by frame, beside the median predictor.

    Sizes the polyps of known size as suite polyp size does, and writes the same run folder, and metrics.json.
    """
    with exits.exits():
        from pipelines.polyp.evaluate import EvaluateConfig

        given = {
            **options.computing(engine, device, seed),
            "model": model,
            "finder": finder,
            "ignore_labels": ignore_labels or None,
            "calibration": calibration,
            "frames_per_polyp": frames_per_polyp,
            "layout": layout,
            "keep_trained": keep_trained or None,
        }
        config = settings.resolve(EvaluateConfig, config_file, sets or (), given)
        target = run_folder(out, "polyp", resume=resume, overwrite=overwrite)
    hint = f"the sizes so far are saved: repeat the command with --out {target} --resume to go on"
    with exits.exits(when_interrupted=hint):
        with terminal.progress(quiet) as progress:
            predictor = load_predictor(config, progress)
            from pipelines.polyp.evaluate import evaluate as run

            found = run(
                data,
                predictor=predictor,
                config=config,
                out=target,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
                note=lambda text: terminal.note(text, quiet),
            )
        if as_json:
            left_out = [{"polyp": id, "reason": reason} for id, reason in found.left_out]
            more = {"notes": found.summary.notes, "scores": found.scores, "left_out": left_out}
            results.print_json(found.summary, **more)
        else:
            _print(found)
        code = exit_code(found.summary)
    raise typer.Exit(code)


def _print(found: Evaluation) -> None:
    """Scores of polyps, then of frames, what failed, and the counts."""
    for level, title in (("polyp", "Polyps"), ("frame", "Frames")):
        table = found.scores.get(level)
        if table and table["metrics"]:
            used, items = table["counts"]["used"], table["counts"]["items"]
            typer.echo(f"{title}: {used:,} with a size, of {items:,}")
            _print_table(table)
            typer.echo()
    results.print_failures(found.summary.out)
    trained = found.scores.get("trained_on", 0)
    if trained:
        terminal.error(f"the model was trained on {trained:,} of these polyps: these scores say little")
    counts = found.summary.counts
    typer.echo(
        f"{counts['rows']:,} {'polyp' if counts['rows'] == 1 else 'polyps'}: {counts['abstained']:,} without"
        f" a size, {counts['indeterminate']:,} near a threshold"
        + (f", {counts['failed']:,} failed" if counts["failed"] else "")
        + (f"; {len(found.left_out):,} left out" if found.left_out else "")
    )
    results.print_where(found.summary.report, found.summary.out if counts["ok"] else None)


def _print_table(table: dict[str, Any]) -> None:
    from pipelines.polyp.metrics import METRICS

    rows = []
    for metric in METRICS:
        one = table["metrics"].get(metric.name)
        if one is None or metric.name == "median_predictor_mae":
            continue
        ends = "" if one["low"] is None else f"{_short(one['low'])} to {_short(one['high'])}"
        beside = table["baseline"].get(metric.name)
        rows.append((metric.title, _short(one["value"]), ends, _short(beside), metric.unit, metric.better))
    terminal.print_table(COLUMNS, lambda: rows, right=COLUMNS[1:4], count=len(rows))


def _short(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6):.3g}"
