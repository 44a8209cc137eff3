"""Run folders of any size for the review page, made by `classify` itself, with a stand-in for the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.wafer.classify import classify
from pipelines.wafer.data import WaferMap
from pipelines.wafer.generate.patterns import PATTERNS, make_map
from pipelines.wafer.predict import Decision, Prediction

DISTINCT = 20  # maps of a pattern that differ; the run repeats them
LATENT = 32
WAFERS_PER_LOT = 25
LABELS = tuple(PATTERNS)


class StandIn:
    """Says of every map a class, probabilities, a novelty and a latent at random, the same every time."""

    threshold = 4.0

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def predict(self, maps: Sequence[WaferMap]) -> list[Prediction]:
        chances = self._rng.dirichlet(np.full(len(LABELS), 0.2), len(maps))
        scores = self._rng.gamma(2.0, 0.7, len(maps))  # one in fifty above the threshold
        latents = self._rng.normal(0, 3, (len(maps), LATENT)).astype(np.float32)
        found = []
        for chance, score, latent in zip(chances, scores.tolist(), latents, strict=True):
            order = np.argsort(-chance)
            ranked = {LABELS[place]: float(chance[place]) for place in order if chance[place] >= 0.001}
            label = LABELS[order[0]]
            decision: Decision = (
                "novel" if score > self.threshold else "normal" if label == "normal" else "known"
            )
            said = (label, ranked[label], score, self.threshold, decision, "stand-in", latent, ranked)
            found.append(Prediction(*said))
        return found

    def describe(self) -> dict[str, Any]:
        model = {"name": "stand-in", "sha256": "", "threshold": self.threshold, "labels": list(LABELS)}
        return {"models": {"coordinates": model}, "engine": "none", "device": "cpu"}


def make_run(folder: Path, maps: int) -> Path:
    """A run of so many maps of coordinates in `folder`."""
    distinct = [
        make_map(np.random.default_rng([1, number]), LABELS[number % len(LABELS)], 300.0).astype(np.float32)
        for number in range(min(maps, DISTINCT * len(LABELS)))
    ]
    chosen = [distinct[number % len(distinct)] for number in range(maps)]
    counts = np.array([len(one) for one in chosen])
    data = folder / "maps.npz"
    folder.mkdir(parents=True, exist_ok=True)
    lot, wafer = np.divmod(np.arange(maps), WAFERS_PER_LOT)
    np.savez(
        data,
        defects=np.concatenate(chosen),
        offsets=np.cumsum(counts) - counts,
        counts=counts,
        diameter_mm=np.full(maps, 300, np.float32),
        lot=np.char.add("L", lot.astype(np.str_)),
        wafer=np.char.zfill((wafer + 1).astype(np.str_), 2),
    )
    return classify([data], predictor=StandIn(), out=folder / "run", overwrite=True).out
