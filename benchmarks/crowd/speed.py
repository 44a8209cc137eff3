"""Seconds for one image, networks in turn; and the decoder of our counter, sparse against dense."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Row, Section, Timing, interleaved
from pipelines.common.precision import autocast, half_is_fast
from pipelines.crowd.count.predict import MOST_AT_ONCE
from pipelines.crowd.data import Pixels
from pipelines.crowd.model.cost import dense_macs, macs, parameters
from pipelines.crowd.model.network import CrowdNetwork, as_input, filled_up
from pipelines.crowd.model.sparse_counter import SparseCounter
from pipelines.crowd.model.stem import Features
from pipelines.crowd.model.trained import TrainedModel, load_trained
from pipelines.crowd.train.images import TrainingImage, fitted
from pipelines.crowd.train.measure import mean_absolute_error

WIDTH, HEIGHT = 640, 480
CPU = torch.device("cpu")
PEER = "m-segnet"


def frame(pixels: Pixels) -> Pixels:
    """A real photograph at 640 x 480 px: uint8 (480, 640, 3)."""
    resized = cv2.resize(np.array(pixels), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def counting(model: TrainedModel, frames: Sequence[Pixels], precision: str) -> Callable[[], None]:
    """A call that counts in each frame, from pixels on; enlarging, where the model does, is part of it."""
    training = model.config["training"]

    def call() -> None:
        with torch.inference_mode(), autocast(precision, CPU):
            for one in frames:
                pixels = fitted(one, training["max_side"], training.get("enlarge", 1.0))
                model.network.count(as_input(pixels[None]))

    return call


def measure(
    models: Mapping[str, Path], images: Sequence[TrainingImage], *, repeats: int, macs: bool = True
) -> Section:
    """Seconds for a photograph of 640 x 480 px, in single and, where it is fast, in half precision.

    The photographs are `images`, one after the other: what a sparse decoder takes depends on them.
    """
    frames = [frame(image.pixels) for image in images]
    loaded = {name: load_trained(folder) for name, folder in models.items()}
    precisions = ["float32", *(["bfloat16"] if half_is_fast(CPU) else [])]
    rows: list[Row] = []
    summary: dict[str, Any] = {}
    for precision in precisions:
        calls = {name: counting(model, frames, precision) for name, model in loaded.items()}
        timings = interleaved(calls, repeats=repeats)
        for name, timing in timings.items():
            row: Row = {"network": name, "precision": precision, **_each(timing, len(frames))}
            if PEER in timings:
                row[f"times_faster_than_{PEER}"] = timings[PEER].median / timing.median
            rows.append(row)
            if name.endswith("-counter") and PEER in timings:
                key = f"times_faster_{name}_{precision}"
                summary[key] = timings[PEER].median / timing.median
    if macs:
        rows += [
            {"network": name, "parameters": parameters(one.network), "gmac": _gmac(one, frames)}
            for name, one in loaded.items()
        ]
    return Section(rows, summary)


def decoders(sparse_model: Path, images: Sequence[TrainingImage], *, repeats: int) -> Section:
    """The same decoder with the same weights on active blocks and on all blocks of frames as they are.

    One frame at a time and, where all have one size, as videos are counted, MOST_AT_ONCE together.
    """
    sparse, dense = (load_trained(sparse_model, dense=one).network for one in (False, True))
    assert isinstance(sparse, SparseCounter) and isinstance(dense, SparseCounter)
    single = [filled_up(as_input(np.array(image.pixels)[None]), sparse.multiple) for image in images]
    parts = {"": single}
    if len({one.shape for one in single}) == 1 and len(single) >= MOST_AT_ONCE:
        starts = range(0, len(single) - MOST_AT_ONCE + 1, MOST_AT_ONCE)
        parts[f", {MOST_AT_ONCE} at once"] = [
            torch.cat(single[start : start + MOST_AT_ONCE]) for start in starts
        ]
    rows: list[Row] = []
    summary: dict[str, Any] = {}
    for how, inputs in parts.items():
        with torch.inference_mode():
            looked = [sparse.look(one) for one in inputs]
            gates = [sparse.gate(coarse) for _, coarse in looked]
        if not how:
            summary["open_blocks"] = float(np.mean([float(gate.float().mean()) for gate in gates]))
        calls: dict[str, Callable[[], None]] = {
            "decoder, sparse": partial(_decode, sparse, looked, gates),
            "decoder, dense": partial(_decode, dense, looked, gates),
            "whole network, sparse": _counting(sparse, inputs, "float32"),
            "whole network, dense": _counting(dense, inputs, "float32"),
        }
        timings = interleaved(calls, repeats=repeats)
        frames = sum(len(one) for one in inputs)
        rows += [{"what": f"{name}{how}", **_each(one, frames)} for name, one in timings.items()]
        for what in ("decoder", "whole network"):
            ratio = timings[f"{what}, dense"].median / timings[f"{what}, sparse"].median
            key = f"{what}_times_faster{how}".replace(", ", "_").replace(" ", "_")
            summary[key] = ratio
    return Section(rows, summary)


def _decode(
    network: SparseCounter, looked: Sequence[tuple[Features, Tensor]], gates: Sequence[Tensor]
) -> None:
    with torch.inference_mode():
        for (features, coarse), gate in zip(looked, gates, strict=True):
            network.refine(features, coarse, gate)


def _counting(network: CrowdNetwork, inputs: Sequence[Tensor], precision: str) -> Callable[[], None]:
    def call() -> None:
        with torch.inference_mode(), autocast(precision, CPU):
            for one in inputs:
                network.count(one)

    return call


def _each(timing: Timing, calls: int) -> Row:
    """The columns of a timing, for one of so many images."""
    columns = timing.columns()
    return {name: value if name == "repeats" else value / calls for name, value in columns.items()}


def _gmac(model: TrainedModel, frames: Sequence[Pixels]) -> float:
    """For 640 x 480 px; the mean over photographs where it depends on what is seen."""
    training, network = model.config["training"], model.network

    def ready(pixels: Pixels) -> Tensor:
        pixels = fitted(pixels, training["max_side"], training.get("enlarge", 1.0))
        return filled_up(as_input(pixels[None]), network.multiple)

    if isinstance(network, SparseCounter) and not network.dense:
        return float(np.mean([macs(network, ready(one)) for one in frames])) / 1e9
    return dense_macs(network, ready(frames[0])) / 1e9


def errors(sparse_model: Path, images: Sequence[TrainingImage]) -> Section:
    """The mean absolute error of one and the same network with its decoder sparse and dense."""
    found = {
        name: mean_absolute_error(
            load_trained(sparse_model, dense=dense).network, images, device=CPU, precision="float32"
        )
        for name, dense in (("sparse", False), ("dense", True))
    }
    rows: list[Row] = [{"what": f"decoder, {name}", "mae": value} for name, value in found.items()]
    return Section(rows, {"mae_sparse_over_dense": found["sparse"] / found["dense"]})
