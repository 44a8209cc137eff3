"""`suite polyp`: one module per group of verbs."""

from __future__ import annotations

import typer

from suite import polyp_sizing

app = typer.Typer(no_args_is_help=True)
app.command("size")(polyp_sizing.size)
