"""The suite's models on each engine, and the dense peer, ready to be timed on the same maps."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.wafer import peer
from benchmarks.wafer.binning import bin_defects, bin_dies
from benchmarks.wafer.dense_cnn import as_input, network, probabilities, turned
from benchmarks.wafer.inputs import Input
from pipelines.wafer.classify import classify
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.data import WaferMap
from pipelines.wafer.model.trained import TrainedModel
from pipelines.wafer.predict import Predictor

BATCH_MAPS = 256
BATCH_DEFECTS = 200_000
TRAINING_BATCH = 128
DENSE = "dense"

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Contestants:
    """models: of each kind of map (`dies`, `coordinates`), a bundled name or a folder. weights: of the peer.

    scratch: a folder for what classify writes; it is emptied between runs.
    """

    engines: Sequence[str]
    models: dict[str, str]
    weights: Path
    scratch: Path
    predictors: dict[tuple[str, str], Predictor] = field(default_factory=dict)

    def predictor(self, kind: str, engine: str) -> Predictor:
        """The loaded predictor; loading is not part of what is timed."""
        key = kind, engine
        if key not in self.predictors:
            self.predictors[key] = Predictor.load(self.models[kind], engine=engine, device="cpu")
        return self.predictors[key]

    def model(self, kind: str, engine: str) -> TrainedModel:
        return self.predictor(kind, engine).models[kind]

    def end_to_end(self, item: Input) -> dict[str, Call]:
        """From files to the run folder of the suite (rows, table, report), and to a CSV for the peer."""
        calls: dict[str, Call] = {engine: partial(self._classify, item, engine) for engine in self.engines}
        model, labels = peer.load(self.weights)
        return calls | {DENSE: lambda: peer.classify(item.path, model, labels, self.scratch / "dense.csv")}

    def predict(self, maps: Sequence[WaferMap], kind: str) -> dict[str, Call]:
        """From maps in memory to predictions, novelty included; the peer bins and gives probabilities."""

        def suite(engine: str) -> None:
            for batch in batches(maps):
                self.predictor(kind, engine).predict(batch)

        model, _ = peer.load(self.weights)

        def dense() -> None:
            for start in range(0, len(maps), BATCH_MAPS):
                probabilities(model, binned(maps[start : start + BATCH_MAPS]))

        return {engine: partial(suite, engine) for engine in self.engines} | {DENSE: dense}

    def networks(self, maps: Sequence[WaferMap], kind: str) -> dict[str, Call]:
        """The network alone, on batches that are encoded (or binned) beforehand."""
        with_defects = [wafer for wafer in maps if len(wafer.defects)]
        calls: dict[str, Call] = {}
        encode = self.model(kind, self.engines[0]).kind.encode
        encoded = [encode(batch) for batch in batches(with_defects)]

        @torch.inference_mode()
        def suite(engine: str) -> None:
            for batch in encoded:
                self.model(kind, engine).network(batch)

        model, _ = peer.load(self.weights)
        images = binned(with_defects)
        for engine in self.engines:
            calls[engine] = partial(suite, engine)
        return calls | {DENSE: lambda: probabilities(model, images)}

    def training_steps(self, maps: Sequence[WaferMap], kind: str) -> dict[str, Call]:
        """One optimiser step each on the first maps: augment, encode, forward, backward, update."""
        batch = [wafer for wafer in maps if len(wafer.defects)][:TRAINING_BATCH]
        rng = np.random.default_rng(0)
        calls: dict[str, Call] = {}
        for engine in self.engines:
            # Loaded anew: the weights change.
            model = Predictor.load(self.models[kind], engine=engine, device="cpu").models[kind]
            targets = torch.arange(len(batch)) % len(model.labels)
            calls[engine] = partial(
                _step,
                model.network,
                _adamw(model.network),
                partial(_suite_logits, model, batch, rng),
                targets,
            )
        dense = network(len(model.labels), 0.2)
        images = binned(batch)
        calls[DENSE] = partial(
            _step, dense, _adamw(dense), lambda: dense(as_input(turned(images, rng))), targets
        )
        return calls

    def _classify(self, item: Input, engine: str) -> None:
        out = self.scratch / "run"
        shutil.rmtree(out, ignore_errors=True)
        classify(
            [item.path],
            predictor=self.predictor(item.kind, engine),
            out=out,
            config=ClassifyConfig(model=self.models[item.kind], engine=engine, device="cpu"),
        )


def batches(maps: Sequence[WaferMap]) -> list[list[WaferMap]]:
    """Batches as `classify` makes them: at most 256 maps and 200,000 defects."""
    found: list[list[WaferMap]] = []
    defects = 0
    for wafer in maps:
        size = len(wafer.defects)
        if not found or len(found[-1]) == BATCH_MAPS or defects + size > BATCH_DEFECTS:
            found.append([])
            defects = 0
        found[-1].append(wafer)
        defects += size
    return found


def binned(maps: Sequence[WaferMap]) -> NDArray[np.uint8]:
    """The peer's images (N, 64, 64, 2) of maps of one kind."""
    grids = [wafer.dies.status for wafer in maps if wafer.die_level and wafer.dies is not None]
    if len(grids) == len(maps):
        return bin_dies(grids)
    return bin_defects([wafer.defects for wafer in maps], [wafer.diameter_mm for wafer in maps])


def _suite_logits(model: TrainedModel, maps: list[WaferMap], rng: np.random.Generator) -> torch.Tensor:
    logits: torch.Tensor = model.network(model.kind.encode(maps, rng))[0]
    return logits


def _adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=1e-4)


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    logits: Callable[[], torch.Tensor],
    targets: torch.Tensor,
) -> None:
    model.train()
    optimizer.zero_grad(set_to_none=True)
    cross_entropy(logits(), targets).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
