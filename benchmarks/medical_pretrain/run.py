"""The whole benchmark: each workload at each ratio, and what it says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Row, Section, Sections, Timing, print_report
from benchmarks.engines.rounds import in_rounds, ratio, timed
from benchmarks.medical_pretrain import memory
from benchmarks.medical_pretrain.workloads import CONTESTANTS, SIMULATION, SPARSE, WORKLOADS, Step

RATIOS = (0.6, 0.75)
QUICK = ("hippocampus", "brain")
TOLERANCE = 1e-4
AGREED_STEPS = 3
MOST_SECONDS = 600.0
MIB = 2**20


class Disagreement(RuntimeError):
    """The contestants compute different losses, so their times say nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """data: the folder that holds `medical`. target: the JSON. only: workloads, all if empty."""

    data: Path
    target: Path
    quick: bool = False
    threads: int = 2
    rounds: int = 7
    only: tuple[str, ...] = ()

    @property
    def workloads(self) -> list[str]:
        wanted = self.only or (QUICK if self.quick else tuple(WORKLOADS))
        return [name for name in WORKLOADS if name in wanted]


def run(settings: Settings) -> dict[str, Any]:
    """Measure everything, write the JSON, print the tables; goes on where an earlier run broke off.

    Raises UserError if data are missing, and Disagreement if the losses differ.
    """
    torch.set_num_threads(settings.threads)
    facts = {
        "data": str(settings.data),
        "quick": settings.quick,
        "threads": settings.threads,
        "rounds": settings.rounds,
        "only": list(settings.only),
        "tolerance": TOLERANCE,
    }
    sections = Sections(settings.target, facts, say=partial(print, file=sys.stderr, flush=True))
    for name, share in _cases(settings):
        sections.run(f"{name}_{share:.0%}", partial(measure, name, share, settings))
    report = sections.finish()
    print_report(report)
    return report


def _cases(settings: Settings) -> Iterator[tuple[str, float]]:
    for name in settings.workloads:
        for share in RATIOS:
            yield name, share


def measure(name: str, share: float, settings: Settings) -> Section:
    """Agreement, seconds of a step in turns, and peak memory at one share of hidden cells."""
    steps = {one: Step(one, name, share, settings.data, quick=settings.quick) for one in CONTESTANTS}
    apart, first = agreed({one: step.losses(AGREED_STEPS) for one, step in steps.items()})
    shape, cells = list(steps[SPARSE].images.shape), steps[SPARSE].mask
    occupancy = 1.0 if (valid := steps[SPARSE].valid) is None else float(valid.float().mean())
    seconds = in_rounds(
        {one: timed(step) for one, step in steps.items()}, rounds=settings.rounds, most_seconds=MOST_SECONDS
    )
    del steps
    peaks = _peaks(name, share, settings)
    facts: Row = {
        "workload": name,
        "about": WORKLOADS[name].about,
        "batch": "x".join(map(str, shape)),
        "image_share": round(occupancy, 4),
        "hidden_cells": round(float(cells.float().mean()), 4),
    }
    rows = [
        {
            **facts,
            "contestant": one,
            **Timing.of(seconds[one]).columns(),
            **({"peak_mib": round(peaks[one] / MIB, 1)} if peaks else {}),
            "loss": first,
            "loss_apart": apart,
        }
        for one in CONTESTANTS
    ]
    key = f"{name}_{round(100 * share)}"
    summary = {f"{key}_times_faster": ratio(seconds[SIMULATION], seconds[SPARSE])}
    if peaks:
        summary[f"{key}_memory_share"] = peaks[SPARSE] / peaks[SIMULATION]
    return Section(rows, summary)


def _peaks(name: str, share: float, settings: Settings) -> dict[str, int]:
    """Bytes of each contestant; of a quick run at the last ratio only, as processes take long to start."""
    if settings.quick and share != RATIOS[-1]:
        return {}
    return {
        one: memory.measure(one, name, share, settings.data, quick=settings.quick, threads=settings.threads)
        for one in CONTESTANTS
    }


def agreed(losses: dict[str, list[float]]) -> tuple[float, float]:
    """The largest relative difference of the losses of a step, and the first loss. Raises Disagreement."""
    pairs = list(zip(losses[SPARSE], losses[SIMULATION], strict=True))
    apart = [abs(one - other) / abs(other) for one, other in pairs]
    if not all(part <= TOLERANCE for part in apart):  # what is no number agrees with nothing
        raise Disagreement(f"the losses differ by more than {TOLERANCE:g} of their size: {pairs}")
    return max(apart), pairs[0][0]
