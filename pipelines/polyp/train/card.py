"""The card of a model that tells sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.polyp.aggregate import Scale
from pipelines.polyp.train.config import TrainConfig

SCORES_TOLD: dict[Scale, str] = {"map": "scores_with_map", "nothing": "scores_without_camera"}
COLUMNS = {SCORES_TOLD["map"]: "with maps of depth, too", SCORES_TOLD["nothing"]: "without a calibration"}
SHOWN = {
    "mae": "mean absolute error, mm",
    "bias": "mean of predicted minus true, mm",
    "accuracy": "accuracy of the three classes",
    "macro_f1": "macro-F1 of the three classes",
    "kappa": "weighted kappa of the three classes",
    "coverage": "share of true sizes in the interval",
}


def card(name: str, config: TrainConfig, data: str, metrics: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it learnt from, how well it does, what it is not for."""
    plan = config.network
    gates = "with" if plan.gated else "without"
    routing = ", trained by gradient routing" if plan.gated and config.routed else ""
    streams = "the lesion's pixels" if plan.backbone == "sparse-resnet" else " and ".join(plan.streams)
    return (
        f"""# {name}

Tells the size of a polyp in millimetres from frames of colonoscopy.

- Network: {plan.backbone} on {streams}, {gates} feature gates{routing}; {metrics["parameters"]:,} parameters.
{_depths(config)}\
- Trained on {metrics["polyps"]:,} polyps in {metrics["frames"]:,} frames of `{data}`, {metrics["epochs"]}
  epochs of {config.steps_per_epoch} steps of {config.batch_size} frames.
- Terms of the data: {config.data_terms}.

{_scores(config, metrics)}

**Intended use**: research. Not a medical device. Its sizes must not decide how a patient is treated, and it
has not been tested on endoscopes, lenses or patients other than those of the data.

{config.notes}
""".rstrip()
        + "\n"
    )


def _depths(config: TrainConfig) -> str:
    if not config.network.depth:
        return ""
    if config.depth_model == "none":
        return "- It sees maps of depth, and begins at the size that they, the outline and the camera give.\n"
    return (
        f"- It sees depths that the model `{Path(config.depth_model).name}` estimates from the colours of"
        " calibrated frames, or a map of\n  depth, and begins at the size that they, the outline and the"
        " camera give.\n"
    )


def _scores(config: TrainConfig, metrics: Mapping[str, Any]) -> str:
    scores = metrics["scores"]
    if not scores:
        return "No polyp was held out, so nothing was measured, and sizes have no interval."
    others = {text: metrics[name] for name, text in COLUMNS.items() if name in metrics}
    columns = {"with a calibration" if others else "value": scores, **others}
    shown = [one["polyp"]["metrics"] for one in columns.values()]
    lines = "\n".join(
        f"| {text} | {' | '.join(_number(one.get(name)) for one in shown)} |"
        for name, text in SHOWN.items()
        if any(name in one for one in shown)
    )
    return f"""On {metrics["held_out"]} polyps held out, by patient, of which {scores["abstained"]} got no
size and {scores["indeterminate"]} are near a threshold (intervals of {config.confidence:.0%}, each calibrated
on the other polyps):

| score | {" | ".join(columns)} |
|---|{"---|" * len(columns)}
{lines}"""


def _number(score: Mapping[str, Any] | None) -> str:
    return "" if score is None or score["value"] is None else f"{score['value']:.3g}"
