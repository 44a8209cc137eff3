"""From a trained network to a model folder: what it is measured against, how right it is, its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.common.hardware import environment
from pipelines.common.models import save_model
from pipelines.wafer.calibrate import expected_calibration_error
from pipelines.wafer.card import model_card
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.evaluate import scores
from pipelines.wafer.examples import EXAMPLES, encode, gather
from pipelines.wafer.model.kinds import Kind
from pipelines.wafer.model.trained import TASK
from pipelines.wafer.novelty import Seen
from pipelines.wafer.reference import refer
from pipelines.wafer.train_config import TrainConfig

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledMaps:
    """Maps, their classes (N,), places in `labels`, and the rows that trained and that were held out."""

    maps: Sequence[WaferMap]
    classes: Rows
    labels: list[str]
    train: Rows
    held: Rows

    def of(self, rows: Rows) -> tuple[list[WaferMap], Rows]:
        """The maps of some rows and their classes."""
        return [self.maps[row] for row in rows], self.classes[rows]


def finish(
    out: Path,
    network: nn.Module,
    kind: Kind,
    labelled: LabelledMaps,
    config: TrainConfig,
    *,
    shift: Tensor,
    normal: str | None,
    data: str,
    seconds: float,
    command: str,
    overwrite: bool,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Write the model folder `out` of a trained network, and return its metrics.

    shift (K,): see `TrainedModel.prior_shift`. normal: the label that means nothing is wrong. data: the name
    of the data set. seconds, command: of the training.
    """
    device = next(network.parameters()).device
    train, held = labelled.of(labelled.train), labelled.of(labelled.held)
    known = refer(network, kind, train, held, config, shift=shift, device=device, progress=progress)
    fitted = labelled.of(labelled.train[known.rows])
    examples = gather(*fitted, known.novelty.place(known.seen), known.latent, config.examples)
    stored = {
        "task": TASK,
        "kind": kind.name,
        "preprocessing": kind.settings(),
        "architecture": config.architecture,
        "labels": labelled.labels,
        "normal_label": normal,
        "temperature": known.temperature,
        "false_alarm_rate": config.false_alarm_rate,
        "units": {"probability": "0 to 1", "novelty": "nats, 0 or more: how surprising among known maps"},
        "training": config.model_dump(mode="json"),
    }
    counts = np.bincount(labelled.classes, minlength=len(labelled.labels)).tolist()
    metrics = {
        "held_out": _held_out(known.held.calibrated(known.temperature), held[1], labelled.labels),
        "held_out_ece_before_temperature": _ece(known.held, held[1]),
        "mixtures": [asdict(each) for each in known.tried],
        "novelty": known.novelty.facts(),
        "threshold": known.novelty.threshold(config.false_alarm_rate),
        "maps": {"train": len(labelled.train), "held_out": len(labelled.held)},
        "examples": len(examples.drawings),
        "maps_per_class": dict(zip(labelled.labels, counts, strict=True)),
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds": round(seconds, 1),
        "environment": environment(),
        "command": command,
    }
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {"prior_shift": shift, **known.mixture.tensors(), **known.novelty.tensors()}
    card = model_card(out.name, stored, metrics, data=data, terms=config.data_terms, notes=config.notes)
    files = {EXAMPLES: encode(examples)} if examples.drawings else {}
    save_model(
        out, tensors=tensors, config=stored, metrics=metrics, card=card, files=files, overwrite=overwrite
    )
    return metrics


def _ece(seen: Seen, classes: Rows) -> float:
    probability = seen.probabilities()
    return expected_calibration_error(probability.max(1), probability.argmax(1) == classes)


def _held_out(seen: Seen, classes: Rows, labels: Sequence[str]) -> dict[str, Any]:
    probability = seen.probabilities()
    predicted = [labels[number] for number in probability.argmax(1)]
    return scores([labels[number] for number in classes], predicted, probability.max(1))
