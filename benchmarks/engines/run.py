"""The whole benchmark: its sections in order, and what each says."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import Row, Section, Sections, Summary, Timing
from benchmarks.engines import memory
from benchmarks.engines.cases import (
    CACHED,
    CHANNELS,
    MOST_GFLOP,
    NETWORK,
    OPERATIONS,
    SUBMANIFOLD,
    USUAL_CHANNELS,
    Layer,
    Operation,
    layers,
)
from benchmarks.engines.convolution import Convolution, Floor, NewMap, difference, load
from benchmarks.engines.networks import NETWORKS, Run
from benchmarks.engines.report import markdown, overall
from benchmarks.engines.rounds import Seconds, TooSlow, in_rounds, ratio, timed
from benchmarks.engines.workloads import WORKLOADS

NATIVE, MINKOWSKI, FLOOR = "native", "minkowski", "floor"
TOLERANCE = 1e-4
QUICK_CHANNELS = (16, 64)
# Seconds that the rounds of a short case may take for a better median.
SPARE, QUICK_SPARE = 1.0, 0.2


class Disagreement(RuntimeError):
    """The engines compute different things, so their times say nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """data: the folder that holds `wafer` and `medical`. target: the JSON.

    only: workloads and networks, all if empty. engines: with native; ratios are those to it.
    """

    data: Path
    target: Path
    quick: bool = False
    threads: int = 2
    rounds: int = 5
    only: tuple[str, ...] = ()
    channels: tuple[int, ...] = CHANNELS
    operations: tuple[Operation, ...] = OPERATIONS
    engines: tuple[str, ...] = (NATIVE, MINKOWSKI)

    @property
    def usual_channels(self) -> int:
        return USUAL_CHANNELS if USUAL_CHANNELS in self.channels else self.channels[0]

    def chosen(self, names: Mapping[str, object]) -> list[str]:
        return [name for name in names if not self.only or name in self.only]


def run(settings: Settings) -> dict[str, Any]:
    """Measure everything, write the JSON, print the tables; goes on where an earlier run broke off.

    Raises UserError if data are missing, and Disagreement if the engines' results differ.
    """
    torch.set_num_threads(settings.threads)
    facts = {key: value for key, value in asdict(settings).items() if key != "target"}
    facts |= {"data": str(settings.data), "most_gflop": MOST_GFLOP, "tolerance": TOLERANCE}
    # Tuples come back from JSON as lists, and a run goes on only with equal settings.
    facts = {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}
    sections = Sections(settings.target, facts, say=partial(print, file=sys.stderr, flush=True))
    measure = Measure(settings)
    for name, section in measure.sections():
        sections.run(name, section)
    rows = [row for one in sections.done.values() for row in one.rows]
    sections.run("overall", lambda: Section([], overall(rows)))
    report = sections.finish()
    print(markdown(report))
    return report


