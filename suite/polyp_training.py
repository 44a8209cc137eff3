"""`suite polyp train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.errors import UserError
from pipelines.common.training.spread.launch import processes
from suite import exits, options, results, settings, terminal
from suite.folders import names_of

if TYPE_CHECKING:
    from pipelines.polyp.data import Polyp
    from pipelines.polyp.train.config import TrainConfig

BACKBONES = ("resnet18", "vit-tiny", "sparse-resnet")
SHOWN = (
    *(("mae", "MAE, mm"), ("median_predictor_mae", "MAE of the median predictor, mm"), ("bias", "bias, mm")),
    *(("macro_f1", "macro F1"), ("accuracy", "accuracy"), ("coverage", "coverage of the interval")),
)
MAX_LISTED = 20


def train(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA", help="Data sets with polyps of known size; see the docs.", exists=True
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="The model folder to write.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone", metavar="|".join(BACKBONES), help="The network. Default: resnet18, with gates."
        ),
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            "--backbone-weights",
            metavar="FILE",
            help="Weights (.safetensors) of torchvision's resnet18 or timm's ViT-T/16 to start from.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    layout: options.Layout = None,
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
    """Train a network on polyps of known size, and measure it on patients that are held out.

    The held-out polyps also calibrate the intervals of its sizes.
    """
    hint = "repeat the command with --resume to go on from the last checkpoint"
    with exits.exits(when_interrupted=hint), processes(devices, nodes) as start:
        from pipelines.common.models import check_model_target

        config = _train_config(config_file, sets, engine, device, seed, backbone)
        if backbone_weights is not None and config.network.backbone == "sparse-resnet":
            raise UserError(
                "--backbone-weights are for resnet18 and vit-tiny; sparse-resnet has none to take"
            )
        check_model_target(out, overwrite=overwrite)
        quiet = quiet or not start.speaks
        polyps, name = read_polyps(data, layout or "", quiet)
        if dry_run:
            if start.speaks:
                _print_dry_run(config, polyps, out, as_json)
            return
        with terminal.progress(quiet) as progress:
            progress("loading torch")
            world = start(config.device)
            from pipelines.polyp.train.run import train as run

            metrics = run(
                polyps,
                out,
                config,
                name=name,
                backbone_weights=backbone_weights,
                resume=resume,
                overwrite=overwrite,
                command=terminal.command_line(),
                progress=progress,
                world=world,
            )
        if not start.speaks:
            return
        left_out = metrics["left_out"]
        for one in left_out[:MAX_LISTED]:
            terminal.note(f"{one['name']} was left out: {one['reason']}", quiet)
        if len(left_out) > MAX_LISTED:
            terminal.note(f"and {len(left_out) - MAX_LISTED:,} more, in metrics.json", quiet)
        if as_json:
            terminal.print_json({"model": str(out), "metrics": metrics})
        else:
            _print_scores(metrics, config)
            results.print_model(out, "polyp size INPUT")
    if left_out:
        raise typer.Exit(exits.SOME_FAILED)


def read_polyps(data: list[Path], layout: str, quiet: bool) -> tuple[list[Polyp], str]:
    """The polyps of all data sets, and what these are called together.

    Of several data sets, ids get the name of their folder before them. Patients and recordings do not: those
    of one name are taken for the same, so that a patient who is in two data sets is never on both sides.
    """
    from dataclasses import replace

    from pipelines.polyp.data import read_dataset

    names = names_of(data)
    found: list[Polyp] = []
    for path, name in zip(data, names, strict=True):
        dataset = read_dataset(path, layout=layout)
        for text in dataset.notes:
            terminal.note(f"{name}: {text}", quiet)
        if len(data) == 1:
            return list(dataset.polyps), name
        found += [replace(one, id=f"{name}/{one.id}") for one in dataset.polyps]
    return found, ", ".join(names)


def _train_config(
    file: Path | None,
    sets: list[str] | None,
    engine: options.Engine | None,
    device: str | None,
    seed: int | None,
    backbone: str | None,
) -> TrainConfig:
    from pipelines.polyp.train.config import TrainConfig

    if backbone is not None and backbone not in BACKBONES:
        raise UserError(f"--backbone must be one of {', '.join(BACKBONES)}, not {backbone!r}")
    given = options.computing(engine, device, seed)
    named = [f"network.backbone={backbone}"] if backbone else []
    return settings.resolve(TrainConfig, file, [*(sets or ()), *named], given)


def _print_dry_run(config: TrainConfig, polyps: list[Polyp], out: Path, as_json: bool) -> None:
    from pipelines.polyp.data import Dataset, hold_out, survey
    from pipelines.polyp.metrics import CLASSES, known_class

    known = [one for one in polyps if one.size_mm is not None]
    if not known:
        raise UserError("there is no polyp of known size to train on")
    counts = survey(Dataset(tuple(known), (), ""))
    classes = known_class([one.size_mm or 0 for one in known], [one.censored for one in known])
    fold = hold_out(known, config.held_out, seed=config.seed) if config.held_out else None
    content = {
        "polyps": counts.polyps,
        "without_size": len(polyps) - len(known),
        "lower_bounds": counts.censored,
        "classes": {name: int((classes == place).sum()) for place, name in enumerate(CLASSES)},
        "patients_or_recordings": counts.groups,
        "frames": counts.frames,
        "frames_with_box_or_mask": max(counts.with_box, counts.with_mask),
        "unreadable": len(counts.failed),
        "held_out": len(fold.held_out) if fold else 0,
        "out": str(out),
        "config": config.model_dump(mode="json"),
    }
    terminal.print_plan(content, as_json)


def _print_scores(metrics: dict[str, Any], config: TrainConfig) -> None:
    scores = metrics["scores"]
    if not scores:
        typer.echo("No polyp was held out: nothing was measured, and sizes have no interval.")
        return
    found = scores["polyp"]["metrics"]
    rows = [
        (title, f"{found[name]['value']:.3g}", ends(found[name]))
        for name, title in SHOWN
        if name in found and found[name]["value"] is not None
    ]
    typer.echo(
        f"{metrics['held_out']} held-out polyps, {scores['abstained']} without a size,"
        f" {scores['indeterminate']} near a threshold; intervals of {config.confidence:.0%}"
    )
    if rows:
        terminal.print_table(("score", "value", "95% of resamplings"), lambda: rows, right=("value",))


def ends(metric: dict[str, Any]) -> str:
    """The interval of a score, in words."""
    return "" if metric["low"] is None else f"{metric['low']:.3g} to {metric['high']:.3g}"
