"""`suite crowd`: one module per group of verbs."""

from __future__ import annotations

import typer

from suite import crowd_counting, crowd_measuring, crowd_training

app = typer.Typer(no_args_is_help=True)
app.command("count")(crowd_counting.count)
app.command("train")(crowd_training.train)
app.command("evaluate")(crowd_measuring.evaluate)
