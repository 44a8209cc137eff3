"""`suite medical evaluate` and `compare`, which measure masks that are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.errors import UserError
from suite import exits, options, settings, terminal
from suite.folders import new_folder

if TYPE_CHECKING:
    from pipelines.medical.compare import Comparison
    from pipelines.medical.config import ReadLimits
    from pipelines.medical.evaluate import Evaluation
    from pipelines.medical.measurements import Method

MAX_LISTED = 20
COLUMNS = ("label", "metric", "mean", "sd", "median", "n", "misses")
PAIR_COLUMNS = ("metric", "label", "difference", "mean", "95% interval", "p adjusted", "n", "better")

Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="NAME=VALUE,...",
        help="What the values are called. Default: the names in the run folder, else the values.",
    ),
]
Tolerances = Annotated[
    list[float] | None,
    typer.Option("--tolerance", metavar="MM", help="Of NSD; may be repeated. Default: 1."),
]
OnlyPredicted = Annotated[
    bool,
    typer.Option("--only-predicted", help="Leave out truth without a prediction: else it counts as missed."),
]
MASKS = "a run folder of suite medical segment, a folder of label maps, or a label map."


def evaluate(
    predicted: Annotated[Path, typer.Argument(metavar="PRED", help=f"The masks: {MASKS}", exists=True)],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help=f"The truth: {MASKS}", exists=True)],
    labels: Labels = None,
    tolerances: Tolerances = None,
    only_predicted: OnlyPredicted = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.csv", help="Also write one row per case and label to a CSV file."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Dice, IoU, NSD, HD95, HD, ASD, volume error and missed structures, per label over all cases.

    Cases are paired by name. Masks and truth must lie on the same grid: nothing is resampled.
    """
    with exits.exits():
        if out is not None and out.exists() and not overwrite:
            raise UserError(f"{out} exists; name another file, or replace it with --overwrite")
        if out is not None and not out.absolute().parent.is_dir():
            raise UserError(f"{out} cannot be written: there is no folder {out.parent}")
        limits = _limits(config_file, sets)
        found = _evaluate(predicted, truth, labels, tolerances, only_predicted, limits, quiet)
        if out is not None:
            from pipelines.common.files import replacing

            with replacing(out) as file:
                found.write_csv(file)
        failed = [row for row in found.rows if row["status"] != "ok"]
        if as_json:
            terminal.print_json(found.document())
        else:
            _print_evaluation(found, failed)
    if len(failed) == len(found.rows):
        terminal.error("no case could be measured; the reasons are in the results")
        raise typer.Exit(exits.USAGE)
    if failed:
        raise typer.Exit(exits.SOME_FAILED)


