"""The card of a wafer model: what it is for, what it learnt from, how right it is, where it ends."""

# ruff: noqa: E501 - a Markdown table row is one line
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined

_CARD = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
    """\
# {{ name }}

Classifies wafer defect maps from {{ source }} into {{ labels|length }} known classes and says when a map looks like
none of them.

{% if notes %}
{{ notes }}

{% endif %}
## Classes
{{ labels|join(", ") }}.{% if normal %} `{{ normal }}` means that nothing is wrong.{% endif %}


## Data and terms
Trained on `{{ data }}`: {{ metrics.maps.train }} maps, and {{ metrics.maps.held_out }} more held out for calibration and
thresholds. Terms: {{ terms }}.
{% if metrics.get("examples") %}
`examples.safetensors` holds pictures of {{ metrics.examples }} of these maps, to be shown beside what the model classifies.
{% endif %}

## How it was made
{% if refitted %}
Refitted from `{{ refitted.name }}` (SHA-256 {{ refitted.sha256[:16] }}) with {{ refitted.reviewed }} reviewed maps{{ " and " ~ refitted.data if refitted.data else ", WITHOUT its training data: what it knew before may have suffered" }}.
{% if refitted.new_classes %}
New classes: {{ refitted.new_classes|join(", ") }}.
{% endif %}

{% endif %}
{{ metrics.parameters }} parameters, {{ metrics.seconds|round|int }} s of training, seed {{ training.seed }}.

    {{ metrics.command or "(not recorded)" }}

## How right it is, on its held-out maps
{% if not held %}
No map was held out, so nothing is known of it.
{% else %}
They were drawn at random within each class: wafers of one lot may be on both sides, and a new lot may fare worse. They trained
nothing, but the temperature was fitted on them, so the ECE is a little too good.

| accuracy | macro-F1 | ECE | ECE before temperature |
|---|---|---|---|
| {{ "%.4f"|format(held.accuracy) }} | {{ "%.4f"|format(held.macro_f1) }} | {{ "%.4f"|format(held.ece) }} | {{ "%.4f"|format(metrics.held_out_ece_before_temperature) }} |

Recall per class: {% for label, of in held.per_class.items() %}{{ label }} {{ "%.3f"|format(of.recall) }}{{ ", " if not loop.last else "." }}{% endfor %}

{% endif %}

## Novelty
The score is the mean of two surprises: of the free energy of the logits, and of the map's latent and shape under Gaussian
mixtures of the classes ({{ metrics.novelty.components }} components, {{ metrics.novelty.dimension }} principal components). At the default threshold {{ "%.2f"|format(metrics.threshold) }},
{{ "%.1f"|format(100 * rate) }}% of held-out maps of known classes lie above it.

## Limits
{% if kind == "dies" %}
It reads which dies exist and which fail, not the bins. It knows the products and processes of its data only.
{% else %}
It reads where defects lie, not their size or class. It knows the patterns of its data only.
{% endif %}
A wafer with two patterns gets one class. Check a novel map by eye before acting on it.
"""
)


def model_card(
    name: str,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    data: str,
    terms: str,
    notes: str,
) -> str:
    """Markdown, from the model's `config.json` and `metrics.json`."""
    return _CARD.render(
        name=name,
        source="die results (sort maps)"
        if config["kind"] == "dies"
        else "defect coordinates at full resolution",
        kind=config["kind"],
        labels=config["labels"],
        normal=config["normal_label"],
        data=data,
        terms=terms,
        notes=notes,
        training=config["training"],
        metrics=metrics,
        held=metrics["held_out"],
        refitted=config.get("refitted_from"),
        rate=config["false_alarm_rate"],
    )
