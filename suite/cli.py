"""`suite`: one module per task, and what belongs to no task."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from pipelines.registry import TASKS
from suite import doctor, exits, listing, review, sample, terminal

CODES = (
    "Exit codes: 0 all done; 2 wrong usage or config, or nothing usable; 3 some items failed, the rest are"
    " saved; 4 found what --alarm-on names (also if some items failed); 130 interrupted; 1 a bug."
)

app = typer.Typer(
    name="suite",
    help="Sparse-convolution pipelines for inspection and imaging: one command per task.",
    epilog=CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _task in TASKS:
    app.add_typer(import_module(f"suite.{_task.name}").app, name=_task.name, help=_task.summary)
app.add_typer(sample.app, name="sample")
app.command("review")(review.review)
app.command("list")(listing.list_tasks)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from pipelines.common.hardware import suite_version

        typer.echo(f"suite {suite_version()}")
        raise typer.Exit(exits.OK)


@app.callback()
def suite(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console command."""
    try:
        app()
    except KeyboardInterrupt:  # before or after the command itself, which says more
        terminal.error("interrupted")
        sys.exit(exits.INTERRUPTED)
