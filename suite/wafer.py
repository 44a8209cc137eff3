"""`suite wafer`: classify and evaluate; the other verbs are in `wafer_training` and `wafer_runs`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pipelines.common.errors import UserError
from suite import exits, options, settings, terminal, wafer_options, wafer_runs, wafer_tables, wafer_training
from suite.folders import run_folder

if TYPE_CHECKING:
    from pipelines.common.runner import Runner
    from pipelines.wafer.config import ClassifyConfig
    from pipelines.wafer.predict import Predictor

app = typer.Typer(no_args_is_help=True)


@app.command("classify")
def classify(
    paths: wafer_options.Paths,
    model: options.Model = None,
    false_alarm_rate: wafer_options.FalseAlarmRate = None,
    alarm_on: wafer_options.AlarmOn = None,
    diameter: wafer_options.Diameter = None,
    write_klarf: wafer_options.WriteKlarf = None,
    out: options.Out = None,
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
    """Which known pattern is on each wafer, how sure that is, and which wafers show an unknown one.

    Reads KLARF, SINF, SEMI G85 and E142, STDF, CSV and numpy files, gzipped or not. Writes a run folder with
    results.csv, results.jsonl, run.json and report.html, and prints one row per wafer.
    """
    with exits.exits():
        from pipelines.wafer.alarms import alarm_names
        from pipelines.wafer.config import ClassifyConfig

        given = {
            "model": model,
            **options.computing(engine, device, seed),
            "false_alarm_rate": false_alarm_rate,
            "alarm_on": alarm_on or None,
            "diameter_mm": diameter,
        }
        config = settings.resolve(ClassifyConfig, config_file, sets or (), given)
        where = options.runner(runner, workers, ray_address)
        config = config.model_copy(update={"alarm_on": alarm_names(config.alarm_on, config.model)})
        target = run_folder(out, "wafer", resume=resume, overwrite=overwrite, retry_failed=retry_failed)
        if write_klarf is not None:
            _check_new_file(write_klarf)
        if dry_run:
            _plan(paths, target, config, as_json, quiet)
            return
        code = _classify(
            paths, target, config, where, resume, retry_failed, overwrite, write_klarf, as_json, quiet
        )
    raise typer.Exit(code)


def _classify(
    paths: list[Path],
    target: Path,
    config: ClassifyConfig,
    runner: Runner,
    resume: bool,
    retry_failed: bool,
    overwrite: bool,
    write_klarf: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    from pipelines.wafer.classify import classify as run

    hint = f"the rows so far are saved: repeat the command with --out {target} --resume to go on"
    with exits.exits(when_interrupted=hint), terminal.progress(quiet) as progress:
        predictor = _predictor(config, progress)
        summary = run(
            paths,
            predictor=predictor,
            out=target,
            config=config,
            resume=resume,
            retry_failed=retry_failed,
            overwrite=overwrite,
            progress=progress,
            note=lambda text: terminal.note(text, quiet),
            runner=runner,
        )
    written = write_klarf is None or _write_klarf(paths, target, config, write_klarf, quiet)
    if as_json:
        wafer_tables.print_run_json(summary)
    else:
        wafer_tables.print_run(summary, write_klarf if written else None)
    code = _exit_code(summary.counts)
    return code if written or code == exits.ALARM else exits.USAGE


def _write_klarf(paths: list[Path], target: Path, config: ClassifyConfig, file: Path, quiet: bool) -> bool:
    """Write the results back; if that cannot be done, say why. The run is done and shown either way."""
    from pipelines.wafer.write_back import write_back

    try:
        with exits.exits(), terminal.progress(quiet) as progress:
            progress(f"writing {file}")
            write_back(target, paths, file, config)
    except typer.Exit as end:
        if end.exit_code != exits.USAGE:
            raise
        return False
    return True


def _check_new_file(file: Path) -> None:
    """Raise UserError unless `file` can be made, so that this does not show after hours of work only."""
    if file.exists():
        raise UserError(f"{file} exists; --write-klarf needs a new file")
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{file} cannot be written: {folder} is no folder that you may write to")


def _exit_code(counts: dict[str, Any]) -> int:
    if counts["alarms"]:
        return exits.ALARM
    if not counts["ok"]:
        terminal.error("none of the wafer maps could be used; the reasons are in the results")
        return exits.USAGE
    return exits.SOME_FAILED if counts["failed"] else exits.OK


def _predictor(config: ClassifyConfig, progress: Callable[[str], None]) -> Predictor:
    progress("loading the model")
    from pipelines.wafer.predict import Predictor

    return Predictor.of(config)


def _plan(paths: list[Path], target: Path, config: ClassifyConfig, as_json: bool, quiet: bool) -> None:
    """Read everything, classify nothing, and say what a run would do."""
    from pipelines.wafer.alarms import chosen_models
    from pipelines.wafer.data import FailedMap, SkippedFile, iter_maps

    models = [folder.name for folder in chosen_models(config.model)]
    found = {"maps": 0, "failed": 0, "skipped": 0}
    with terminal.progress(quiet) as progress:
        for item in iter_maps(paths, assumed_diameter_mm=config.diameter_mm, limits=config.limits):
            kind = {FailedMap: "failed", SkippedFile: "skipped"}.get(type(item), "maps")
            found[kind] += 1
            progress(f"{found['maps']:,} maps, at {item.source.name}")
    if not found["maps"]:
        raise UserError(f"there is no usable wafer map in {', '.join(map(str, paths))}")
    plan = {**found, "out": str(target), "models": models, "config": config.model_dump(mode="json")}
    if as_json:
        terminal.print_json(plan)
    else:
        wafer_tables.print_plan(plan)


@app.command("evaluate")
def evaluate(
    data: wafer_options.Data,
    model: options.Model = None,
    false_alarm_rate: wafer_options.FalseAlarmRate = None,
    engine: options.EngineOption = None,
    device: options.Device = None,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Accuracy, macro-F1, calibration error, per-class scores and confusion matrix on labelled maps."""
    with exits.exits():
        from pipelines.wafer.config import ClassifyConfig

        given = {
            "model": model,
            "engine": engine and engine.value,
            "device": device,
            "false_alarm_rate": false_alarm_rate,
        }
        config = settings.resolve(ClassifyConfig, config_file, sets or (), given)
        with terminal.progress(quiet) as progress:
            predictor = _predictor(config, progress)
            from pipelines.wafer.evaluate import evaluate as measure

            metrics = measure(data, predictor, config.limits)
        if metrics["unknown_labels"]:
            names = ", ".join(metrics["unknown_labels"])
            terminal.note(f"the model has no class {names}: maps labelled so count as wrong", quiet)
        if as_json:
            terminal.print_json(metrics)
        else:
            wafer_tables.print_metrics(metrics)


app.command("train")(wafer_training.train)
app.command("refit")(wafer_training.refit)
app.command("discover")(wafer_runs.discover)
app.command("monitor")(wafer_runs.monitor)
