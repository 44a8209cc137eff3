"""The card of a segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.medical.config import Plan


def card(name: str, plan: Plan, training: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it learnt from, how well it does, what it is not for."""
    labels = ", ".join(f"{label} ({value})" for label, value in plan.labels.items())
    start = training.get("from")
    kinds = {"encoder": "a pretrained encoder", "segmenter": "a trained model"}
    origin = f" Training began from `{start['name']}`, {kinds[start['kind']]}." if start else ""
    scores = "\n".join(
        f"| {fold['fold']} | {fold['cases']} | {len(fold['held_out'])} | "
        + ", ".join(f"{label} {value:.3f}" for label, value in fold["dice"].items())
        + " |"
        for fold in metrics["folds"]
    )
    return (
        f"""# {name}

Segments {labels} in {plan.modality or "3D"} images ({", ".join(plan.channels)}).

- Network: {plan.network.name}, channels {", ".join(map(str, plan.network.channels))}, one for each of
  {len(metrics["folds"])} training(s); several are averaged. {plan.network.why}
- Voxels of {" x ".join(f"{side:g}" for side in plan.spacing)} mm, patches of
  {" x ".join(map(str, plan.patch))} voxels. What is returned lies on the grid of the input.
- Trained on {len(training["cases"])} cases of `{training["data"]}`, {training["epochs"]} epochs of
  {training["steps_per_epoch"]} steps.{origin}
- Terms of the data: {training["data_terms"]}.

Mean Dice of held-out cases, on the grid of the training:

| fold | trained on | held out | Dice |
|---|---|---|---|
{scores}

**Intended use**: research. Not a medical device, and not tested on images of other scanners, sequences, ages
or diseases than those of the data. Look at every mask before a number that depends on it is used.

{training["notes"]}
""".rstrip()
        + "\n"
    )
