"""`suite crowd count`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite import exits, options, results, settings, terminal
from suite.folders import run_folder

if TYPE_CHECKING:
    from pipelines.common.runner import Runner
    from pipelines.common.summary import RunSummary
    from pipelines.crowd.count.config import CountConfig
    from pipelines.crowd.count.predict import Predictor

COLUMNS = ("source", "frame", "people", "interval", "per m2", "seconds", "status")
WHERE, FILMS = "Zones and ground", "Videos"


class Network(StrEnum):
    """The networks that share weights, and `auto`."""

    auto = "auto"
    sparse = "sparse-counter"
    dense = "dense-counter"


Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGES_OR_VIDEOS",
        help="Image and video files, and folders that are searched for them.",
        exists=True,
    ),
]
NetworkOption = Annotated[
    Network | None,
    typer.Option(
        "--network",
        help="Run our counter's weights where people may be (sparse) or everywhere (dense). Default: auto,"
        " as the model has it.",
        rich_help_panel=options.COMPUTING,
    ),
]
Zones = Annotated[
    Path | None,
    typer.Option(
        "--zones",
        metavar="FILE",
        help="Areas with a name (JSON or GeoJSON), each counted by itself.",
        rich_help_panel=WHERE,
    ),
]
PixelsPerMetre = Annotated[
    float | None,
    typer.Option(
        "--pixels-per-metre",
        metavar="PX",
        help="Scale of a view from straight above: gives people per square metre.",
        rich_help_panel=WHERE,
    ),
]
Ground = Annotated[
    Path | None,
    typer.Option(
        "--ground",
        metavar="FILE",
        help="For a view at an angle: a JSON file with a homography, or with four places in the image and on"
        " the ground.",
        rich_help_panel=WHERE,
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", metavar="N", help="Count every N-th frame. Default: 1, all.", rich_help_panel=FILMS
    ),
]
ChangedOnly = Annotated[
    bool,
    typer.Option(
        "--changed-only",
        help="For a fixed camera: compute only what changed since the frame before.",
        rich_help_panel=FILMS,
    ),
]
VideoOption = Annotated[
    bool,
    typer.Option("--video", help="Also write the video with the counts drawn on it.", rich_help_panel=FILMS),
]
Points = Annotated[
    bool,
    typer.Option(
        "--points", help="Also write where the heads are, one CSV per image.", rich_help_panel=options.RUNNING
    ),
]


def count(
    inputs: Paths,
    model: options.Model = None,
    out: options.Out = None,
    zones: Zones = None,
    pixels_per_metre: PixelsPerMetre = None,
    ground: Ground = None,
    points: Points = False,
    stride: Stride = None,
    changed_only: ChangedOnly = False,
    video: VideoOption = False,
    network: NetworkOption = None,
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
    """How many people are in images and in the frames of videos, where they are, and how sure that is.

    Reads JPEG, PNG, TIFF, WebP, BMP and GIF images and common videos. Writes a run folder with results.csv,
    results.jsonl, run.json, report.html, a map of people and a picture of each image.
    """
    with exits.exits():
        from pipelines.crowd.count.config import CountConfig

        given = {
            "model": model,
            **options.computing(engine, device, seed),
            "network": network and network.value,
            "zones": zones,
            "pixels_per_metre": pixels_per_metre,
            "ground": ground,
            "stride": stride,
            "changed_only": changed_only or None,
            "points": points or None,
            "video": video or None,
        }
        config = settings.resolve(CountConfig, config_file, sets or (), given)
        where = options.runner(runner, workers, ray_address)
        target = run_folder(out, "crowd", resume=resume, overwrite=overwrite, retry_failed=retry_failed)
        if dry_run:
            _dry_run(inputs, target, config, as_json, quiet)
            return
        code = _count(inputs, target, config, where, resume, retry_failed, overwrite, as_json, quiet)
    raise typer.Exit(code)


def _count(
    inputs: list[Path],
    target: Path,
    config: CountConfig,
    runner: Runner,
    resume: bool,
    retry_failed: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    hint = f"the counts so far are saved: repeat the command with --out {target} --resume to go on"
    with exits.exits(when_interrupted=hint), terminal.progress(quiet) as progress:
        predictor = _predictor(config, progress)
        from pipelines.crowd.count.run import count as run

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
        _print(summary, quiet)
    counts = summary.counts
    if not counts["ok"]:
        terminal.error("nothing could be counted; the reasons are in the results")
        return exits.USAGE
    return exits.SOME_FAILED if counts["failed"] else exits.OK


def _predictor(config: CountConfig, progress: Any) -> Predictor:
    progress("loading the model")
    from pipelines.crowd.count.predict import Predictor

    return Predictor.load(config)


def _dry_run(inputs: list[Path], target: Path, config: CountConfig, as_json: bool, quiet: bool) -> None:
    """Read the headers, count nobody, and say what a run would do."""
    with terminal.progress(quiet) as progress:
        predictor = _predictor(config, progress)
        from pipelines.crowd.count.plan import foresee

        found = foresee(inputs, predictor, config, target)
    if as_json:
        terminal.print_json(found)
        return
    rows = [
        (one["source"], one["kind"], one["size"], one["work"] or one["problem"]) for one in found["items"]
    ]
    terminal.print_table(("source", "kind", "pixels", "work"), lambda: rows, count=len(rows))
    typer.echo()
    typer.echo(
        f"{len(rows):,} {'item' if len(rows) == 1 else 'items'} into {terminal.printable(str(target))}"
        + results.skipped(found["skipped"])
    )
    typer.echo(f"Model: {terminal.printable(found['model'])}, {found['network']} on {found['device']}")


def _print(summary: RunSummary, quiet: bool) -> None:
    """One row per image or frame, the reasons of what failed, notes, and the counts."""
    counts = summary.counts
    terminal.print_table(
        COLUMNS,
        lambda: (_cells(row) for row in results.rows(summary.out)),
        right=COLUMNS[1:-1],
        tone=lambda cells: "red" if cells[-1] == "failed" else "",
        count=counts["rows"],
    )
    results.print_failures(summary.out)
    _print_notes(summary, quiet)
    typer.echo(
        f"\n{counts['rows']:,} {'row' if counts['rows'] == 1 else 'rows'}: {counts['ok']:,} counted"
        + (f", {counts['failed']:,} failed" if counts["failed"] else "")
        + results.skipped(counts["skipped"], "no image and no video")
    )
    results.print_where(summary.report, summary.out if counts["ok"] else None)


def _print_notes(summary: RunSummary, quiet: bool) -> None:
    """What was assumed of single images and videos, and what speaks against their counts."""
    frames: dict[tuple[str, str], list[int | None]] = {}
    for row in results.rows(summary.out):
        for text in row.get("notes", ()):
            frames.setdefault((row["source"], text), []).append(row["frame"])
    notes = [*summary.notes, *(_where(*key, of) for key, of in frames.items())]
    results.print_notes(notes, quiet)


def _where(source: str, text: str, frames: list[int | None]) -> str:
    """A note, which many frames of a video may share."""
    if frames[0] is None:
        return f"{source}: {text}"
    first = min(one for one in frames if one is not None)
    which = f"frame {first}" if len(frames) == 1 else f"{len(frames):,} frames from {first} on"
    return f"{source}, {which}: {text}"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    interval = "" if row["low"] is None else f"{row['low']:,.0f} to {row['high']:,.0f}"
    return (
        row["source"],
        "" if row["frame"] is None else str(row["frame"]),
        "" if row["count"] is None else f"{row['count']:,.1f}",
        interval,
        "" if row["people_per_m2"] is None else f"{row['people_per_m2']:.3g}",
        "" if row["seconds"] is None else f"{row['seconds']:.2f}",
        row["status"],
    )
