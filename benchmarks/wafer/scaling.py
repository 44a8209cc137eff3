"""How the time of one map grows with its defects, and with the resolution at the same defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.common import Row, Section, Summary, Timing, interleaved
from benchmarks.wafer.contestants import DENSE, Contestants
from benchmarks.wafer.inputs import scattered_map
from pipelines.common.models import find_model, read_config
from pipelines.wafer.model.kinds import Coordinates
from pipelines.wafer.model.trained import TASK
from sparse_backbones.engines import load

HEADLINE_DEFECTS = 20_000
LEAST_SECONDS = 0.05
# Below this, what a call costs at all hides what a defect costs.
FIT_FROM = 10_000


def defects(contestants: Contestants, counts: Sequence[int], *, repeats: int) -> Section:
    """`predict` on one map after reading, at the model's own resolution, for rising numbers of defects."""
    rows: list[Row] = []
    timings: dict[str, dict[int, Timing]] = {}
    for count in counts:
        calls = contestants.predict([scattered_map(count)], "coordinates")
        for name, timing in interleaved(calls, repeats=repeats, least_seconds=LEAST_SECONDS).items():
            rows.append({"engine": name, "defects": count, **timing.columns()})
            timings.setdefault(name, {})[count] = timing
    summary: Summary = {}
    for name, by_count in timings.items():
        if HEADLINE_DEFECTS in by_count:
            summary[f"seconds_{HEADLINE_DEFECTS}_defects_{name}"] = by_count[HEADLINE_DEFECTS].median
        large = {count: timing.median for count, timing in by_count.items() if count >= FIT_FROM}
        if len(large) > 1 and name != DENSE:
            summary[f"defects_exponent_{name}"] = exponent(large)
    return Section(rows, summary)


def exponent(seconds: dict[int, float]) -> float:
    """The slope of log time over log size by least squares: 1 is proportional."""
    sizes = np.log(np.array(list(seconds), dtype=np.float64))
    times = np.log(np.array(list(seconds.values())))
    return float(np.polyfit(sizes, times, 1)[0])


def resolution(
    contestants: Contestants, sides: Sequence[int], *, defects: int = HEADLINE_DEFECTS, repeats: int
) -> Section:
    """Encoding and the network on the same map with its wafer spread over ever more sites a side.

    Both engines at all sides are timed in turn. The network is the model's own architecture, whose stem
    follows the resolution, with random weights: its answers mean nothing, its time does.
    """
    wafer = scattered_map(defects)
    architecture = read_config(find_model(TASK, contestants.models["coordinates"]), task=TASK)["architecture"]
    calls = {}
    for side in sides:
        for engine in contestants.engines:
            trained, kind = contestants.model("coordinates", engine), Coordinates(side)
            network = kind.build(load(engine), len(trained.labels), architecture).eval()
            model = replace(trained, kind=kind, network=network)
            calls[f"{engine} {side}"] = lambda model=model: model.run([wafer])
    rows: list[Row] = []
    seconds: dict[tuple[str, int], float] = {}
    for name, timing in interleaved(calls, repeats=repeats).items():
        engine, _, sites = name.partition(" ")
        rows.append({"engine": engine, "side": int(sites), "defects": defects, **timing.columns()})
        seconds[engine, int(sites)] = timing.median
    summary = {
        f"resolution_{sides[-1]}_over_{sides[0]}_{engine}": seconds[engine, sides[-1]]
        / seconds[engine, sides[0]]
        for engine in contestants.engines
    }
    return Section(rows, summary)
