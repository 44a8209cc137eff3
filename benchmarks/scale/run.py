"""All sections, one after the other; a run that was broken off goes on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cache import cache_folder
from benchmarks.common import Row, Section, Sections, print_report
from benchmarks.scale import more, whole
from benchmarks.scale.inputs import folder_of
from pipelines.common.runner import Runner, Work
from pipelines.common.runner import run as compute

ITEMS = 20_000  # of nothing, for Ray's own work
BLOCK = 64
LINE = "x" * 1_000  # about what a row with its drawing takes


@dataclass(frozen=True, slots=True)
class Settings:
    """maps: sizes of whole runs. parts: maps for everything else. ray: whether Ray is measured too."""

    target: Path
    maps: tuple[int, ...] = (1_000, 10_000, 100_000)
    parts: int = 10_000
    ray: bool = True
    cache: Path | None = None


def run(settings: Settings) -> dict[str, Any]:
    """Measure everything, print and write it."""
    facts: dict[str, Any] = {"maps": list(settings.maps), "parts": settings.parts, "ray": settings.ray}
    facts["threads"] = os.environ.get("OMP_NUM_THREADS", "")
    sections = Sections(settings.target, facts, say=partial(print, file=sys.stderr, flush=True))
    scratch = cache_folder("scale", settings.cache)
    folder = folder_of(settings.parts, settings.cache)

    def parts() -> Section:
        from benchmarks.scale.parts import measure  # it comes with torch

        return measure(folder, scratch / "parts")

    found = sections.run("parts", parts)
    sections.run("workers", lambda: whole.by_workers(folder, settings.parts, scratch, ray=settings.ray))
    folders = {count: folder_of(count, settings.cache) for count in settings.maps}
    sections.run("maps", lambda: whole.by_maps(folders, scratch, workers=1))
    if settings.ray:
        ray = sections.run("ray itself", ray_itself)
        costs = more.Costs.of(found.summary, ray.summary["us_of_ray_per_map"])
        sections.run("more workers, simulated", lambda: more.simulate(costs))
    report = sections.finish()
    print_report(report)
    return report


def ray_itself() -> Section:
    """What Ray takes where there is nothing to do: its start, and the driver's work for each map."""
    work = Work(_one, _lost, Nothing, BLOCK, "cpu")
    rows: list[Row] = []
    for items in (BLOCK, ITEMS):
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in compute(work, range(items), Nothing(), Runner("ray", 1)):
            pass
        spent = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
        rows.append({"items": items, "items_in_a_block": BLOCK, **spent})
    few, many = rows
    each = (many["cpu_seconds"] - few["cpu_seconds"]) / (ITEMS - BLOCK)
    summary = {"ray_start_seconds": few["wall_seconds"], "us_of_ray_per_map": 1e6 * max(0.0, each)}
    return Section(rows, summary)


def _one(item: int) -> Iterator[int]:
    yield item


def _lost(item: int, taken: int, why: str) -> int:
    return item


class Nothing:
    """A job whose results have the size of rows."""

    def do(self, parts: Iterable[int], /) -> Iterator[str]:
        """A line for each part."""
        for _ in parts:
            yield LINE
