"""Run folders of counted images and videos, made by the command's own code with a small network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apps.items import Item, Run
from apps.store import Store, Verdict
from apps.viewers import crowd
from apps.viewers.crowd_marks import Point, as_detail
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.run import count
from tests.pipelines.crowd.count.made_models import predictor, write_film
from tests.pipelines.crowd.train.builders import write_scenes

ZONES = {
    "units": "normalised",
    "zones": [
        {"name": "<b>left</b>", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]},
        {"name": "right", "polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]},
    ],
}
SIZE = 128, 96  # px, width and height of a scene


def counted(folder: Path, *, calibrated: bool = True, film: bool = True, **settings: Any) -> Path:
    """A run of three scenes, of frames 0, 2 and 4 of a film, and of a file that is no image."""
    inputs = write_scenes(folder / "inputs", [12, 40, 0])
    (inputs / "torn.png").write_bytes((inputs / "scene0.png").read_bytes()[:200])
    if film:
        write_film(inputs / "film.avi")
    zones = folder / "zones.json"
    zones.write_text(json.dumps(ZONES))
    config = CountConfig(stride=2, zones=zones, **settings)
    count([inputs], predictor=predictor(calibrated=calibrated), config=config, out=folder / "run")
    return folder / "run"


def item_of(run: Run, title: str) -> Item:
    """The item with this title."""
    return next(item for item in run.items if item.title == title)


def corrected(run: Path, title: str, points: list[Point] | None = None, label: str = "") -> None:
    """Keep a verdict: heads that were marked, or without them a count."""
    item = item_of(Run(run, crowd), title)
    detail = "" if points is None else as_detail(points, *SIZE)
    label = label or str(len(points or []))
    Store(run).add(Verdict(*item.id, item.model, item.prediction, None, "relabel", label), detail)
