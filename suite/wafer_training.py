"""`suite wafer train` and `refit`, which write a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipelines.common.training.spread.launch import processes
from suite import exits, options, results, settings, terminal, wafer_options, wafer_tables

if TYPE_CHECKING:
    from pipelines.wafer.refit import Refitted
    from pipelines.wafer.train_config import TrainConfig

MAX_LISTED = 20
REFIT_SCORES = (
    *("maps", "accuracy", "macro_f1", "old_recall", "new_recall", "ece", "novel"),
    *("reviewed_maps", "reviewed_accuracy", "reviewed_novel"),
)


def train(
    data: wafer_options.Data,
    out: wafer_options.ModelOut,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    engine: options.EngineOption = None,
    device: options.Device = None,
    devices: options.Devices = None,
    nodes: options.Nodes = None,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model on labelled maps: the network, its calibration and its novelty threshold."""
    hint = "repeat the command with --resume to go on from the last saved epoch"
    with exits.exits(when_interrupted=hint), processes(devices, nodes) as start:
        from pipelines.common.models import check_model_target

        config = _train_config(config_file, sets, engine, device, seed)
        check_model_target(out, overwrite=overwrite)
        if dry_run:
            if start.speaks:
                _print_plan({"data": data}, out, config, as_json)
            return
        with terminal.progress(quiet or not start.speaks) as progress:
            progress("loading torch")
            world = start(config.device)
            from pipelines.wafer.train import train as run

            metrics = run(
                data,
                out,
                config,
                resume=resume,
                overwrite=overwrite,
                command=terminal.command_line(),
                progress=progress,
                world=world,
            )
        if not start.speaks:
            return
        if as_json:
            terminal.print_json({"model": str(out), "metrics": metrics})
        else:
            wafer_tables.print_metrics(metrics["held_out"])
            results.print_model(out, "wafer classify PATH")


def refit(
    model: wafer_options.OldModel,
    labels: wafer_options.Labels,
    out: wafer_options.ModelOut,
    data: wafer_options.Replayed = None,
    root: wafer_options.Root = None,
    diameter: wafer_options.Diameter = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    engine: options.EngineOption = None,
    device: options.Device = None,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Teach a model what a review says: corrected labels and new classes, into a new model folder."""
    hint = "nothing was written; repeat the command"
    with exits.exits(when_interrupted=hint):
        config = _train_config(config_file, sets, engine, device, seed)
        if dry_run:
            _print_plan(
                {"model": model, "labels": labels, "data": data}, out, _refit_config(model, config), as_json
            )
            return
        from pipelines.wafer.data.dies import ASSUMED_DIAMETER_MM
        from pipelines.wafer.refit import refit as run

        with terminal.progress(quiet) as progress:
            found = run(
                model,
                labels,
                out,
                data=data,
                root=root,
                settings=config,
                diameter_mm=ASSUMED_DIAMETER_MM if diameter is None else diameter,
                overwrite=overwrite,
                command=terminal.command_line(),
                progress=progress,
            )
        for text in found.warnings:
            terminal.note(text, quiet)
        if as_json:
            terminal.print_json({"model": str(out), "metrics": found.metrics})
        else:
            _print_refit(found)
    if found.left_out:
        raise typer.Exit(exits.SOME_FAILED)


def _train_config(
    file: Path | None,
    sets: list[str] | None,
    engine: options.Engine | None,
    device: str | None,
    seed: int | None,
) -> TrainConfig:
    from pipelines.wafer.train_config import TrainConfig

    given = options.computing(engine, device, seed)
    return settings.resolve(TrainConfig, file, sets or (), given)


def _refit_config(model: str, asked: TrainConfig) -> TrainConfig:
    from pipelines.common.models import find_model, load_model
    from pipelines.wafer.model.trained import TASK
    from pipelines.wafer.refit.settings import refit_config

    return refit_config(load_model(find_model(TASK, model), task=TASK), asked)


def _print_plan(inputs: dict[str, object], out: Path, config: TrainConfig, as_json: bool) -> None:
    named = {name: str(value) for name, value in inputs.items() if value is not None}
    plan = {**named, "out": str(out), "config": config.model_dump(mode="json")}
    terminal.print_json(plan) if as_json else wafer_tables.print_plan(plan)


def _print_refit(found: Refitted) -> None:
    review = found.metrics["refit"]
    before, after = review["before"], review["after"]
    rows = [
        (name, wafer_tables.short(before.get(name)), wafer_tables.short(after.get(name)))
        for name in REFIT_SCORES
        if name in after
    ]
    if rows:
        terminal.print_table(("on held-out maps", "before", "after"), lambda: rows, right=("before", "after"))
        typer.echo()
    if found.left_out:
        typer.echo("Left out:")
        for one in found.left_out[:MAX_LISTED]:
            typer.echo(terminal.printable(f"  {one.source}#{one.map}: {one.reason}"))
        if len(found.left_out) > MAX_LISTED:
            typer.echo(f"  and {len(found.left_out) - MAX_LISTED:,} more, in metrics.json")
        typer.echo()
    if found.new_classes:
        typer.echo(terminal.printable(f"New classes: {', '.join(found.new_classes)}"))
    results.print_model(found.out, "wafer classify PATH")
