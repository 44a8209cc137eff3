"""`suite sample`: small inputs to try a task on, and synthetic data to train on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from pipelines.common.errors import UserError
from suite import options
from suite.exits import exits
from suite.terminal import called, print_json, printable

app = typer.Typer(help="Write small inputs to try a task on.", no_args_is_help=True)

DATASET = "maps.npz"
# Most wafers of a fab are normal, so a training set holds more of them than of any one pattern.
NORMAL_FACTOR = 2.0

SampleOut = Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")]
MapsPerClass = Annotated[
    int | None,
    typer.Option(
        "--maps-per-class",
        min=1,
        help=f"Write one labelled training set instead, {DATASET}: this many synthetic full-resolution maps "
        "of every pattern, and twice as many normal ones.",
    ),
]


Cases = Annotated[
    int | None,
    typer.Option(
        "--cases",
        min=1,
        help="Write a labelled training set instead, in the layout of the Medical Segmentation Decathlon: "
        "this many made-up bodies with four labels.",
    ),
]
Images = Annotated[
    int | None,
    typer.Option(
        "--images",
        min=1,
        help="Write a labelled training set instead: this many made-up photographs, and heads.csv.",
    ),
]


Polyps = Annotated[
    int | None,
    typer.Option(
        "--polyps",
        min=1,
        help="Write a training set instead: this many rendered polyps of known size, eight frames each. "
        "A polyp takes about four seconds.",
    ),
]
TRY = {
    "wafer": "classify {}",
    "medical": "segment {}/volumes/mr-thick-slices.nii.gz --model hippocampus",
    "crowd": "count {0}/photos --zones {0}/zones.json",
    "polyp": "size {}/clips",
}
NO_HIPPOCAMPUS = "These volumes have no hippocampus: that command shows the way, and its masks mean nothing."
SAMPLES = {
    "wafer": "pipelines.wafer.generate.samples",
    "medical": "pipelines.medical.generate.samples",
    "crowd": "pipelines.crowd.generate.samples",
    "polyp": "pipelines.polyp.render.samples",
}


@app.command("wafer")
def wafer(
    out: SampleOut,
    maps_per_class: MapsPerClass = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """About 30 small wafer maps, in every format that `suite wafer classify` reads."""
    with exits():
        _check_empty(out)
        if maps_per_class is None:
            from pipelines.wafer.generate.samples import write_samples

            written = write_samples(out, **_given(seed))
        else:
            from pipelines.wafer.generate.dataset import write_dataset

            written = [out / DATASET]
            write_dataset(
                written[0], maps_per_class=maps_per_class, seed=seed or 0, normal_factor=NORMAL_FACTOR
            )
        command = _try("wafer", out) if maps_per_class is None else _train("wafer", written[0])
        _print(out, written, as_json, [command])


@app.command("medical")
def medical(
    out: SampleOut,
    cases: Cases = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """Small made-up CT and MR volumes in every format that `suite medical segment` reads, with label maps."""
    with exits():
        _check_empty(out)
        if cases is None:
            from pipelines.medical.generate.samples import write_samples

            written = write_samples(out, **_given(seed))
        else:
            from pipelines.medical.generate.dataset import write_dataset

            written = write_dataset(out, cases=cases, seed=seed or 0)
        command = _try("medical", out) if cases is None else _train("medical", out)
        _print(out, written, as_json, [command])


@app.command("crowd")
def crowd(
    out: SampleOut,
    images: Images = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """Drawn pictures and a video of a square with people whose heads are known, zones, and broken files."""
    with exits():
        _check_empty(out)
        if images is None:
            from pipelines.crowd.generate.samples import write_samples

            written = write_samples(out, **_given(seed))
        else:
            from pipelines.crowd.generate.dataset import write_dataset

            written = write_dataset(out, images=images, seed=seed or 0)
        command = _try("crowd", out) if images is None else _train("crowd", out)
        _print(out, written, as_json, [command])


@app.command("polyp")
def polyp(
    out: SampleOut,
    polyps: Polyps = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """A few rendered clips of colonoscopy in the layout of REAL-Colon, with true sizes, and broken ones."""
    with exits():
        _check_empty(out)
        if polyps is None:
            from pipelines.polyp.render.samples import write_samples

            written = write_samples(out, **_given(seed))
        else:
            from pipelines.polyp.render import render_dataset

            render_dataset(out, polyps=polyps, seed=seed or 0)
            written = [out]
        command = _try("polyp", out) if polyps is None else _train("polyp", out)
        _print(out, written, as_json, [command])


@app.command("all")
def everything(
    out: SampleOut,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """The samples of every task, each in a folder of its own."""
    from importlib import import_module

    with exits():
        _check_empty(out)
        written: list[Path] = []
        for task, module in SAMPLES.items():
            written += import_module(module).write_samples(out / task, **_given(seed))
        _print(out, written, as_json, [_try(task, out / task) for task in SAMPLES])


def _given(seed: int | None) -> dict[str, int]:
    """The seed, if the user named one: each sample has one of its own."""
    return {} if seed is None else {"seed": seed}


def _try(task: str, folder: Path) -> str:
    """The command that takes the samples of a task in `folder`."""
    return f"{called()} {task} {TRY[task].format(shlex.quote(str(folder)))}"


def _train(task: str, data: Path) -> str:
    """The command that trains on a data set."""
    return f"{called()} {task} train {shlex.quote(str(data))} --out my-model"


def _check_empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty; give --out a new folder")


def _print(out: Path, written: list[Path], as_json: bool, commands: list[str]) -> None:
    """What was written, and the commands to try it with."""
    if as_json:
        print_json({"out": str(out), "files": [str(path) for path in written]})
        return
    number = sum(path.is_file() for path in out.rglob("*"))
    typer.echo(f"{number:,} {'file' if number == 1 else 'files'} in {printable(str(out))}")
    typer.echo("Try:")
    for command in commands:
        typer.echo(printable(f"  {command}"))
    if any("--model hippocampus" in command for command in commands):
        typer.echo(NO_HIPPOCAMPUS)