def compare(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            help="Two or more: CSV or JSON files of evaluate, or masks with --truth.",
            exists=True,
        ),
    ],
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="TRUTH", help="To measure masks against.", exists=True)
    ] = None,
    names: Annotated[
        str | None,
        typer.Option("--names", metavar="A,B,...", help="What to call the inputs. Default: their names."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="COLUMN", help="May be repeated. Default: dice, nsd, hd95_mm and asd_mm."
        ),
    ] = None,
    labels: Labels = None,
    tolerances: Tolerances = None,
    draws: Annotated[
        int, typer.Option("--draws", min=1_000, max=1_000_000, help="Random draws of tests and intervals.")
    ] = 10_000,
    seed: options.Seed = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The folder to write; default: a new one in runs."),
    ] = None,
    overwrite: options.Overwrite = False,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Whether methods differ on the same cases: paired tests, intervals, effect sizes, and a page.

    Writes pairs.csv, compare.json and report.html.
    """
    with exits.exits():
        from pipelines.medical.compare import REPORT, check_folder, write
        from pipelines.medical.compare import compare as run

        target = out or new_folder("medical-compare")
        check_folder(target, overwrite=overwrite)
        limits = _limits(config_file, sets)
        methods = _methods(inputs, truth, names, labels, tolerances, limits, quiet)
        with terminal.progress(quiet) as progress:
            found = run(methods, metrics=metrics or (), seed=seed or 0, draws=draws, progress=progress)
            write(found, target, overwrite=overwrite)
        for text in found.notes:
            terminal.note(text, quiet)
        if as_json:
            terminal.print_json({"out": str(target)} | found.document())
        else:
            _print_comparison(found)
            typer.echo(f"Report: {terminal.printable(str(target / REPORT))}")


def _limits(file: Path | None, sets: list[str] | None) -> ReadLimits:
    from pipelines.medical.config import ReadLimits

    return settings.resolve(ReadLimits, file, sets or (), {})


def _evaluate(
    predicted: Path,
    truth: Path,
    labels: str | None,
    tolerances: list[float] | None,
    only_predicted: bool,
    limits: ReadLimits,
    quiet: bool,
) -> Evaluation:
    from pipelines.medical.evaluate import evaluate as run
    from pipelines.medical.label_maps import parse_names
    from pipelines.medical.metrics.definitions import DEFAULT_TOLERANCES_MM

    with terminal.progress(quiet) as progress:
        found = run(
            predicted,
            truth,
            labels=None if labels is None else parse_names(labels),
            tolerances_mm=tolerances or DEFAULT_TOLERANCES_MM,
            only_predicted=only_predicted,
            max_voxels=limits.max_voxels,
            progress=progress,
        )
    for text in found.notes:
        terminal.note(text, quiet)
    return found


def _methods(
    inputs: list[Path],
    truth: Path | None,
    names: str | None,
    labels: str | None,
    tolerances: list[float] | None,
    limits: ReadLimits,
    quiet: bool,
) -> list[Method]:
    from dataclasses import replace

    from pipelines.medical.measurements import distinct_names, from_evaluation, read_measurements

    given = names.split(",") if names is not None else None
    if given is not None and (len(set(given)) != len(inputs) or len(given) != len(inputs) or "" in given):
        raise UserError(
            f"--names needs {len(inputs)} different names with commas between them, not {names!r}"
        )
    methods = []
    for path in inputs:
        if path.is_dir() and truth is None:
            raise UserError(f"{path} holds masks: give --truth, or the CSV files of suite medical evaluate")
        if path.is_dir():
            assert truth is not None
            found = _evaluate(path, truth, labels, tolerances, False, limits, quiet)
            methods.append(from_evaluation(found, path))
        else:
            methods.append(read_measurements(path))
    if given is not None:
        return [replace(one, name=name) for one, name in zip(methods, given, strict=True)]
    return distinct_names(methods)


def _print_evaluation(found: Evaluation, failed: list[dict[str, Any]]) -> None:
    summary = found.summary()
    of_labels = {label: of["metrics"] for label, of in summary["labels"].items()}
    rows = [
        (
            label,
            name,
            _short(one["mean"]),
            _short(one["sd"]),
            _short(one["median"]),
            str(one["n"]),
            _count(one["misses"]),
        )
        for label, metrics in of_labels.items()
        for name, one in metrics.items()
    ]
    if len(of_labels) > 1:
        means = summary["mean_of_labels"].items()
        rows += [("mean of labels", name, _short(value), "", "", "", "") for name, value in means]
    if rows:
        terminal.print_table(COLUMNS, lambda: rows, right=COLUMNS[2:], count=len(rows))
    if failed:
        typer.echo("\nFailed:")
        for row in failed[:MAX_LISTED]:
            typer.echo(terminal.printable(f"  {row['case']}: {row['error']}"))
        if len(failed) > MAX_LISTED:
            typer.echo(f"  and {len(failed) - MAX_LISTED:,} more, in the rows of --out or --json")
    cases = summary["cases"]
    parts = [f"{cases:,} {'case' if cases == 1 else 'cases'}"]
    for kind in ("missing", "false"):
        if number := sum(of[kind] for of in summary["labels"].values()):
            parts.append(f"{number:,} {kind} {'structure' if number == 1 else 'structures'}")
    if summary["without_prediction"]:
        parts.append(f"{summary['without_prediction']:,} without a prediction")
    if failed:
        parts.append(f"{len(failed):,} failed")
    typer.echo("\n" + ", ".join(parts))


def _print_comparison(found: Comparison) -> None:
    rows = []
    for metric, labels in found.metrics:
        for one in labels:
            for pair in one.pairs:
                interval = "" if pair.low is None else f"{_short(pair.low)} to {_short(pair.high)}"
                rows.append(
                    (
                        *(f"{metric.name} ({metric.better})", one.label, f"{pair.first} - {pair.second}"),
                        *(_short(pair.difference), interval, f"{pair.p_adjusted:.2g}", str(pair.n)),
                        pair.better or "not clear",
                    )
                )
    right = ("mean", "95% interval", "p adjusted", "n")
    terminal.print_table(PAIR_COLUMNS, lambda: rows, right=right, count=len(rows))
    tests = [
        (metric.name, one.label, _short(one.friedman["statistic"]), f"{one.friedman['p_adjusted']:.2g}")
        for metric, labels in found.metrics
        for one in labels
        if one.friedman
    ]
    if tests:
        typer.echo()
        columns = ("Friedman", "label", "chi-square", "p adjusted")
        terminal.print_table(columns, lambda: tests, right=columns[2:], count=len(tests))
    typer.echo()


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _count(number: int) -> str:
    return str(number) if number else ""
