"""`suite`: one module per task, and what belongs to no task."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pipelines.registry import TASKS
from suite import doctor, exits, interrupt, listing, review, sample, terminal

CODES = (
    "Exit codes: 0 all done; 2 wrong usage or config, or nothing usable; 3 some items failed, the rest are"
    " saved; 4 found what --alarm-on names (also if some items failed); 130 interrupted; 1 a bug."
)

BEGIN = (
    "To begin: `suite sample all --out samples` writes small inputs for every task, and says how to try them."
    " `--help` after a command says what it takes and writes."
)


class Command(TyperCommand):
    """A command whose help gives no type to options that take no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = super().get_params(ctx)
        for one in found:
            if getattr(one, "is_flag", False):
                one.metavar = ""
        return found


app = typer.Typer(
    name="suite",
    help="Sparse-convolution pipelines for inspection and imaging: a group of commands per task.",
    epilog=f"{BEGIN}\n\n{CODES}",
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
for _one in (app, *(group.typer_instance for group in app.registered_groups)):
    for _command in _one.registered_commands if _one else ():
        _command.cls = Command


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
        interrupt.listen()
        app()
    except KeyboardInterrupt:  # before or after the command itself, which says more
        interrupt.ignore()
        terminal.error("interrupted")
        sys.exit(exits.INTERRUPTED)
    except SystemExit as ended:
        interrupt.ignore()  # all is done and said
        from pipelines.common.training.spread.launch import joined

        if ended.code and joined():
            # Threads that wait for a process that has gone may abort this one while Python ends.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else exits.BUG)
        raise
