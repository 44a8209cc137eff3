"""`suite digits`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from suite import exits, options, results, settings, terminal
from suite.folders import run_folder

COLUMNS = ("picture", "digit", "probability", "status")

app = typer.Typer(no_args_is_help=True)


@app.command("train")
def train(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A folder of pictures for each label.", exists=True)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="The model folder to write.")],
    overwrite: options.Overwrite = False,
    engine: options.EngineOption = None,
    device: options.Device = None,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network on labelled pictures, and measure it on pictures that are held out."""
    with exits.exits(), terminal.progress(quiet) as progress:
        from pipelines.digits.config import TrainConfig
        from pipelines.digits.train import train as run

        given = options.computing(engine, device, seed)
        config = settings.resolve(TrainConfig, config_file, sets or (), given)
        metrics = run(data, out, config, overwrite=overwrite, progress=progress)
    if as_json:
        terminal.print_json(metrics)
    else:
        typer.echo(f"Accuracy {metrics['accuracy']:.3f} on {metrics['held_out']} held-out pictures")
        typer.echo(f"Model: {terminal.printable(str(out))}")


@app.command("classify")
def classify(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="PICTURES", help="Pictures, and folders of them.", exists=True)
    ],
    model: Annotated[str, typer.Option("--model", metavar="FOLDER", help="The model folder.")],
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    engine: options.EngineOption = None,
    device: options.Device = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Which digit each picture shows, and how sure that is."""
    with exits.exits():
        from pipelines.digits.config import ClassifyConfig

        given = {"model": model, **options.computing(engine, device, None)}
        config = settings.resolve(ClassifyConfig, None, (), given)
        where = options.runner(options.RunnerName.local, workers, None)
        target = run_folder(out, "digits", resume=resume, overwrite=overwrite)
        hint = f"repeat the command with --out {target} --resume to go on"
        with exits.exits(when_interrupted=hint), terminal.progress(quiet) as progress:
            from pipelines.digits.classify import classify as run
            from pipelines.digits.predict import Predictor

            summary = run(
                inputs,
                predictor=Predictor.load(config),
                config=config,
                out=target,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
                runner=where,
            )
    if as_json:
        results.print_json(summary)
    else:
        terminal.print_table(
            COLUMNS,
            lambda: (
                (row["source"], row["digit"] or "", f"{row['probability'] or 0:.3f}", row["status"])
                for row in results.rows(summary.out)
            ),
            right=("probability",),
        )
        results.print_failures(summary.out)
        typer.echo(f"Report: {terminal.printable(str(summary.report))}")
    raise typer.Exit(exits.SOME_FAILED if summary.counts["failed"] else exits.OK)