class Measure:
    """Measures the sections of a benchmark; loads an engine, and makes sites, when first needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._engines: dict[str, ModuleType] = {}
        self._sites: tuple[str, Tensor] = ("", torch.empty(0))

    def sections(self) -> Iterator[tuple[str, Callable[[], Section]]]:
        """Name and measurement of each, in order."""
        wanted = self.settings.operations
        for name in self.settings.chosen(WORKLOADS):
            usual = self.settings.usual_channels
            for kernel in SUBMANIFOLD if "map" in wanted else ():
                yield (
                    f"{name}_{Layer(kernel, 1).shape}_map",
                    partial(self.new_map, name, Layer(kernel, 1), "map"),
                )
            if "first_forward" in wanted:
                layer = Layer(3, usual)
                yield f"{name}_{layer.name}_first", partial(self.new_map, name, layer, "first_forward")
            if set(CACHED) & set(wanted):
                for layer in layers(name, self.settings.channels):
                    yield f"{name}_{layer.name}", partial(self.cached, name, layer)
            if "memory" in wanted:
                yield f"{name}_memory", partial(self.memory, name, ["forward_backward"])
        for name in self.settings.chosen(NETWORKS):
            operations = [operation for operation in NETWORK if operation in wanted]
            if operations:
                yield name, partial(self.network, name, operations)
            # A network takes long to start, and a small one says nothing of memory.
            if "memory" in wanted and not self.settings.quick:
                yield f"{name}_memory", partial(self.memory, name, list(NETWORK))

    def engine(self, name: str) -> ModuleType:
        if name not in self._engines:
            self._engines[name] = load(name)
        return self._engines[name]

    def sites(self, workload: str) -> Tensor:
        if self._sites[0] != workload:
            coordinates = WORKLOADS[workload].coordinates(self.settings.data, quick=self.settings.quick)
            self._sites = workload, coordinates
        return self._sites[1]

    def new_map(self, workload: str, layer: Layer, operation: Operation) -> Section:
        """From coordinates: the map alone, or a whole first convolution."""
        coordinates = self.sites(workload)
        layers = {name: Convolution(self.engine(name), layer, coordinates) for name in self.settings.engines}
        facts = self._facts(workload, layer, layers[NATIVE], agreed(layers))
        del layers
        calls: dict[str, Seconds] = {}
        for name in self.settings.engines:
            one = NewMap(self.engine(name), layer.kernel, layer.channels, coordinates)
            calls[name] = one.map_seconds if operation == "map" else timed(one.forward)
        return self._timed(facts, operation, calls)

    def cached(self, workload: str, layer: Layer) -> Section:
        """A convolution whose map is there, forward, and forward with backward, and the floor of both."""
        coordinates = self.sites(workload)
        native = Convolution(self.engine(NATIVE), layer, coordinates)
        gflop = layer.gflop(sum(native.counts))
        if gflop > MOST_GFLOP:
            facts = self._facts(workload, layer, native, None)
            return left_out(facts, f"{gflop:.0f} GFLOP forward, more than {MOST_GFLOP:.0f}")
        contestants: dict[str, Convolution] = {NATIVE: native}
        for name in self.settings.engines:
            if name != NATIVE:
                contestants[name] = Convolution(self.engine(name), layer, coordinates)
        facts = self._facts(workload, layer, native, agreed(contestants))
        everyone = {**contestants, FLOOR: Floor(native.counts, layer.channels)}
        rows: list[Row] = []
        summary: Summary = {}
        for operation in CACHED:
            if operation in self.settings.operations:
                calls = {name: timed(getattr(one, operation)) for name, one in everyone.items()}
                section = self._timed(facts, operation, calls)
                rows += section.rows
                summary |= section.summary
        return Section(rows, summary)

    def network(self, name: str, operations: Sequence[Operation]) -> Section:
        """A network from coordinates on: its scores, and a step of training."""
        settings, network = self.settings, NETWORKS[name]
        runs: dict[str, Run] = {
            one: network.build(self.engine(one), settings.data, settings.quick) for one in settings.engines
        }
        results = {one: run.result() for one, run in runs.items()}
        apart = 0.0
        for one, result in results.items():
            apart = max(apart, *(difference(a, b) for a, b in zip(results[NATIVE], result, strict=True)))
            _check(apart, f"{one} on {name}")
        facts: Row = {
            "case": name,
            "workload": network.workload,
            "sites": len(self.sites(network.workload)),
            "disagreement": apart,
        }
        rows: list[Row] = []
        summary: Summary = {}
        for operation in operations:
            section = self._timed(
                facts, operation, {one: timed(getattr(run, operation)) for one, run in runs.items()}
            )
            rows += section.rows
            summary |= section.summary
        return Section(rows, summary)

    def memory(self, name: str, operations: Sequence[Operation]) -> Section:
        """Peak memory above that of imports, inputs and weights, each in a process of its own."""
        settings = self.settings
        rows: list[Row] = []
        summary: Summary = {}
        for operation in operations:
            peaks = {
                engine: memory.measure(
                    engine,
                    name,
                    operation,
                    settings.data.absolute(),
                    quick=settings.quick,
                    threads=settings.threads,
                )
                for engine in settings.engines
            }
            for engine, peak in peaks.items():
                over = peak / max(peaks[NATIVE], 1)
                rows.append(
                    {
                        "case": name,
                        "operation": "memory",
                        "of": operation,
                        "engine": engine,
                        "peak_mib": peak / 2**20,
                        "over_native": over,
                    }
                )
                if engine != NATIVE:
                    summary[f"{name}_{operation}_memory_{engine}_over_native"] = over
        return Section(rows, summary)

    def _facts(self, workload: str, layer: Layer, native: Convolution, apart: float | None) -> Row:
        sites, pairs = len(native.out_order), sum(native.counts)
        return {
            "case": f"{workload}_{layer.name}",
            "workload": workload,
            "layer": layer.shape,
            "channels": layer.channels,
            "sites": sites,
            "pairs": pairs,
            "pairs_per_site": pairs / max(sites, 1),
            "disagreement": apart,
        }

    def _timed(self, facts: Row, operation: Operation, calls: Mapping[str, Seconds]) -> Section:
        try:
            spent = in_rounds(
                calls,
                rounds=self.settings.rounds,
                spare_seconds=QUICK_SPARE if self.settings.quick else SPARE,
            )
        except TooSlow as error:
            return left_out({**facts, "operation": operation}, str(error))
        rows: list[Row] = []
        summary: Summary = {}
        for name, seconds in spent.items():
            over = ratio(seconds, spent[NATIVE])
            rows.append(
                {
                    **facts,
                    "operation": operation,
                    "engine": name,
                    **Timing.of(seconds).columns(),
                    "over_native": over,
                    "over_native_of_minima": min(seconds) / min(spent[NATIVE]),
                }
            )
            if name != NATIVE:
                summary[f"{facts['case']}_{operation}_native_over_{name}"] = over
        return Section(rows, summary)


def left_out(facts: Row, reason: str) -> Section:
    return Section([{**facts, "left_out": reason}], {})


def agreed(layers: Mapping[str, Convolution]) -> float | None:
    """How far the other engines' outputs and gradients are from native's at most; None if there is no other.

    Raises Disagreement beyond TOLERANCE.
    """
    native = layers[NATIVE].result()
    apart: float | None = None
    for name, layer in layers.items():
        if name != NATIVE:
            found = native.disagreement(layer.result())
            _check(found, f"{name} on {layer.layer.name}")
            apart = max(apart or 0.0, found)
    return apart


def _check(apart: float, what: str) -> None:
    if not math.isfinite(apart) or apart > TOLERANCE:
        raise Disagreement(
            f"native and {what} differ by {apart:.2g} of the largest value; {TOLERANCE:g} is allowed"
        )
