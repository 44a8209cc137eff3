"""Held-out volumes segmented by every contestant: seconds in turns, and Dice of what they gave."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Row, Section, Summary, Timing, interleaved
from benchmarks.medical_segment.contestants import CONTESTANTS, DENSE, GROUPS, SPARSE, Labels, Segment
from pipelines.medical.prepare import Prepared

Contestants = Mapping[str, Segment]


def names_of(group: str) -> list[str]:
    """The contestants of a group, the sparse one first."""
    return list(dict.fromkeys([SPARSE, *GROUPS[group]]))


def measure(
    case: str,
    group: str,
    contestants: Contestants,
    prepared: Prepared,
    truth: NDArray[np.bool_],
    *,
    repeats: int,
    clock: Callable[[], float],
) -> Section:
    """One volume by one group."""
    found: dict[str, Labels] = {}

    def keep(name: str) -> None:
        found[name] = contestants[name](prepared)

    calls = {name: partial(keep, name) for name in contestants}
    timings = interleaved(calls, repeats=repeats, warm_up=0, clock=clock)
    rows = [
        {
            "case": case,
            "group": group,
            "contestant": name,
            "dice": dice(found[name] > 0, truth),
            **timings[name].columns(),
            "times_sparse": timings[name].median / timings[SPARSE].median,
        }
        for name in contestants
    ]
    return Section(rows, {})


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """The overlap of two masks, 0 to 1; 1 if both are empty (Dice, 1945)."""
    size = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / size if size else 1.0


def summarise(rows: Sequence[Row]) -> Section:
    """Over the volumes: median seconds with their spread, mean Dice, and both against sparse."""
    means: list[Row] = []
    summary: Summary = {}
    for name in CONTESTANTS:
        mine = [row for row in rows if row["contestant"] == name]
        if not mine:
            continue
        cases = {row["case"]: row for row in mine}.values()
        timing = Timing.of([row["seconds"] for row in mine])
        one = {
            "contestant": name,
            "volumes": len(cases),
            **timing.columns(),
            "dice": statistics.fmean(row["dice"] for row in cases),
            "times_sparse": statistics.median(row["times_sparse"] for row in mine),
        }
        means.append(one)
        key = _plain(name)
        summary[f"dice_{key}"] = one["dice"]
        if name != SPARSE:
            summary[f"sparse_over_{key}"] = one["times_sparse"]
    by_name = {one["contestant"]: one for one in means}
    if DENSE in by_name:
        summary["dice_points_sparse_minus_dense"] = 100 * (by_name[SPARSE]["dice"] - by_name[DENSE]["dice"])
    return Section(means, summary)


def _plain(name: str) -> str:
    return name.lower().replace(", ", "_").replace(" ", "_")
