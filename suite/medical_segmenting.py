"""`suite medical segment`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.errors import UserError
from suite import exits, options, results, settings, terminal
from suite.folders import run_folder

if TYPE_CHECKING:
    from pipelines.common.runner import Runner
    from pipelines.medical.segment.config import SegmentConfig
    from pipelines.medical.segment.predict import Predictor
    from pipelines.medical.segment.run import RunSummary

MAX_COLUMNS = 6  # labels that the table on the terminal has a column for
HOW = "How to segment"


class Network(StrEnum):
    """The networks that share weights, and `auto`."""

    auto = "auto"
    dense = "dense-unet"
    sparse = "sparse-unet"


class Precision(StrEnum):
    """Number formats of a dense network."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="VOLUMES",
        help="Files, DICOM folders, and folders that are searched for volumes.",
        exists=True,
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME|FOLDER", help="A bundled model or a model folder. Needed."),
]
NetworkOption = Annotated[
    Network | None,
    typer.Option(
        "--network",
        help="Run a U-network's weights on active voxels only (sparse) or on all (dense). Default: auto,"
        " as the model has it.",
        rich_help_panel=HOW,
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        "--overlap",
        metavar="SHARE",
        help="How much of a patch the next one covers again. Default: 0.5.",
        rich_help_panel=HOW,
    ),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--mirror",
        help="Average over the flips that the model was trained with: up to 8 times the work.",
        rich_help_panel=HOW,
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        "--precision", help="Of a dense network. Default: auto, which is float32.", rich_help_panel=HOW
    ),
]
Foreground = Annotated[
    str | None,
    typer.Option(
        "--foreground",
        metavar="auto|none|nonzero|above:VALUE",
        help="Where to compute. Default: auto, as the model says.",
        rich_help_panel=HOW,
    ),
]
LargestComponent = Annotated[
    list[str] | None,
    typer.Option(
        "--largest-component",
        metavar="all|LABEL",
        help="Keep only the largest connected piece of a label; may be repeated.",
        rich_help_panel=HOW,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        metavar="N",
        help="Tiles at a time. Default: 4 on a GPU, 1 or 2 on a CPU.",
        rich_help_panel=options.COMPUTING,
    ),
]
Uncertainty = Annotated[
    bool,
    typer.Option(
        "--uncertainty",
        help="Also write a map of the uncertainty of each case.",
        rich_help_panel=options.RUNNING,
    ),
]
DicomSeg = Annotated[
    bool,
    typer.Option(
        "--dicom-seg",
        help="Also write the masks of DICOM series as DICOM segmentations.",
        rich_help_panel=options.RUNNING,
    ),
]


