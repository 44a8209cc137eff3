"""Small wafers for the seeds of the wafer readers, and how what they read is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from pipelines.wafer.data.record import FailedMap, SkippedFile, WaferMap
from pipelines.wafer.generate.dies import DieMap, make_die_map
from pipelines.wafer.generate.files import Names
from pipelines.wafer.generate.patterns import make_map
from pipelines.wafer.generate.shapes import Points

NAMES: Final = Names("LOT1", "W01", 3)
DEFECTS: Final = 12


def dies() -> DieMap:
    return make_die_map(np.random.default_rng(1), "Donut", 60)


def defects(seed: int = 0) -> tuple[Names, Points, float]:
    found = make_map(np.random.default_rng(seed), "ring", 300.0)[:DEFECTS]
    return Names("LOT1", f"W{seed:02d}", seed + 1), found, 300.0


def refused(items: Iterator[WaferMap | FailedMap | SkippedFile]) -> list[str]:
    """Why wafers were refused; also asks of each that was read what a run asks of it."""
    said = []
    for item in items:
        if isinstance(item, FailedMap):
            said.append(item.error)
        elif isinstance(item, SkippedFile):
            said.append(item.reason)
        else:
            assert item.name and isinstance(item.locatable, bool)
            assert float(np.abs(item.defects).max(initial=0.0)) < 1e9
    return said
