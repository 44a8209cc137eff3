"""How well scores of novelty tell patterns that no class of the model names from those that it knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

from benchmarks.common import Row, Section
from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.generate.dataset import write_dataset
from pipelines.wafer.generate.patterns import NOVEL_PATTERNS, PATTERNS
from pipelines.wafer.model.trained import TrainedModel, run_network
from pipelines.wafer.novelty import Covariance, Mixture, fit_mixture

MIXTURES: tuple[tuple[Covariance, int], ...] = (("full", 8), ("full", 32), ("tied", 8), ("tied", 32))
COMPONENTS = (8, 16, 24, 32)
FALSE_ALARM_RATE = 0.01
Scores = NDArray[np.float64]
# Logits (N, K) and latents (N, L) of one network on one set of maps.
Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]
Score = Callable[[Outputs], Scores]


def measure(model: TrainedModel, scratch: Path, *, maps_per_class: int, seed: int = 0) -> Section:
    """Scores of a full-resolution model on synthetic maps that it was not trained on.

    A third of the known maps fits the other mixtures, a third sets the thresholds, a third is tested against
    the novel patterns. Beside the model's own mixture: others of both covariances, the maximum softmax
    probability (Hendrycks and Gimpel, 2017) and the energy (Liu et al., 2020) of the same network.
    """
    known = _outputs(model, _maps(scratch / "known.npz", 3 * maps_per_class, 10 + seed, list(PATTERNS)))
    novel = _outputs(model, _maps(scratch / "novel.npz", maps_per_class, 20 + seed, list(NOVEL_PATTERNS)))
    third = np.arange(len(known[0])) % 3
    fitted, held, tested = (_rows(known, third == number) for number in range(3))
    scores: dict[str, Score] = {"own mixture": _of_latent(model.novelty)}
    for covariance, size in MIXTURES:
        scores[f"{covariance} {size}"] = _fitted(fitted, held, covariance, size)
    scores |= {"softmax": _softmax, "energy": _energy}
    rows: list[Row] = []
    for name, score in scores.items():
        found = _compare(score(held), score(tested), score(novel))
        rows.append({"score": name, "known": len(tested[0]), "novel": len(novel[0]), **found})
    summary = {f"novelty_auroc_{row['score'].replace(' ', '_')}": row["auroc"] for row in rows}
    return Section(rows, summary)


def _maps(path: Path, maps_per_class: int, seed: int, patterns: list[str]) -> list[WaferMap]:
    write_dataset(path, maps_per_class=maps_per_class, seed=seed, patterns=patterns)
    return [wafer for wafer, _ in read_labelled(path)]


def _outputs(model: TrainedModel, maps: list[WaferMap]) -> Outputs:
    logits, latent = run_network(model.network, model.kind, maps, device=model.device, batch_size=64)
    return logits + model.prior_shift.cpu().numpy().astype(np.float32), latent


def _rows(outputs: Outputs, chosen: NDArray[np.bool_]) -> Outputs:
    return outputs[0][chosen], outputs[1][chosen]


def _of_latent(mixture: Mixture) -> Score:
    return lambda outputs: mixture.score(torch.from_numpy(outputs[1])).numpy()


def _fitted(known: Outputs, held: Outputs, covariance: Covariance, size: int) -> Score:
    mixture, _ = fit_mixture(
        known[1], held[1], components=COMPONENTS, covariances=(covariance,), dimension=size, seed=0
    )
    return _of_latent(mixture)


def _softmax(outputs: Outputs) -> Scores:
    surest: Scores = softmax(outputs[0].astype(np.float64), axis=1).max(1)
    return -surest


def _energy(outputs: Outputs) -> Scores:
    energy: Scores = -logsumexp(outputs[0].astype(np.float64), axis=1)
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
