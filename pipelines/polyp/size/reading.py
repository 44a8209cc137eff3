"""What is read of a polyp before the models see it; without torch, for processes that read ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.common.runner import FAILS_ONE, reason_of
from pipelines.polyp.data import FailedFrame, Frame, FrameListing, frames_of, read_frames
from pipelines.polyp.size.choose import Chosen, choose
from pipelines.polyp.size.config import PredictConfig
from pipelines.polyp.size.fields import Fields, fields_of
from pipelines.polyp.size.items import Item


@dataclass(frozen=True, slots=True)
class Todo:
    """A polyp without a row. number: among all of the run."""

    item: Item
    number: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A polyp whose frames follow, as many as are `chosen`. seconds: that it took to find them."""

    todo: Todo
    listing: FrameListing
    chosen: Chosen
    fields: Fields
    seconds: float


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of a polyp. problem: why it cannot be measured, else empty."""

    todo: Todo
    problem: str = ""


Part = Opened | Frame | FailedFrame | Closed


@dataclass(frozen=True, slots=True)
class Reader:
    """finder: whether there is a model that finds lesions. marks: `boxes` or `masks` where the user gave
    them, else `labels`."""

    config: PredictConfig
    finder: bool
    marks: str

    def __call__(self, todo: Todo) -> Iterator[Part]:
        """A polyp: that it is opened, its frames in order of time, and its end."""
        begun = time.monotonic()
        try:
            listing = frames_of(todo.item.polyp)
            chosen = self.choose(todo.item, listing)
            fields = fields_of(chosen.refs, self.config.max_pixels)
            yield Opened(todo, listing, chosen, fields, time.monotonic() - begun)
            yield from read_frames(chosen.refs, max_pixels=self.config.max_pixels)
        except FAILS_ONE as error:
            yield Closed(todo, reason_of(error, "measured"))
        else:
            yield Closed(todo)

    def choose(self, item: Item, listing: FrameListing) -> Chosen:
        """Which frames are looked at. Raises PolypError."""
        return choose(item, listing, self.config, finder=self.finder, marks=self.marks)


def lost(todo: Todo, taken: int, why: str) -> Part:
    """What stands for the rest of a polyp whose process died."""
    return Closed(todo, why)
