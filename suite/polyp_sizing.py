"""`suite polyp size`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite import exits, options, results, settings, terminal
from suite.folders import run_folder

if TYPE_CHECKING:
    from pipelines.common.runner import Runner
    from pipelines.common.summary import RunSummary
    from pipelines.polyp.size.config import SizeConfig
    from pipelines.polyp.size.predict import Predictor

COLUMNS = ("polyp", "frames", "used", "mm", "interval", "<=5", ">=10", "decision", "scale", "status")
WHERE = "Where the lesions are"

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT",
        help="Data sets, folders of frames (one polyp each), images, videos (one polyp each).",
        exists=True,
    ),
]
Boxes = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        metavar="FILE|FOLDER",
        help="A CSV of boxes (image or frame, x0, y0, x1, y1, polyp), or a folder of VOC annotations.",
        rich_help_panel=WHERE,
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        metavar="FOLDER",
        help="Images of the same names as the frames, light on the polyp.",
        rich_help_panel=WHERE,
    ),
]
FinderOption = Annotated[
    str | None,
    typer.Option(
        "--finder",
        metavar="NAME|FOLDER",
        help="The model that finds lesions in frames without a box or a mask; none for none. Default: the"
        " bundled one.",
        rich_help_panel=WHERE,
    ),
]
IgnoreLabels = Annotated[
    bool,
    typer.Option(
        "--ignore-labels",
        help="Let the finder find the lesions of data sets with boxes, too.",
        rich_help_panel=WHERE,
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option("--calibration", metavar="FILE", help="The camera of all frames, a JSON file."),
]
FramesPerPolyp = Annotated[
    int | None,
    typer.Option(
        "--frames-per-polyp",
        metavar="N",
        help="Look at so many frames of each polyp, at most, spread over its time. Default: 100.",
    ),
]


def size(
    inputs: Paths,
    model: options.Model = None,
    out: options.Out = None,
    boxes: Boxes = None,
    masks: Masks = None,
    finder: FinderOption = None,
    ignore_labels: IgnoreLabels = False,
    calibration: Calibration = None,
    frames_per_polyp: FramesPerPolyp = None,
    layout: options.Layout = None,
    resume: options.Resume = False,
    retry_failed: options.RetryFailed = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    engine: options.EngineOption = None,
    device: options.Device = None,
    runner: options.RunnerOption = options.RunnerName.local,
    workers: options.Workers = None,
    ray_address: options.RayAddress = None,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """How large polyps are in mm, how sure that is, and which frames say so. For research.

    Writes a run folder with results.csv, a row per polyp; frames.csv, a row per frame; results.jsonl,
    run.json, report.html, and pictures of some frames.
    """
    with exits.exits():
        from pipelines.polyp.size.config import SizeConfig

        given = {
            **options.computing(engine, device, seed),
            "model": model,
            "boxes": boxes,
            "masks": masks,
            "finder": finder,
            "ignore_labels": ignore_labels or None,
            "calibration": calibration,
            "frames_per_polyp": frames_per_polyp,
            "layout": layout,
        }
        config = settings.resolve(SizeConfig, config_file, sets or (), given)
        where = options.runner(runner, workers, ray_address)
        target = run_folder(out, "polyp", resume=resume, overwrite=overwrite, retry_failed=retry_failed)
        if dry_run:
            _dry_run(inputs, target, config, as_json, quiet)
            return
        code = _size(inputs, target, config, where, resume, retry_failed, overwrite, as_json, quiet)
    raise typer.Exit(code)


def load_predictor(config: Any, progress: Any) -> Predictor:
    """The models that a config names. Raises UserError."""
    progress("loading the model")
    from pipelines.polyp.size.predict import Predictor

    return Predictor.load(config)


def _size(
    inputs: list[Path],
    target: Path,
    config: SizeConfig,
    runner: Runner,
    resume: bool,
    retry_failed: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    hint = f"the sizes so far are saved: repeat the command with --out {target} --resume to go on"
    with exits.exits(when_interrupted=hint), terminal.progress(quiet) as progress:
        predictor = load_predictor(config, progress)
        from pipelines.polyp.size.run import size as run

        summary = run(
            inputs,
            predictor=predictor,
            config=config,
            out=target,
            resume=resume,
            retry_failed=retry_failed,
            overwrite=overwrite,
            progress=progress,
            note=lambda text: terminal.note(text, quiet),
            runner=runner,
        )
    if as_json:
        results.print_json(summary, notes=summary.notes)
    else:
        print_rows(summary, quiet)
    return exit_code(summary)


def exit_code(summary: RunSummary) -> int:
    """0, or 3 if some polyps failed, or 2 if all did."""
    if not summary.counts["ok"]:
        terminal.error("no polyp could be measured; the reasons are in the results")
        return exits.USAGE
    return exits.SOME_FAILED if summary.counts["failed"] else exits.OK


def print_rows(summary: RunSummary, quiet: bool) -> None:
    """A row per polyp, the reasons of what failed or got no size, notes, and the counts."""
    counts = summary.counts
    terminal.print_table(
        COLUMNS,
        lambda: (_cells(row) for row in results.rows(summary.out)),
        right=COLUMNS[1:7],
        tone=lambda cells: "red" if cells[-1] == "failed" else "",
        count=counts["rows"],
    )
    results.print_failures(summary.out)
    notes = list(summary.notes)
    for row in results.rows(summary.out):
        reason = [row["reason"]] if row["decision"] == "abstained" else []
        notes += [f"{row['polyp']}: {text}" for text in [*reason, *row["notes"]]]
    results.print_notes(notes, quiet)
    typer.echo(
        f"\n{counts['rows']:,} {'polyp' if counts['rows'] == 1 else 'polyps'}:"
        f" {counts['ok'] - counts['abstained']:,} with a size ({counts['indeterminate']:,} near a threshold),"
        f" {counts['abstained']:,} without"
        + (f", {counts['failed']:,} failed" if counts["failed"] else "")
        + results.skipped(counts["skipped"])
    )
    results.print_where(summary.report, summary.out if counts["ok"] else None)


def _dry_run(inputs: list[Path], target: Path, config: SizeConfig, as_json: bool, quiet: bool) -> None:
    """List the frames, measure nothing, and say what a run would do."""
    with terminal.progress(quiet) as progress:
        predictor = load_predictor(config, progress)
        from pipelines.polyp.size.plan import foresee

        found = foresee(inputs, predictor, config, target)
    if as_json:
        terminal.print_json(found)
        return
    rows = [
        (
            one["polyp"],
            one["source"],
            f"{one['looked']:,} of {one['frames']:,}",
            one["boxes_from"] or one["problem"],
        )
        for one in found["items"]
    ]
    terminal.print_table(("polyp", "source", "frames", "boxes"), lambda: rows, count=len(rows))
    for text in found["notes"]:
        terminal.note(text, quiet)
    typer.echo(
        f"\n{len(rows):,} {'polyp' if len(rows) == 1 else 'polyps'} into {terminal.printable(str(target))}"
        + results.skipped(found["skipped"])
    )
    typer.echo(f"Model: {terminal.printable(found['model'])}, {found['network']} on {found['device']}")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    def share(name: str) -> str:
        return "" if row[name] is None else f"{row[name]:.0%}"

    return (
        row["polyp"],
        "" if row["frames"] is None else str(row["frames"]),
        "" if row["used"] is None else str(row["used"]),
        "" if row["mm"] is None else f"{row['mm']:.1f}",
        "" if row["low"] is None else f"{row['low']:.1f} to {row['high']:.1f}",
        share("p_le_5"),
        share("p_ge_10"),
        row["decision"] or "",
        row["scale_from"] or "",
        row["status"],
    )
