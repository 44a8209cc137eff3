"""`suite medical pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.training.spread.launch import processes
from suite import exits, options, results, settings, terminal

if TYPE_CHECKING:
    from pipelines.medical.config import Plan
    from pipelines.medical.pretrain.config import PretrainConfig

MAX_LISTED = 20

Volumes = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGES",
        help="Volumes without labels: files, folders, DICOM series; in a data set its imagesTr and imagesTs.",
        exists=True,
    ),
]


def pretrain(
    images: Volumes,
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="The model folder to write.")],
    plan_file: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="How volumes are prepared, and the network. Default: what follows from them.",
        ),
    ] = None,
    channels: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            metavar="NAME",
            help="What the images of a case are called, such as Flair; repeat it for several, in order.",
        ),
    ] = None,
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
    """Pretrain an encoder on volumes without labels: it learns to rebuild what is hidden from it."""
    hint = "repeat the command with --resume to go on from the last saved epoch"
    with exits.exits(when_interrupted=hint), processes(devices, nodes) as start:
        from pipelines.common.models import check_model_target

        config = _config(config_file, sets, engine, device, seed)
        check_model_target(out, overwrite=overwrite)
        plan = _plan(plan_file)
        if dry_run:
            if start.speaks:
                _print_dry_run(images, out, config, plan, channels, as_json)
            return
        with terminal.progress(quiet or not start.speaks) as progress:
            progress("loading torch")
            world = start(config.device)
            from pipelines.medical.pretrain.run import run

            metrics = run(
                images,
                out,
                config,
                plan=plan,
                channels=channels or None,
                resume=resume,
                overwrite=overwrite,
                command=terminal.command_line(),
                progress=progress,
                world=world,
            )
        if not start.speaks:
            return
        _say_left_out(metrics["left_out"], quiet)
        if as_json:
            terminal.print_json({"model": str(out), "metrics": metrics})
        else:
            _print_metrics(metrics["held_out"])
            results.print_model(out, "medical train DATA --out MODEL", "--from")
    if any(one["failed"] for one in metrics["left_out"]):
        raise typer.Exit(exits.SOME_FAILED)


def _config(
    file: Path | None,
    sets: list[str] | None,
    engine: options.Engine | None,
    device: str | None,
    seed: int | None,
) -> PretrainConfig:
    from pipelines.medical.pretrain.config import PretrainConfig

    given = options.computing(engine, device, seed)
    return settings.resolve(PretrainConfig, file, sets or (), given)


def _plan(file: Path | None) -> Plan | None:
    if file is None:
        return None
    from pipelines.medical.plan.file import read_plan_file

    return read_plan_file(file)


def _print_dry_run(
    images: list[Path],
    out: Path,
    config: PretrainConfig,
    plan: Plan | None,
    channels: list[str] | None,
    as_json: bool,
) -> None:
    """What a run would take: the volumes that were found, the plan and the settings."""
    from pipelines.medical.pretrain.inputs import find_images
    from pipelines.medical.pretrain.simple_plan import chosen_channels, simple_plan

    names = chosen_channels(plan, channels)
    cases, left_out = find_images(images, names)
    plan = plan or simple_plan(cases, names, lambda text: None, max_voxels=config.max_voxels)
    content = {
        "volumes": len(cases),
        "left_out": len(left_out),
        "out": str(out),
        "plan": plan.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
    }
    terminal.print_plan(content, as_json)


def _say_left_out(left_out: list[dict[str, Any]], quiet: bool) -> None:
    for one in left_out[:MAX_LISTED]:
        terminal.note(f"{one['case']} was left out: {one['reason']}", quiet)
    if len(left_out) > MAX_LISTED:
        terminal.note(f"{len(left_out) - MAX_LISTED:,} more were left out; metrics.json has all", quiet)


def _print_metrics(held: dict[str, Any]) -> None:
    rows = [
        ("held-out volumes", str(held["volumes"])),
        ("squared error of what was hidden", f"{held['loss']:.4f}"),
        ("that of a guess of the mean", f"{held['mean_loss']:.4f}"),
        ("explained beyond the mean", f"{held['explained']:.0%}"),
    ]
    terminal.print_table(("what", "value"), lambda: rows, right=("value",))
