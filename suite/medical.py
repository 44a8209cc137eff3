"""`suite medical`: one module per group of verbs."""

from __future__ import annotations

import typer

from suite import (
    medical_measuring,
    medical_planning,
    medical_pretraining,
    medical_segmenting,
    medical_training,
)

app = typer.Typer(no_args_is_help=True)
app.command("segment")(medical_segmenting.segment)
app.command("plan")(medical_planning.plan)
app.command("pretrain")(medical_pretraining.pretrain)
app.command("train")(medical_training.train)
app.command("evaluate")(medical_measuring.evaluate)
app.command("compare")(medical_measuring.compare)
