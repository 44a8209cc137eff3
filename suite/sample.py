"""`suite sample`: small inputs to try a task on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.common.errors import UserError
from suite import options
from suite.exits import exits
from suite.terminal import print_json, printable

app = typer.Typer(help="Write small inputs to try a task on.", no_args_is_help=True)

SampleOut = Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")]


@app.command("wafer")
def wafer(out: SampleOut, seed: options.Seed = None, as_json: options.Json = False) -> None:
    """About 30 small wafer maps, in every format that `suite wafer classify` reads."""
    with exits():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"{out} is not empty; give --out a new folder")
        from pipelines.wafer.generate.samples import write_samples

        written = [str(path) for path in write_samples(out, seed=seed or 0)]
        if as_json:
            print_json({"out": str(out), "files": written})
        else:
            typer.echo("\n".join(printable(path) for path in written))
