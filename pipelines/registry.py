"""The tasks of the suite: names to modules, free of torch.

A new task is a folder in `pipelines`, a module of the same name in `suite`, and a line here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """name: the word on the command line; package: its pipeline; verb: its main command."""

    name: str
    package: str
    verb: str
    summary: str


TASKS: tuple[Task, ...] = (
    Task("wafer", "pipelines.wafer", "classify", "Known and unknown defect patterns on wafer maps."),
    Task("medical", "pipelines.medical", "segment", "Organs and lesions in CT and MRI volumes."),
    Task("crowd", "pipelines.crowd", "count", "People in images and videos, with an interval and by zone."),
    Task("polyp", "pipelines.polyp", "size", "The size of polyps in frames of colonoscopy. For research."),
)
