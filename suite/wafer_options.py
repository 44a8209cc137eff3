"""The options of `suite wafer` that no other task has."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class By(StrEnum):
    """What one point of a chart stands for."""

    lot = "lot"
    step = "step"
    tool = "tool"
    time = "time"


class Limits(StrEnum):
    """How wide control limits are."""

    laney = "laney"
    standard = "standard"


FalseAlarmRate = Annotated[
    float | None,
    typer.Option(
        "--false-alarm-rate",
        metavar="SHARE",
        help="The share of maps of known classes that may be called novel, such as 0.01."
        " Default: what is stored with the model.",
    ),
]
AlarmOn = Annotated[
    list[str] | None,
    typer.Option(
        "--alarm-on", metavar="novel|CLASS", help="End with exit code 4 if there is one; may be repeated."
    ),
]
WriteKlarf = Annotated[
    Path | None,
    typer.Option("--write-klarf", metavar="FILE", help="Also write maps and results to a new KLARF file."),
]
Diameter = Annotated[
    float | None,
    typer.Option("--diameter", metavar="MM", help="The diameter for files that state none. Default: 300."),
]
Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH", help="Files, and folders that are searched for wafer maps.", exists=True),
]

Runs = Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders of suite wafer classify.")]
ResultOut = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The folder to write; default: a new one in runs.")
]
MinSize = Annotated[
    int, typer.Option("--min-size", min=2, metavar="N", help="The fewest maps that make a cluster.")
]
ByOption = Annotated[By, typer.Option("--by", help="What one point of a chart is; time: a day.")]
Baseline = Annotated[
    list[Path] | None,
    typer.Option("--baseline", metavar="RUN", help="A run that sets the limits; may be repeated."),
]
Alarm = Annotated[bool, typer.Option("--alarm", help="End with exit code 4 if a point is out of its limits.")]
LimitsOption = Annotated[
    Limits,
    typer.Option("--limits", help="standard p and u charts, or widened where points vary more (laney)."),
]
Sigma = Annotated[
    float, typer.Option("--sigma", min=0.5, max=10, help="Standard deviations from centre to limit.")
]
MinMaps = Annotated[
    int, typer.Option("--min-maps", min=1, metavar="N", help="Points of fewer maps are no excursion.")
]

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="Labelled maps: an .npz file, or a folder with labels.csv.", exists=True
    ),
]
ModelOut = Annotated[Path, typer.Option("--out", metavar="MODEL", help="The model folder to write.")]
OldModel = Annotated[str, typer.Argument(metavar="MODEL", help="A bundled model or a model folder.")]
Labels = Annotated[
    Path, typer.Option("--labels", metavar="REVIEW.csv", help="The reviewed labels.", exists=True)
]
Replayed = Annotated[
    Path | None,
    typer.Option("--data", metavar="DATA", help="The model's training set, to replay.", exists=True),
]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="The folder that the reviewed sources are relative to."),
]
