"""Work without a model: an item is a number, its parts are as many numbers, and the job doubles them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipelines.common.errors import UserError
from pipelines.common.runner import Work

KILLS, REFUSES, HAS_A_BUG, STOPS_HALFWAY = -1, -2, -3, -4


def read(pause: float, item: int) -> Iterator[tuple[int, int, int]]:
    """(item, part, process) for each part."""
    if item == KILLS:
        os._exit(9)
    if item == REFUSES:
        raise UserError("this item has changed")
    if item == HAS_A_BUG:
        raise KeyError("there is a bug")
    for part in range(3 if item == STOPS_HALFWAY else item):
        if item == STOPS_HALFWAY and part == 2:
            time.sleep(0.2)  # so that the first two parts are on their way
            os._exit(9)
        time.sleep(pause)
        yield item, part, os.getpid()


def lost(item: int, taken: int, why: str) -> tuple[int, int, int]:
    return item, taken, 0


def load(**options: Any) -> Doubling:
    return Doubling(**options)


@dataclass(slots=True)
class Doubling:
    """kills: an item that ends the process of the model. pause: seconds for each part."""

    kills: int = -100
    pause: float = 0.0
    processes: set[int] = field(default_factory=set)

    def do(self, parts: Iterable[tuple[int, int, int]], /) -> Iterator[tuple[int, int, int]]:
        """(item, twice the part, the process that read it or 0 if it was lost)."""
        for item, part, process in parts:
            if item == self.kills and process:
                os._exit(9)
            time.sleep(self.pause)
            self.processes.add(process)
            yield item, 2 * part, process


def work(*, pause: float = 0.0, block: int = 1, **options: Any) -> Work[Any, Any, Any]:
    return Work(partial(read, pause), lost, partial(load, **options), block, "cpu")
