"""What a task tells a runner: how an item is read, and what the loaded model makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Part = TypeVar("Part")
Done = TypeVar("Done")
Takes = TypeVar("Takes", contravariant=True)
Gives = TypeVar("Gives", covariant=True)


class Job(Protocol[Takes, Gives]):
    """A model that was loaded once, at work."""

    def do(self, parts: Iterable[Takes], /) -> Iterator[Gives]:
        """What comes of the parts of one item after the other, in order. Batches may span items."""


@dataclass(frozen=True, slots=True)
class Work(Generic[Item, Part, Done]):
    """Items, their parts, and what is done with them. Items, parts and results go from process to process, so
    an item should name its files and hold no pixels.

    read: the parts of an item, one after the other, without a model. It is sent to the processes that read,
        and should not import torch.
    lost: the part that stands for the rest of an item whose process died; gets the item, how many of its
        parts came before, and why.
    load: loads the model in the process that calls it; it is sent to the actors of a cluster.
    block: how many items an actor gets at a time.
    device: on which the actors compute; `cpu` leaves the cluster's GPUs alone.
    """

    read: Callable[[Item], Iterator[Part]]
    lost: Callable[[Item, int, str], Part]
    load: Callable[[], Job[Part, Done]]
    block: int = 1
    device: str = "auto"
