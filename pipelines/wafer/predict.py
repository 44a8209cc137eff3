"""From wafer maps to predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import find_model
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.model.trained import TASK, TrainedModel, load_trained

# Which bundled model `auto` takes for die results, and which for defect coordinates.
AUTO = {"dies": "wm811k", "coordinates": "wdm-fullres"}
# Classes below this are left out of the probabilities: a row stays short, however many classes there are.
LEAST_PROBABILITY = 0.001
# Quantiles of the novelty of held-out maps of known classes, by which a score is read.
SPREAD = (0.05, 0.25, 0.5, 0.75, 0.95)
Decision = Literal["known", "novel", "normal"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is on one wafer.

    label: the most probable known class, with its calibrated probability (0 to 1).
    novelty: how surprising the map is among known ones, 0 or more (`pipelines.wafer.novelty`); above
        `threshold` the decision is `novel`. `normal`: the label is the one that means nothing is wrong.
    latent: float32 (D,), standardised (`pipelines.wafer.latents`); None if no network was asked.
    probabilities: of all classes of LEAST_PROBABILITY or more, the most probable first.
    """

    label: str
    probability: float
    novelty: float
    threshold: float
    decision: Decision
    model: str
    latent: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    probabilities: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)


class Predictor:
    """Classifies wafer maps with one model, or with the bundled one that suits each map."""

    def __init__(self, models: dict[str, TrainedModel], engine: str, false_alarm_rate: float | None) -> None:
        """models: by kind of map (`dies`, `coordinates`)."""
        self.models = models
        self.engine = engine
        self.false_alarm_rate = false_alarm_rate
        self.thresholds = {
            kind: model.novelty.threshold(false_alarm_rate or model.false_alarm_rate)
            for kind, model in models.items()
        }

    @classmethod
    def load(
        cls,
        model: str = "auto",
        *,
        engine: str = "auto",
        device: str = "auto",
        false_alarm_rate: float | None = None,
    ) -> Predictor:
        """Load a model folder, a bundled model by its name, or `auto`. Raises UserError."""
        if false_alarm_rate is not None and not 0 < false_alarm_rate < 1:
            raise UserError(f"the false-alarm rate must lie between 0 and 1, not {false_alarm_rate}")
        where = resolve_device(device)

        def load_one(name: str) -> TrainedModel:
            return load_trained(find_model(TASK, name), engine=engine, device=where)

        if model == "auto":
            models = {kind: load_one(name) for kind, name in AUTO.items()}
        else:
            chosen = load_one(model)
            models = dict.fromkeys(AUTO, chosen)
        return cls(models, "native" if engine == "auto" else engine, false_alarm_rate)

    @classmethod
    def of(cls, config: ClassifyConfig) -> Predictor:
        """Load what the config names. Raises UserError."""
        return cls.load(
            config.model,
            engine=config.engine,
            device=config.device,
            false_alarm_rate=config.false_alarm_rate,
        )

    def predict(self, maps: Sequence[WaferMap]) -> list[Prediction]:
        """One prediction per map, in order.

        Raises UnsuitableMap (a ValueError) if a map lacks what its model needs.
        """
        results: list[Prediction | None] = [None] * len(maps)
        for kind, model in self.models.items():
            rows = [row for row, wafer in enumerate(maps) if _kind(wafer) == kind]
            clean = [row for row in rows if not len(maps[row].defects)]
            for row in clean:
                results[row] = self._without_defects(kind)
            rows = [row for row in rows if len(maps[row].defects)]
            if not rows:
                continue
            seen = model.measure([maps[row] for row in rows])
            order = np.argsort(-seen.probabilities, axis=1, kind="stable")
            for row, places, shares, score, latent in zip(
                rows,
                order.tolist(),
                seen.probabilities.tolist(),
                seen.novelty.tolist(),
                seen.latent,
                strict=True,
            ):
                label = model.labels[places[0]]
                results[row] = Prediction(
                    label=label,
                    probability=shares[places[0]],
                    novelty=score,
                    threshold=self.thresholds[kind],
                    decision=_decide(score, self.thresholds[kind], label == model.normal),
                    model=model.name,
                    latent=latent,
                    probabilities={
                        model.labels[place]: shares[place]
                        for place in places
                        if shares[place] >= LEAST_PROBABILITY
                    },
                )
        return [result for result in results if result is not None]

    def describe(self) -> dict[str, Any]:
        """Models, engine and device, as JSON holds them."""
        return {
            "models": {
                kind: {
                    "name": model.name,
                    "sha256": model.sha256,
                    "threshold": self.thresholds[kind],
                    "labels": list(model.labels),
                    "known": [model.novelty.threshold(1 - share) for share in SPREAD],
                }
                for kind, model in self.models.items()
            },
            "false_alarm_rate": {
                kind: self.false_alarm_rate or model.false_alarm_rate for kind, model in self.models.items()
            },
            "engine": self.engine,
            "device": str(next(iter(self.models.values())).device),
        }

    def _without_defects(self, kind: str) -> Prediction:
        """A wafer without any defect is normal by definition; no network is asked."""
        model = self.models[kind]
        label = model.normal or "normal"
        return Prediction(
            label=label,
            probability=1.0,
            novelty=float(model.novelty.known[0]),
            threshold=self.thresholds[kind],
            decision="normal",
            model=model.name,
            probabilities={label: 1.0},
        )


def _kind(wafer: WaferMap) -> str:
    return "dies" if wafer.die_level else "coordinates"


def _decide(score: float, threshold: float, normal: bool) -> Decision:
    if score > threshold:
        return "novel"
    return "normal" if normal else "known"
