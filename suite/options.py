"""Options that mean the same in every command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.common.runner import Runner

COMPUTING, CONFIGURING, RUNNING, PRINTING = "Where to compute", "Config", "The run", "Output"


class Engine(StrEnum):
    """The sparse engines, and `auto`."""

    auto = "auto"
    native = "native"
    minkowski = "minkowski"


class RunnerName(StrEnum):
    """Where the items of a run are computed."""

    local = "local"
    ray = "ray"


Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER",
        help="A bundled model (see suite list) or a model folder. Default: auto, the bundled one that suits.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="RUN",
        help="The run folder to write; default: a new one in runs.",
        rich_help_panel=RUNNING,
    ),
]
EngineOption = Annotated[
    Engine | None,
    typer.Option("--engine", help="The sparse engine. Default: auto.", rich_help_panel=COMPUTING),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="auto|cpu|cuda[:N]", help="The device. Default: auto.", rich_help_panel=COMPUTING
    ),
]
RunnerOption = Annotated[
    RunnerName,
    typer.Option(
        "--runner",
        help="The model in this process, or in actors on a Ray cluster.",
        rich_help_panel=COMPUTING,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=0,
        help="Processes that read ahead of the model, 0 for none; on Ray, actors. Default: by the cores.",
        rich_help_panel=COMPUTING,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="A Ray cluster that is there already; without it one is started on this machine.",
        rich_help_panel=COMPUTING,
    ),
]
Devices = Annotated[
    int | None,
    typer.Option(
        "--devices",
        metavar="N",
        min=1,
        help="Train on so many GPUs of this machine, or processes on its CPU. Default: 1.",
        rich_help_panel=COMPUTING,
    ),
]
Nodes = Annotated[
    int | None,
    typer.Option(
        "--nodes",
        metavar="N",
        min=1,
        help="Train on so many machines; see the docs. Default: 1.",
        rich_help_panel=COMPUTING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="The seed of everything random. Default: 0.", rich_help_panel=CONFIGURING),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A YAML or JSON file of settings; see the docs.",
        rich_help_panel=CONFIGURING,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting, over the file's; may be repeated. A wrong KEY prints the names of all.",
        rich_help_panel=CONFIGURING,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with what was stopped: the same command, with --out and this.",
        rich_help_panel=RUNNING,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="With --resume: also do again what failed, as when a disk was away or memory was short.",
        rich_help_panel=RUNNING,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is at --out.", rich_help_panel=RUNNING)
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Check everything and say what would be done.", rich_help_panel=RUNNING),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.", rich_help_panel=PRINTING)]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.", rich_help_panel=PRINTING)]
Layout = Annotated[
    str | None,
    typer.Option("--layout", metavar="NAME", help="The layout of the data, if it is taken for another."),
]


def computing(engine: Engine | None, device: str | None, seed: int | None) -> dict[str, Any]:
    """The fields of a config that these options give; None where one was not given."""
    return {"engine": engine and engine.value, "device": device, "seed": seed}


def runner(name: RunnerName, workers: int | None, address: str | None) -> Runner:
    """The runner that these options ask for. Raises UserError if they contradict, or there is no Ray."""
    from pipelines.common.errors import UserError
    from pipelines.common.runner import Runner

    if name == RunnerName.local:
        if address is not None:
            raise UserError("--ray-address needs --runner ray")
        return Runner(workers=workers)
    if workers == 0:
        raise UserError("--workers 0 is for --runner local: on Ray there is at least one actor")
    from pipelines.common.runner.on_ray import check_ray

    check_ray(address or "")
    return Runner("ray", workers, address or "")
