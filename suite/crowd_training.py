"""`suite crowd train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.errors import UserError
from pipelines.common.training.spread.launch import processes
from suite import exits, options, results, settings, terminal
from suite.folders import names_of

if TYPE_CHECKING:
    from pipelines.crowd.config import NetworkName
    from pipelines.crowd.data import Case
    from pipelines.crowd.train.config import TrainConfig

NETWORKS = "sparse-counter|dense-counter|m-segnet|m-sfanet|hmode|mcnn"
SHOWN = (("mae", "MAE"), ("rmse", "RMSE"), ("nae", "NAE"), ("bias", "bias"), ("coverage", "coverage"))


def train(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="Images with marked heads: folders in a known layout, CSV or COCO files; see the docs.",
            exists=True,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="The model folder to write.")],
    network: Annotated[
        str | None,
        typer.Option("--network", metavar=NETWORKS, help="The network. Default: sparse-counter."),
    ] = None,
    encoder_weights: Annotated[
        Path | None,
        typer.Option(
            "--encoder-weights",
            metavar="FILE",
            help="VGG16-bn weights (.safetensors) that m-segnet, m-sfanet or hmode start from.",
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
    """Train a network on images with marked heads, and measure it on images that are held out.

    The held-out images also calibrate the intervals of its counts.
    """
    hint = "repeat the command with --resume to go on from the last checkpoint"
    with exits.exits(when_interrupted=hint), processes(devices, nodes) as start:
        from pipelines.common.models import check_model_target

        config = _train_config(config_file, sets, engine, device, seed, network)
        check_model_target(out, overwrite=overwrite)
        quiet = quiet or not start.speaks
        cases = _cases(data, layout or "", quiet)
        if dry_run:
            if start.speaks:
                _print_dry_run(config, cases, out, as_json)
            return
        with terminal.progress(quiet) as progress:
            progress("loading torch")
            world = start(config.device)
            from pipelines.crowd.train.run import train as run

            metrics = run(
                cases,
                out,
                config,
                encoder_weights=encoder_weights,
                resume=resume,
                overwrite=overwrite,
                command=terminal.command_line(),
                progress=progress,
                world=world,
            )
        if not start.speaks:
            return
        for one in metrics["left_out"]:
            terminal.note(f"{one['image']} was left out: {one['reason']}", quiet)
        if as_json:
            terminal.print_json({"model": str(out), "metrics": metrics})
        else:
            _print_scores(metrics, config)
            results.print_model(out, "crowd count IMAGES_OR_VIDEOS")
    if metrics["left_out"]:
        raise typer.Exit(exits.SOME_FAILED)


def _cases(data: list[Path], layout: str, quiet: bool) -> dict[str, tuple[Case, ...]]:
    """The cases of all data sets, by the names of their folders."""
    from pipelines.crowd.data import read_dataset

    names = names_of(data)
    found = {}
    for path, name in zip(data, names, strict=True):
        dataset = read_dataset(path, layout=layout)
        for text in dataset.notes:
            terminal.note(f"{name}: {text}", quiet)
        found[name] = dataset.cases
    return found


def _train_config(
    file: Path | None,
    sets: list[str] | None,
    engine: options.Engine | None,
    device: str | None,
    seed: int | None,
    network: str | None,
) -> TrainConfig:
    from pipelines.crowd.train.config import TrainConfig

    given = options.computing(engine, device, seed)
    found = settings.resolve(TrainConfig, file, sets or (), given)
    if network is None:
        return found
    chosen = found.network.model_copy(update={"name": _network_name(network)})
    return found.model_copy(update={"network": chosen})


def _network_name(text: str) -> NetworkName:
    from typing import get_args

    from pipelines.crowd.config import NetworkName

    for name in get_args(NetworkName):
        if name == text:
            return name  # type: ignore[no-any-return]
    raise UserError(f"--network must be one of {NETWORKS.replace('|', ', ')}, not {text!r}")


def _print_dry_run(config: TrainConfig, cases: dict[str, tuple[Case, ...]], out: Path, as_json: bool) -> None:
    from pipelines.crowd.train.split import split_cases

    parts = [split_cases(some, config.held_out, config.seed) for some in cases.values()]
    content = {
        "images": sum(len(training) for training, _ in parts),
        "held_out": sum(len(held_out) for _, held_out in parts),
        "out": str(out),
        "config": config.model_dump(mode="json"),
    }
    terminal.print_plan(content, as_json)


def _print_scores(metrics: dict[str, Any], config: TrainConfig) -> None:
    scores = metrics["scores"]
    if not scores:
        typer.echo("No image was held out: nothing was measured, and counts have no interval.")
        return
    found = scores["metrics"]
    rows = [
        (title, f"{found[name]['value']:.3g}", _ends(found[name]))
        for name, title in SHOWN
        if name in found and found[name]["value"] is not None
    ]
    if scores.get("gate_recall") is not None:
        rows.append(("heads in refined blocks", f"{scores['gate_recall']:.1%}", ""))
    people = f"{scores['images']} held-out images, {scores['people']:,.0f} heads"
    typer.echo(f"{people}; intervals of {config.confidence:.0%}")
    terminal.print_table(("score", "value", "95% of resamplings"), lambda: rows, right=("value",))


def _ends(metric: dict[str, Any]) -> str:
    return "" if metric["low"] is None else f"{metric['low']:.3g} to {metric['high']:.3g}"