def segment(
    volumes: Paths,
    model: Model = None,
    out: options.Out = None,
    uncertainty: Uncertainty = False,
    dicom_seg: DicomSeg = False,
    largest_component: LargestComponent = None,
    foreground: Foreground = None,
    network: NetworkOption = None,
    overlap: Overlap = None,
    mirror: Mirror = False,
    precision: PrecisionOption = None,
    batch: Batch = None,
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
    """Label maps of CT and MRI volumes, and how large and how certain each structure is.

    Reads NIfTI, NRRD, MetaImage and DICOM series. Writes a run folder with masks (NIfTI, exactly on the
    volume's own grid), results.csv, results.jsonl, run.json and report.html.
    """
    with exits.exits():
        from pipelines.medical.segment.config import SegmentConfig

        given = {
            "model": model,
            **options.computing(engine, device, seed),
            "network": network and network.value,
            "overlap": overlap,
            "mirror": mirror or None,
            "precision": precision and precision.value,
            "foreground": foreground,
            "largest_component": largest_component or None,
            "uncertainty": uncertainty or None,
            "dicom_seg": dicom_seg or None,
            "batch": batch,
        }
        if model is None and config_file is None and not any(one.startswith("model=") for one in sets or ()):
            raise UserError("--model is needed: a model folder, or the name of a bundled model (suite list)")
        config = settings.resolve(SegmentConfig, config_file, sets or (), given)
        where = options.runner(runner, workers, ray_address)
        target = run_folder(out, "medical", resume=resume, overwrite=overwrite, retry_failed=retry_failed)
        if dry_run:
            _dry_run(volumes, target, config, as_json, quiet)
            return
        code = _segment(volumes, target, config, where, resume, retry_failed, overwrite, as_json, quiet)
    raise typer.Exit(code)


def _segment(
    volumes: list[Path],
    target: Path,
    config: SegmentConfig,
    runner: Runner,
    resume: bool,
    retry_failed: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    hint = f"the cases so far are saved: repeat the command with --out {target} --resume to go on"
    with exits.exits(when_interrupted=hint), terminal.progress(quiet) as progress:
        predictor = _predictor(config, progress)
        from pipelines.medical.segment.run import segment as run

        summary = run(
            volumes,
            predictor=predictor,
            out=target,
            resume=resume,
            retry_failed=retry_failed,
            overwrite=overwrite,
            progress=progress,
            note=lambda text: terminal.note(text, quiet),
            runner=runner,
        )
    if as_json:
        results.print_json(summary, memory_mib=summary.memory_mib)
    else:
        _print(summary, list(predictor.names), quiet)
    counts = summary.counts
    if not counts["ok"]:
        terminal.error("none of the volumes could be segmented; the reasons are in the results")
        return exits.USAGE
    return exits.SOME_FAILED if counts["failed"] else exits.OK


def _predictor(config: SegmentConfig, progress: Any) -> Predictor:
    progress("loading the model")
    from pipelines.medical.segment.predict import Predictor

    return Predictor.load(config)


def _dry_run(volumes: list[Path], target: Path, config: SegmentConfig, as_json: bool, quiet: bool) -> None:
    """Read the headers, segment nothing, and say what a run would do and take."""
    with terminal.progress(quiet) as progress:
        predictor = _predictor(config, progress)
        from pipelines.medical.segment.plan import foresee

        found = foresee(volumes, predictor, target)
    if as_json:
        terminal.print_json(found)
        return
    rows = [
        (one["case"], one["source"], one["shape"], one["memory"] or one["problem"]) for one in found["cases"]
    ]
    terminal.print_table(("case", "source", "voxels", "memory"), lambda: rows, count=len(rows))
    typer.echo()
    typer.echo(
        f"{len(rows):,} {'case' if len(rows) == 1 else 'cases'} into {terminal.printable(str(target))}"
        + results.skipped(found["skipped"])
    )
    typer.echo(f"Model: {terminal.printable(found['model'])}, {found['network']} on {found['device']}")
    typer.echo(f"Memory: {found['memory_mib']:,} MiB predicted")


def _print(summary: RunSummary, names: list[str], quiet: bool) -> None:
    """One row per case with the volumes in ml, the reasons of what failed, notes, and the counts."""
    shown = names[:MAX_COLUMNS]
    columns = ("case", *shown, "confidence", "seconds", "status")
    terminal.print_table(
        columns,
        lambda: (_cells(row, shown) for row in results.rows(summary.out)),
        right=(*shown, "confidence", "seconds"),
        tone=lambda cells: "red" if cells[-1] == "failed" else "",
        count=summary.counts["cases"],
    )
    if len(names) > MAX_COLUMNS:
        typer.echo(f"and {len(names) - MAX_COLUMNS:,} more labels, in results.csv")
    results.print_failures(summary.out)
    _print_notes(summary, quiet)
    counts = summary.counts
    typer.echo(
        f"\n{counts['cases']:,} {'case' if counts['cases'] == 1 else 'cases'}: {counts['ok']:,} segmented"
        + (f", {counts['failed']:,} failed" if counts["failed"] else "")
        + results.skipped(counts["skipped"], "no volume")
        + "; volumes are in ml"
    )
    if counts["ok"]:
        typer.echo(f"Masks: {terminal.printable(str(summary.out / 'masks'))}")
    results.print_where(summary.report, summary.out if counts["ok"] else None)


def _print_notes(summary: RunSummary, quiet: bool) -> None:
    """What was assumed of single cases, and what speaks against their masks."""
    notes = [f"{row['case']}: {text}" for row in results.rows(summary.out) for text in row.get("notes", ())]
    results.print_notes(notes, quiet)


def _cells(row: dict[str, Any], names: list[str]) -> tuple[str, ...]:
    return (
        row["case"],
        *(_short(row[f"{name}_ml"]) for name in names),
        "" if row["confidence"] is None else f"{row['confidence']:.3f}",
        "" if row["seconds"] is None else f"{row['seconds']:.1f}",
        row["status"],
    )


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
