"""`suite medical plan`, and what train shares with it: labelled cases, and the plan that they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.common.errors import UserError
from pipelines.common.whole import whole_number
from suite import exits, options, settings, terminal

if TYPE_CHECKING:
    from pipelines.medical.config import NetworkName, NetworkPlan, Plan, ReadLimits
    from pipelines.medical.data.dataset import Dataset

NETWORKS = "dense-unet|sparse-unet|dynunet|swinunetr"

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Labelled cases: a folder with imagesTr and labelsTr, one folder per case, or a cases.csv.",
        exists=True,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="DIR|NAME",
        help="A folder of label maps; or, with one folder per case, what the label map in each is called.",
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        metavar="NAME",
        help="What the images of a case are called, such as Flair; repeat it for several, in order.",
    ),
]
LabelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=VALUE",
        help="What a value of the label maps is called, such as liver=1; may be repeated.",
    ),
]
Network = Annotated[
    str | None,
    typer.Option("--network", metavar=NETWORKS, help="The network, whatever the plan says."),
]
Memory = Annotated[
    float | None,
    typer.Option("--memory", metavar="MIB", help="What a training step may take. Default: 6000."),
]


def plan(
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The plan to write, a YAML file.")],
    labels: Labels = None,
    channels: Channels = None,
    label_names: LabelNames = None,
    memory: Memory = None,
    network: Network = None,
    overwrite: options.Overwrite = False,
    config_file: options.ConfigFile = None,
    sets: options.Sets = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """What the cases are like, and what follows: spacing, patch, normalisation, network, memory.

    The plan is a file to read and change; give it to train with --plan.
    """
    with exits.exits():
        if out.exists() and not overwrite:
            raise UserError(f"{out} exists; name another file, or replace it with --overwrite")
        from pipelines.medical.config import ReadLimits
        from pipelines.medical.plan.file import write_plan

        limits = settings.resolve(ReadLimits, config_file, sets or (), {})
        with terminal.progress(quiet) as progress:
            cases = read_cases(data, labels, channels, label_names, quiet)
            found, fingerprint = plan_of(cases, memory, network, progress, limits)
        write_plan(out, found, fingerprint)
        if as_json:
            terminal.print_json(
                {"plan": found.model_dump(mode="json"), "fingerprint": fingerprint, "out": str(out)}
            )
        else:
            _print_plan(found, fingerprint)
            typer.echo(f"Plan: {terminal.printable(str(out))}")
    if fingerprint["left_out"]:
        raise typer.Exit(exits.SOME_FAILED)


def read_cases(
    data: Path, labels: str | None, channels: list[str] | None, names: list[str] | None, quiet: bool
) -> Dataset:
    """The labelled cases; what was noticed about them goes to stderr. Raises UserError without any."""
    from dataclasses import replace

    from pipelines.medical.data.dataset import read_dataset

    found = read_dataset(data, labels, channels or None)
    for text in found.notes:
        terminal.note(text, quiet)
    return replace(found, label_names={**found.label_names, **_label_names(names or [])})


def _label_names(texts: list[str]) -> dict[str, int]:
    found = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        number = whole_number(value.strip())
        if not equals or not name.strip() or number is None:
            raise UserError(f"--label needs the form name=value, such as liver=1, not {text!r}")
        found[name.strip()] = number
    return found


def plan_of(
    cases: Dataset,
    memory: float | None,
    network: str | None,
    progress: Any,
    limits: ReadLimits,
    sizes: NetworkPlan | None = None,
) -> tuple[Plan, dict[str, Any]]:
    """The plan that the cases lead to, and a summary of their fingerprint. memory: MiB of a training step."""
    from pipelines.medical.plan.fingerprint import take_fingerprint
    from pipelines.medical.plan.rules import MEMORY_MIB, make_plan

    name = None if network is None else network_name(network)
    fingerprint = take_fingerprint(cases, progress, max_voxels=limits.max_voxels)
    memory_mib = MEMORY_MIB if memory is None else memory
    found = make_plan(fingerprint, cases, memory_mib=memory_mib, network=name, sizes=sizes)
    return found, fingerprint.summary()


def network_name(text: str) -> NetworkName:
    """The network of that name. Raises UserError if there is none."""
    from typing import get_args

    from pipelines.medical.config import NetworkName

    for name in get_args(NetworkName):
        if name == text:
            return name  # type: ignore[no-any-return]
    raise UserError(f"--network must be one of {NETWORKS.replace('|', ', ')}, not {text!r}")


def _print_plan(plan: Plan, fingerprint: dict[str, Any]) -> None:
    rows = [
        ("cases", f"{fingerprint['cases']}, {len(fingerprint['left_out'])} left out"),
        ("shape, median", _times(fingerprint["shape"]["median"])),
        ("labels", ", ".join(f"{name} ({value})" for name, value in plan.labels.items())),
        ("modality", plan.modality),
        ("spacing, mm", _times(plan.spacing)),
        ("patch, voxels", f"{_times(plan.patch)}, {plan.batch_size} a batch"),
        ("active voxels", f"{plan.foreground.occupancy:.0%} ({plan.foreground.rule})"),
        ("network", f"{plan.network.name}: {plan.network.why}"),
        ("channels", ", ".join(map(str, plan.network.channels))),
        ("training memory, MiB", f"{plan.training_memory_mib or 0:,.0f}"),
    ]
    terminal.print_table(("what", "plan"), lambda: rows)
    for one in fingerprint["left_out"]:
        typer.echo(terminal.printable(f"Left out: {one['case']}: {one['reason']}"))


def _times(sides: Any) -> str:
    return " x ".join(f"{side:g}" for side in sides)
