"""The card of a model that estimates depths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.polyp.depth.config import DepthConfig


def card(name: str, config: DepthConfig, data: str, metrics: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it learnt from, how well it does, what it is not for."""
    scores = metrics["scores"]
    return (
        f"""# {name}

Estimates how far away what a frame of colonoscopy shows is, in mm, from its colours and a calibrated camera.

- Network: residual U-network, {metrics["parameters"]:,} parameters, on the picture made to fit
  {config.network.side} x {config.network.side} px.
- Trained on {metrics["frames"]:,} frames of {metrics["polyps"]:,} polyps of {data}, from random weights,
  {metrics["steps"]:,} steps of {config.batch_size} frames.
- Terms of the data: {config.data_terms}.

On {scores["frames"]:,} frames of {scores["polyps"]:,} polyps held out, as means of absolute natural
logarithms of estimated over true depth (0.1 is a tenth too near or too far):

| | this model | always the middle of the training |
|---|---|---|
| the polyp | {_short(scores["lesion"])} | {_short(scores["lesion_unknowing"])} |
| the whole frame | {_short(scores["frame"])} | {_short(scores["frame_unknowing"])} |

**Intended use**: research. Not a medical device. It has not been tested on endoscopes, hospitals or patients
other than those of the data.

{config.notes}
""".rstrip()
        + "\n"
    )


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
