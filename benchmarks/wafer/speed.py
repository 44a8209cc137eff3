"""Maps per second, from files to rows and in parts, and peak memory: the suite's engines and the peer."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import peak
from benchmarks.common import Row, Section, Summary, Timing, interleaved
from benchmarks.wafer.contestants import DENSE, TRAINING_BATCH, Contestants
from benchmarks.wafer.inputs import Input

OK, FAILED_ITEMS = 0, 3


def measure(item: Input, contestants: Contestants, *, repeats: int) -> Section:
    """Each stage on the maps of one input, timed in turn for every engine and the peer."""
    maps = item.maps()
    with_defects = sum(len(wafer.defects) > 0 for wafer in maps)
    stages = {
        "end_to_end": (contestants.end_to_end(item), len(maps)),
        "predict": (contestants.predict(maps, item.kind), len(maps)),
        "network": (contestants.networks(maps, item.kind), with_defects),
        "training_step": (
            contestants.training_steps(maps, item.kind),
            min(TRAINING_BATCH, with_defects),
        ),
    }
    defects = sum(len(wafer.defects) for wafer in maps) / max(1, len(maps))
    rows: list[Row] = []
    summary: Summary = {}
    for stage, (calls, count) in stages.items():
        timings = interleaved(calls, repeats=repeats)
        rows += [stage_row(stage, name, count, defects, timing) for name, timing in timings.items()]
        summary |= {f"{item.name}_{stage}_{key}": value for key, value in ratios(timings, count).items()}
    return Section(rows, summary)


def stage_row(stage: str, name: str, maps: int, defects: float, timing: Timing) -> Row:
    return {
        "stage": stage,
        "engine": name,
        "maps": maps,
        "defects_per_map": defects,
        "maps_per_second": maps / timing.median,
        **timing.columns(),
    }


def ratios(timings: dict[str, Timing], count: int) -> Summary:
    """Maps per second of native, and how many times as fast it is as each of the others."""
    native = timings["native"].median
    others = {
        f"native_over_{name}": timing.median / native for name, timing in timings.items() if name != "native"
    }
    return {"maps_per_second": count / native, **others}


def memory(inputs: Sequence[Input], contestants: Contestants, *, repeats: int, threads: int) -> Section:
    """The whole command in a process of its own, start-up included: wall time and peak resident memory."""
    rows: list[Row] = []
    summary: Summary = {}
    threading = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    for item in inputs:
        maps = len(item.maps())
        measured: dict[str, list[peak.Measured]] = {name: [] for name in (*contestants.engines, DENSE)}
        for _ in range(repeats):
            for name, one in measured.items():
                shutil.rmtree(contestants.scratch / "run", ignore_errors=True)
                one.append(
                    peak.measure(
                        command(item, name, contestants, threads),
                        allowed=(OK, FAILED_ITEMS),
                        variables=threading,
                    )
                )
        peaks = {name: max(each.peak_bytes for each in one) for name, one in measured.items()}
        for name, one in measured.items():
            timing = Timing.of([each.seconds for each in one])
            rows.append(
                {
                    "input": item.name,
                    "engine": name,
                    "maps": maps,
                    "peak_mib": peaks[name] / 2**20,
                    **timing.columns(),
                }
            )
            summary[f"{item.name}_peak_mib_{name}"] = peaks[name] / 2**20
    return Section(rows, summary)


def command(item: Input, name: str, contestants: Contestants, threads: int) -> list[str | Path]:
    """The command line that classifies an input: the suite's own, or the peer's."""
    python = sys.executable
    if name == DENSE:
        out = contestants.scratch / "dense.csv"
        options: list[str | Path] = [
            "--weights",
            contestants.weights,
            "--out",
            out,
            "--threads",
            str(threads),
        ]
        return [python, "-m", "benchmarks.wafer.peer", item.path, *options]
    model, out = contestants.models[item.kind], contestants.scratch / "run"
    options = ["--model", model, "--engine", name, "--device", "cpu", "--out", out, "--quiet"]
    return [python, "-m", "suite", "wafer", "classify", item.path, *options]
