"""The viewers of the review page, one module per task; a new task is one file here and one line below."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from apps.items import Viewer
from pipelines.common.errors import UserError

VIEWERS = {
    "wafer": "apps.viewers.wafer",
    "medical": "apps.viewers.medical",
    "crowd": "apps.viewers.crowd",
    "polyp": "apps.viewers.polyp",
}


def viewer_of(task: object) -> Viewer:
    """The viewer of a task, by the name that `run.json` has. Raises UserError if there is none."""
    if not isinstance(task, str) or task not in VIEWERS:
        raise UserError(f"runs of the task {task!r} cannot be reviewed; those of {', '.join(VIEWERS)} can")
    return cast(Viewer, import_module(VIEWERS[task]))
