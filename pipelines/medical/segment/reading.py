"""What is read of a case before the model sees it; without torch, for processes that read ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.common.runner import FAILS_ONE, reason_of
from pipelines.medical.data.files import VolumeFile, read_volume
from pipelines.medical.data.record import Volume


@dataclass(frozen=True, slots=True)
class Todo:
    """A case without a row. number: among those of the run. bytes: of its files. The rest: see
    `cases.Task`."""

    source: Path
    name: str
    images: tuple[VolumeFile, ...]
    problem: str
    number: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Ready:
    """channels: the volumes of a case, none if there is a `problem`. seconds: that reading took."""

    todo: Todo
    channels: tuple[Volume, ...] = ()
    problem: str = ""
    seconds: float = 0.0


def read(max_voxels: int, todo: Todo) -> Iterator[Ready]:
    """A case with its volumes, of at most `max_voxels` each."""
    if todo.problem:
        yield Ready(todo, problem=todo.problem)
        return
    begun = time.monotonic()
    try:
        channels = tuple(read_volume(image, max_voxels=max_voxels) for image in todo.images)
    except FAILS_ONE as error:
        yield Ready(todo, problem=reason_of(error, "segmented"))
        return
    yield Ready(todo, channels, seconds=time.monotonic() - begun)


def lost(todo: Todo, taken: int, why: str) -> Ready:
    """What stands for a case whose process died."""
    return Ready(todo, problem=why)
