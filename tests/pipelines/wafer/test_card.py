"""The card says what the model is, from its own config and metrics."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.wafer.card import model_card

CONFIG: dict[str, Any] = {
    "kind": "dies",
    "labels": ["Center", "None"],
    "normal_label": "None",
    "training": {"seed": 41},
    "false_alarm_rate": 0.025,
}
METRICS: dict[str, Any] = {
    "held_out": {
        "accuracy": 0.91234,
        "macro_f1": 0.87654,
        "ece": 0.0123,
        "per_class": {"Center": {"recall": 0.75}, "None": {"recall": 0.995}},
    },
    "held_out_ece_before_temperature": 0.0456,
    "novelty": {"components": 16, "dimension": 8},
    "threshold": 12.345,
    "maps": {"train": 900, "held_out": 100},
    "parameters": 12345,
    "seconds": 61.4,
    "command": "suite wafer train data.npz --out model --set epochs=2",
}


def card(config: dict[str, Any] | None = None, metrics: dict[str, Any] | None = None, notes: str = "") -> str:
    return model_card(
        "mine",
        CONFIG | (config or {}),
        METRICS | (metrics or {}),
        data="data.npz",
        terms="cite us",
        notes=notes,
    )


@pytest.mark.parametrize(
    "part",
    [
        "# mine\n",
        "2 known classes",
        "Center, None. `None` means that nothing is wrong.",
        "Trained on `data.npz`: 900 maps, and 100 more held out",
        "Terms: cite us.",
        "12345 parameters, 61 s of training, seed 41.",
        "\n    suite wafer train data.npz --out model --set epochs=2\n",
        "| 0.9123 | 0.8765 | 0.0123 | 0.0456 |",
        "Center 0.750, None 0.995.",
        "16 components, 8 principal components",
        "threshold 12.35,\n2.5% of held-out maps",
    ],
)
def test_it_says(part: str) -> None:
    assert part in card()


def test_it_tells_the_kinds_apart() -> None:
    assert "from die results" in card()
    assert "which dies exist and which fail" in card()
    assert "from defect coordinates" in card({"kind": "coordinates"})
    assert "where defects lie" in card({"kind": "coordinates"})


def test_what_is_not_there_is_not_spoken_of() -> None:
    assert "nothing is wrong" not in card({"normal_label": None})
    assert "(not recorded)" in card(metrics={"command": ""})
    assert "\n\n\n\n" not in card()
    assert "\nA note.\n" in card(notes="A note.")


def test_names_of_classes_are_kept_as_they_are() -> None:
    assert "{{ 7 * 7 }}, <b>" in card({"labels": ["{{ 7 * 7 }}", "<b>"]})
