"""`suite polyp`: one module per group of verbs."""

from __future__ import annotations

import typer

from suite import polyp_measuring, polyp_sizing, polyp_training

app = typer.Typer(no_args_is_help=True)
app.command("size")(polyp_sizing.size)
app.command("train")(polyp_training.train)
app.command("evaluate")(polyp_measuring.evaluate)
