"""Where the time of a sparse segmentation goes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from benchmarks.common import Row, Section
from benchmarks.medical_segment.contestants import Segment, sites_of
from pipelines.medical.model.networks import VoxelUNet
from pipelines.medical.prepare import Prepared

Clock = Callable[[], float]


@torch.inference_mode()
def measure(
    network: VoxelUNet,
    prepared: Prepared,
    whole: Segment,
    *,
    repeats: int,
    clock: Clock,
) -> Section:
    """Seconds of each stage, the median over `repeats`. whole: the complete path, of which the rest is told.

    Maps of neighbours are made in the first pass over a tensor and kept: what a second one saves is theirs.
    Layers are timed in that second pass, each by the level of what it gives.
    """
    rounds = [_once(network, prepared, whole, clock) for _ in range(repeats)]
    taken = {stage: statistics.median(one[stage] for one in rounds) for stage in rounds[0]}
    total = taken.pop("whole")
    rows: list[Row] = [
        {"stage": stage, "seconds": seconds, "share": seconds / total} for stage, seconds in taken.items()
    ]
    rows.append({"stage": "whole", "seconds": total, "share": 1.0})
    return Section(rows, {f"share_{_plain(row['stage'])}": row["share"] for row in rows[:-1]})


def _once(network: VoxelUNet, prepared: Prepared, whole: Segment, clock: Clock) -> dict[str, float]:
    started = clock()
    whole(prepared)
    found = {"whole": clock() - started}
    started = clock()
    rows, coordinates = sites_of(prepared)
    found["rows and coordinates"] = clock() - started
    started = clock()
    x = network.engine.SparseTensor(rows, coordinates)
    network.core(x)
    first = clock() - started
    layers: dict[str, float] = defaultdict(float)
    with timed_layers(network.core, layers, clock):
        started = clock()
        network.core(x)
        again = clock() - started
    found["coordinates to maps of neighbours"] = first - again
    found |= dict(sorted(layers.items()))
    found["other parts of the network"] = again - sum(layers.values())
    found["around the network"] = found["whole"] - first - found["rows and coordinates"]
    return found


@contextmanager
def timed_layers(network: nn.Module, found: dict[str, float], clock: Clock) -> Iterator[None]:
    """Add the seconds of each layer of the engine to `found`, by its kind, and for convolutions by level."""
    began: dict[nn.Module, float] = {}

    def before(module: nn.Module, _: Any) -> None:
        began[module] = clock()

    def after(module: nn.Module, _: Any, output: Any) -> None:
        kind = type(module).__name__.removeprefix("Minkowski")
        stride = max(output.tensor_stride)
        level = f", stride {stride}" if kind.startswith("Convolution") else ""
        found[f"{kind}{level}"] += clock() - began.pop(module)

    handles = []
    for module in network.modules():
        if type(module).__name__.startswith("Minkowski"):
            handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _plain(stage: str) -> str:
    return stage.lower().replace(",", "").replace(" ", "_")
