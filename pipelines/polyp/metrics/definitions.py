"""What each number means: the one place that the tables, the JSON and the pages take it from."""

from __future__ import annotations

from typing import Final, Literal

from pipelines.common.metrics import Metric

Level = Literal["polyp", "frame"]


def _thresholds() -> tuple[Metric, ...]:
    found = []
    for name, large in (("5mm", "above 5 mm"), ("10mm", "10 mm or more")):
        found += [
            Metric(
                f"sensitivity_{name}",
                f"sensitivity at {name[:-2]} mm",
                "",
                "higher",
                f"Of those that are {large}, the share whose predicted size is {large} too.",
            ),
            Metric(
                f"specificity_{name}",
                f"specificity at {name[:-2]} mm",
                "",
                "higher",
                f"Of those that are not {large}, the share whose predicted size is not either.",
            ),
        ]
    return tuple(found)


METRICS: Final = (
    Metric(
        "accuracy",
        "accuracy",
        "",
        "higher",
        "The share whose predicted size is in the right one of three classes: up to 5 mm, between, 10 mm or"
        " more.",
    ),
    Metric(
        "macro_f1",
        "macro F1",
        "",
        "higher",
        "The mean of the F1 of the three classes; a class that occurs in neither truth nor prediction is left"
        " out.",
    ),
    Metric(
        "kappa",
        "quadratic kappa",
        "",
        "higher",
        "Cohen's kappa of the three classes with quadratic weights: 1 is perfect, 0 is chance, and two"
        " classes off costs four times as much as one.",
    ),
    *_thresholds(),
    Metric("mae", "MAE", "mm", "lower", "The mean of |predicted size - true size|."),
    Metric("median_error", "median error", "mm", "lower", "The median of |predicted size - true size|."),
    Metric(
        "bias",
        "bias",
        "mm",
        "nearer 0",
        "The mean of predicted size - true size: above 0 if sizes come out too large.",
    ),
    Metric(
        "loa_low",
        "lower limit of agreement",
        "mm",
        "nearer 0",
        "bias - 1.96 standard deviations of predicted - true size, with n - 1 (Bland and Altman).",
    ),
    Metric(
        "loa_high",
        "upper limit of agreement",
        "mm",
        "nearer 0",
        "bias + 1.96 standard deviations of predicted - true size, with n - 1 (Bland and Altman).",
    ),
    Metric(
        "icc",
        "ICC(2,1)",
        "",
        "higher",
        "Intraclass correlation of truth and prediction: two-way random effects, absolute agreement, one"
        " measurement (Shrout and Fleiss).",
    ),
    Metric(
        "coverage",
        "coverage",
        "",
        "nearer the promised share",
        "The share whose true size lies in the predicted interval, its ends included.",
    ),
    Metric("width", "width", "mm", "lower", "The mean of the upper less the lower end of the interval."),
    Metric(
        "censored_right",
        "censored right",
        "",
        "higher",
        "Of those whose true size is a lower bound, the share whose predicted size is at least that bound.",
    ),
    Metric(
        "median_predictor_mae",
        "MAE of the median predictor",
        "mm",
        "lower",
        "The MAE if every size were predicted as one number, `baseline.median_mm`. A model that is not below"
        " it has learnt nothing of size.",
    ),
)

_SHARED: Final = {
    "classes": "Classes are those of sizes in mm that are not rounded: up to and with 5; above 5 and below"
    " 10; 10 and above. `matrix` has true classes as rows and predicted ones as columns, in this order.",
    "censored": "A true size that is a lower bound (`15 mm or more`) is in no error in mm, no limit of"
    " agreement, no ICC, no coverage and not in the median predictor. A prediction is right if it is at least"
    " the bound (`censored_right`). If the bound is 10 mm or more, the class is certain, and it counts in"
    " accuracy, F1, kappa and the matrix; else it does not. At a threshold it counts if the bound is on the"
    " large side. `counts.censored` says how many there are, `counts.censored_of_known_class` how many of"
    " them have a class.",
    "abstained": "Without a predicted size: in no metric, and counted.",
    "unknown": "Without a true size: in no metric, and counted.",
    "baseline": "The median predictor: every size is predicted as `median_mm`, the median of the true sizes"
    " that are no bounds; of these very items, unless `from_training` is true. A score of it has the same"
    " name as the model's.",
}


def definitions(level: Level, confidence: float = 0.95) -> dict[str, str]:
    """A text per metric, and what holds for all: `item`, `classes`, `censored`, `interval` and others."""
    item = {
        "polyp": "Every polyp counts once, however many frames it has.",
        "frame": "Every frame counts once, so polyps with many frames weigh more; sizes are those of the"
        " frame's polyp.",
    }[level]
    return {
        **{one.name: one.text for one in METRICS},
        "item": item,
        **_SHARED,
        "interval": f"low and high of a metric: the {confidence:.0%} percentile bootstrap interval, for which"
        " patients are drawn with repetition, each with all that is theirs; a polyp of an unknown patient is"
        " drawn by itself. None for fewer than two patients.",
    }
