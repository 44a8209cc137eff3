"""The card of a model that counts people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.crowd.train.config import TrainConfig

SHOWN = {
    "mae": "mean absolute error, people",
    "rmse": "root of the mean squared error, people",
    "nae": "mean error relative to the true count",
    "bias": "mean of counted minus true, people",
    "coverage": "share of true counts in the interval",
    "relative_width": "width of the intervals relative to the counts",
}


def card(name: str, config: TrainConfig, data: str, metrics: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it learnt from, how well it counts, what it is not for."""
    return (
        f"""# {name}

Counts people in photographs and in frames of video.

- Network: {config.network.name}, {metrics["parameters"]:,} parameters.
- Trained on {metrics["images"]:,} images of `{data}` with {metrics["people"]:,} marked heads,
  {metrics["epochs"]} epochs of {config.steps_per_epoch} steps of {config.batch_size} crops of
  {config.crop} x {config.crop} px.
- Terms of the data: {config.data_terms}.

{_scores(config, metrics)}

**Intended use**: numbers of people in scenes like those of the training, for planning and safety, looked at
by a person. It finds no identities and follows nobody. Scenes of another kind (from above, at night, animals,
statues, pictures of people) are counted wrongly without warning: mark the heads in a few images of your own
and measure with `suite crowd evaluate` before a number that depends on it is used.

{config.notes}
""".rstrip()
        + "\n"
    )


def _scores(config: TrainConfig, metrics: Mapping[str, Any]) -> str:
    scores = metrics["scores"]
    if not scores:
        return "No image was held out, so nothing was measured, and counts have no interval."
    found = scores["metrics"]
    rows = [
        f"| {text} | {found[name]['value']:.3g} |"
        for name, text in SHOWN.items()
        if name in found and found[name]["value"] is not None
    ]
    for part, of in metrics["data"].items():
        text = f"mean absolute error on the {of['images']:,} images of {part}, people"
        rows.append(f"| {text} | {of['metrics']['mae']['value']:.3g} |")
    if scores.get("gate_recall") is not None:
        rows.append(f"| share of heads in refined blocks | {scores['gate_recall']:.3g} |")
        rows.append(f"| share of blocks that are refined | {scores['refined']:.3g} |")
    lines = "\n".join(rows)
    return f"""On {metrics["held_out"]} images held out, with {scores["people"]:,.0f} heads (intervals of
{config.confidence:.0%}, each calibrated on the other held-out images):

| score | value |
|---|---|
{lines}"""
