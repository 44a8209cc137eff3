"""What is read of an item before the model sees it; without torch, for processes that read ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipelines.common.runner import FAILS_ONE, reason_of
from pipelines.crowd.count.items import Item
from pipelines.crowd.data.images import read_image
from pipelines.crowd.data.record import Picture


@dataclass(frozen=True, slots=True)
class Todo:
    """An item of a run. number: among all. finished: frames that have a row; None stands for the row of an
    image, or of a video as a whole. counts: of the frames that were counted."""

    item: Item
    number: int
    finished: frozenset[int | None] = frozenset()
    counts: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """picture: of an image; the frames of a video are read while they are counted. problem: why it cannot be
    counted. seconds: that reading took."""

    todo: Todo
    picture: Picture | None = None
    problem: str = ""
    seconds: float = 0.0


def read(max_pixels: int, todo: Todo) -> Iterator[Ready]:
    """An item that has no row yet, an image with its pixels."""
    if None in todo.finished:
        return
    if todo.item.problem or todo.item.kind == "video":
        yield Ready(todo, problem=todo.item.problem)
        return
    begun = time.monotonic()
    try:
        picture = read_image(todo.item.source, max_pixels=max_pixels)
    except FAILS_ONE as error:
        yield Ready(todo, problem=reason_of(error, "counted"))
        return
    yield Ready(todo, picture, seconds=time.monotonic() - begun)


def lost(todo: Todo, taken: int, why: str) -> Ready:
    """What stands for an item whose process died."""
    return Ready(todo, problem=why)
