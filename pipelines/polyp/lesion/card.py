"""The card of a model that finds lesions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.polyp.lesion.config import LesionConfig
from pipelines.polyp.lesion.trained import Tuning


def card(name: str, config: LesionConfig, tuning: Tuning, data: str, metrics: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it learnt from, how well it does, what it is not for."""
    start = "from random weights"
    if config.pretraining is not None:
        plan = config.pretraining
        start = (
            f"from an encoder pretrained on {metrics['pretraining']['frames']:,} frames with hidden cells"
            f" ({plan.epochs * plan.steps_per_epoch:,} steps)"
        )
    return (
        f"""# {name}

Finds polyps in frames of colonoscopy: a mask, a box and a score for each.

- Network: residual U-network, {metrics["parameters"]:,} parameters, on the optical field made to fit
  {config.network.side} x {config.network.side} px.
- Trained on {metrics["frames"]:,} frames of {data}, {start},
  {metrics["steps"]:,} steps of {config.batch_size} frames; threshold {tuning.threshold:g} and least score
  {tuning.sure:g}, tuned on {metrics["tuned_on"]:,} other frames.
- Terms of the data: {config.data_terms}.

{_scores(metrics)}

**Intended use**: research. Not a medical device. A frame without a find is not free of lesions. It has not
been tested on endoscopes, hospitals or patients other than those of the data.

{config.notes}
""".rstrip()
        + "\n"
    )


def _scores(metrics: Mapping[str, Any]) -> str:
    scores = metrics["scores"]
    if not scores:
        return "No frame was held out, so nothing was measured."
    rows = []
    for name, of in scores.items():
        number = of["frames"] - of["empty"]
        dice = (
            "" if of["dice"] is None else f"{of['dice']:.3f} ({of['dice_low']:.3f} to {of['dice_high']:.3f})"
        )
        iou = "" if of["iou"] is None else f"{of['iou']:.3f}"
        rows.append(
            f"| {name} | {of['frames']} | {dice} | {iou} | {of['missed']} of {number} |"
            f" {of['false']} of {of['empty']} | {of['false_parts']} of {of['parts']} |"
        )
    lines = "\n".join(rows)
    return f"""On frames held out, none of a patient, sequence or near-duplicate in the training (Dice and
IoU are means over frames with a lesion, with a bootstrap interval of 95%; missed: IoU below 0.1):

| data | frames | Dice | IoU | lesions missed | finds in frames without one | in parts without one |
|---|---|---|---|---|---|---|
{lines}"""
