"""`suite medical train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.errors import UserError
from pipelines.common.training.spread.launch import processes
from pipelines.common.whole import whole_number
from suite import exits, options, results, settings, terminal
from suite.medical_planning import (
    Channels,
    Data,
    LabelNames,
    Labels,
    Memory,
    Network,
    network_name,
    plan_of,
    read_cases,
)

if TYPE_CHECKING:
    from pipelines.common.training.spread.world import World
    from pipelines.medical.config import Plan, ReadLimits
    from pipelines.medical.data.dataset import Dataset
    from pipelines.medical.train.config import TrainConfig


def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="The model folder to write.")],
    labels: Labels = None,
    channels: Channels = None,
    label_names: LabelNames = None,
    plan_file: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="A plan. Default: the one that plan would write."),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MODEL", help="Start from a pretrained encoder, or from another segmenter."
        ),
    ] = None,
    network: Network = None,
    fold: Annotated[
        str | None,
        typer.Option("--fold", metavar="N|all|none", help="Which of the folds is held out. Default: 0."),
    ] = None,
    memory: Memory = None,
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
    """Train a segmenter on labelled cases, fold by fold, from nothing or from another model."""
    hint = "repeat the command with --resume to go on from the last saved epoch"
    with exits.exits(when_interrupted=hint), processes(devices, nodes) as start:
        from pipelines.common.models import check_model_target

        config = _train_config(config_file, sets, engine, device, seed, fold)
        check_model_target(out, overwrite=overwrite)
        quiet = quiet or not start.speaks
        cases = read_cases(data, labels, channels, label_names, quiet)
        with terminal.progress(quiet) as progress:
            chosen = _chosen_plan(plan_file, cases, memory, network, start_from, progress, config)
            if dry_run:
                if start.speaks:
                    _print_dry_run(chosen, config, len(cases.cases), out, as_json)
                return
            progress("loading torch")
            world = start(config.device)
            metrics = _train(cases, chosen, out, config, data, start_from, resume, overwrite, progress, world)
        if not start.speaks:
            return
        for one in metrics["left_out"]:
            terminal.note(f"{one['case']} was left out: {one['reason']}", quiet)
        if as_json:
            terminal.print_json({"model": str(out), "metrics": metrics})
        else:
            _print_folds(metrics, chosen)
            results.print_model(out, "medical segment VOLUMES")
    if metrics["left_out"]:
        raise typer.Exit(exits.SOME_FAILED)


def _train(
    cases: Dataset,
    chosen: Plan,
    out: Path,
    config: TrainConfig,
    data: Path,
    start_from: str | None,
    resume: bool,
    overwrite: bool,
    progress: Any,
    world: World,
) -> dict[str, Any]:
    from pipelines.medical.train.run import train as run
    from pipelines.medical.train.start import read_start

    return run(
        cases,
        chosen,
        out,
        config,
        name=data.resolve().name,
        start=read_start(start_from) if start_from else None,
        resume=resume,
        overwrite=overwrite,
        command=terminal.command_line(),
        progress=progress,
        world=world,
    )


def _chosen_plan(
    file: Path | None,
    cases: Dataset,
    memory: float | None,
    network: str | None,
    start_from: str | None,
    progress: Any,
    limits: ReadLimits,
) -> Plan:
    """The plan of the file, or the one that the data leads to, with the sizes of the model to start from."""
    if file is not None:
        if memory is not None:
            raise UserError("--memory has no effect on a plan that is there: give it to suite medical plan")
        return _with_network(_labelled_plan(file), network)
    sizes = None
    if start_from is not None:
        from pipelines.medical.config import NetworkPlan
        from pipelines.medical.train.start import read_start, same_sizes

        sizes = same_sizes(NetworkPlan(), read_start(start_from))
    return plan_of(cases, memory, network, progress, limits, sizes)[0]


def _labelled_plan(file: Path) -> Plan:
    from pipelines.medical.plan.file import read_plan_file
    from pipelines.medical.pretrain.simple_plan import UNLABELLED

    found = read_plan_file(file)
    if found.labels == UNLABELLED:
        raise UserError(
            f"{file} is a plan for volumes without labels, as suite medical pretrain makes it:"
            " give its labels, or let suite medical plan look at the labelled cases"
        )
    return found


def _with_network(plan: Plan, network: str | None) -> Plan:
    """The plan with another network; what that takes in training is not known."""
    if network is None or network == plan.network.name:
        return plan
    name = network_name(network)
    chosen = plan.network.model_copy(update={"name": name, "why": "As --network said."})
    return plan.model_copy(update={"network": chosen, "training_memory_mib": None})


def _train_config(
    file: Path | None,
    sets: list[str] | None,
    engine: options.Engine | None,
    device: str | None,
    seed: int | None,
    fold: str | None,
) -> TrainConfig:
    from pipelines.medical.train.config import TrainConfig

    number = whole_number(fold)
    given = {**options.computing(engine, device, seed), "fold": fold if number is None else number}
    return settings.resolve(TrainConfig, file, sets or (), given)


def _print_dry_run(plan: Plan, config: TrainConfig, cases: int, out: Path, as_json: bool) -> None:
    content = {
        "cases": cases,
        "out": str(out),
        "plan": plan.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
    }
    terminal.print_plan(content, as_json)


def _print_folds(metrics: dict[str, Any], plan: Plan) -> None:
    names = list(plan.labels)
    rows = [
        (
            "none" if fold["fold"] is None else str(fold["fold"]),
            str(fold["cases"]),
            str(len(fold["held_out"])),
            *(f"{fold['dice'][name]:.3f}" if name in fold["dice"] else "" for name in names),
        )
        for fold in metrics["folds"]
    ]
    if len(rows) > 1:
        mean = (f"{metrics['dice'][name]:.3f}" if name in metrics["dice"] else "" for name in names)
        rows.append(("mean", "", "", *mean))
    heads = ("fold", "cases", "held out", *(f"Dice {name}" for name in names))
    terminal.print_table(heads, lambda: rows, right=heads[1:])
