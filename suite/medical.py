"""`suite medical`: one module per group of verbs."""

from __future__ import annotations

import typer

from suite import medical_measuring, medical_training

app = typer.Typer(no_args_is_help=True)
app.command("plan")(medical_training.plan)
app.command("train")(medical_training.train)
app.command("evaluate")(medical_measuring.evaluate)
app.command("compare")(medical_measuring.compare)
