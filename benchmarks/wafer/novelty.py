"""How well scores of novelty tell patterns that no class of the model names from those that it knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.common import Row, Section
from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.generate.dataset import write_dataset
from pipelines.wafer.generate.patterns import NOVEL_PATTERNS, PATTERNS
from pipelines.wafer.mixture import Covariance, fit_mixture
from pipelines.wafer.model.trained import TrainedModel
from pipelines.wafer.novelty import Seen

MIXTURES: tuple[tuple[Covariance, int], ...] = (("full", 8), ("full", 32), ("tied", 8), ("tied", 32))
COMPONENTS = (8, 16, 24, 32)
FALSE_ALARM_RATE = 0.01
Scores = NDArray[np.float64]
Score = Callable[[Seen], Scores]


def measure(model: TrainedModel, scratch: Path, *, maps_per_class: int, seed: int = 0) -> Section:
    """Scores of a full-resolution model on synthetic maps that it was not trained on.

    A third of the known maps fits the other mixtures, a third sets the thresholds, a third is tested against
    the novel patterns. Beside the model's own novelty: its mixture of latents alone, others of both
    covariances, the maximum softmax probability (Hendrycks and Gimpel, 2017) and the energy (Liu et al.,
    2020) of the same network.
    """
    known = model.look(_maps(scratch / "known.npz", 3 * maps_per_class, 10 + seed, list(PATTERNS)))
    novel = model.look(_maps(scratch / "novel.npz", maps_per_class, 20 + seed, list(NOVEL_PATTERNS)))
    third = np.arange(len(known.logits)) % 3
    fitted, held, tested = (_rows(known, third == number) for number in range(3))
    scores: dict[str, Score] = {
        "own": model.novelty.score,
        "mixture": lambda seen: model.mixture.score(seen.latent).numpy(),
    }
    for covariance, size in MIXTURES:
        scores[f"{covariance} {size}"] = _fitted(fitted, covariance, size)
    scores |= {"softmax": _softmax, "energy": _energy}
    rows: list[Row] = []
    for name, score in scores.items():
        found = _compare(score(held), score(tested), score(novel))
        rows.append({"score": name, "known": len(tested.logits), "novel": len(novel.logits), **found})
    summary = {f"novelty_auroc_{row['score'].replace(' ', '_')}": row["auroc"] for row in rows}
    return Section(rows, summary)


def _maps(path: Path, maps_per_class: int, seed: int, patterns: list[str]) -> list[WaferMap]:
    write_dataset(path, maps_per_class=maps_per_class, seed=seed, patterns=patterns)
    return [wafer for wafer, _ in read_labelled(path)]


def _rows(seen: Seen, chosen: NDArray[np.bool_]) -> Seen:
    rows = torch.from_numpy(chosen)
    return Seen(seen.logits[rows], seen.latent[rows], seen.shape[rows])


def _fitted(known: Seen, covariance: Covariance, size: int) -> Score:
    mixture, _ = fit_mixture(
        known.latent.numpy(), components=COMPONENTS, covariances=(covariance,), dimension=size, seed=0
    )
    return lambda seen: mixture.score(seen.latent).numpy()


def _softmax(seen: Seen) -> Scores:
    surest: Scores = seen.probabilities().max(1)
    return -surest


def _energy(seen: Seen) -> Scores:
    energy: Scores = -seen.logits.double().logsumexp(1).numpy()
    return energy


def _compare(held: Scores, known: Scores, novel: Scores) -> Row:
    threshold = np.quantile(held, 1 - FALSE_ALARM_RATE)
    truth = np.repeat([0, 1], [len(known), len(novel)])
    return {
        "auroc": float(roc_auc_score(truth, np.concatenate([known, novel]))),
        "false_alarms": float((known > threshold).mean()),
        "found": float((novel > threshold).mean()),
        "false_alarms_at_95_found": float((known > np.quantile(novel, 0.05)).mean()),
    }
