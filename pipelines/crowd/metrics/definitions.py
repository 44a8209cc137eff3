"""What each number means: the one place that the tables, the JSON and the pages take it from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipelines.common.metrics import Metric
from pipelines.crowd.metrics.game import LEVELS
from pipelines.crowd.metrics.localisation import SIGMAS_PX


def _game_text(level: int) -> str:
    if level == 0:
        return "The mean absolute error of the sums of the maps: GAME with the whole image as its one part."
    return (
        f"The image is cut into {4**level} equal parts; the absolute errors of the counts of the parts are"
        " summed, and averaged over images. A cell of a map that lies in several parts is shared by area."
    )


METRICS: Final = (
    Metric("mae", "MAE", "people", "lower", "The mean over images of |predicted count - true count|."),
    Metric(
        "rmse",
        "RMSE",
        "people",
        "lower",
        "The square root of the mean over images of the squared error of the count. Papers on crowd counting"
        " call this MSE.",
    ),
    Metric(
        "nae",
        "NAE",
        "",
        "lower",
        "The mean of |predicted count - true count| / true count over the images that are not empty.",
    ),
    Metric(
        "bias",
        "bias",
        "people",
        "nearer 0",
        "The mean over images of predicted count - true count: above 0 if too many are counted.",
    ),
    *(Metric(f"game_{level}", f"GAME({level})", "people", "lower", _game_text(level)) for level in LEVELS),
    Metric(
        "coverage",
        "coverage",
        "",
        "nearer the promised share",
        "The share of images whose true count lies in the interval, its ends included.",
    ),
    Metric("width", "width", "people", "lower", "The mean over images of the upper less the lower end."),
    Metric(
        "relative_width",
        "relative width",
        "",
        "lower",
        "The sum of the widths of the intervals over the sum of the true counts.",
    ),
)


def localisation_metrics(sigma_px: float) -> tuple[Metric, Metric, Metric]:
    """Precision, recall and F1 at one distance; the columns are `precision_4px` and so on for 4 px."""
    pairs = (
        f"Predicted points and heads are paired one to one, at most {sigma_px:g} px apart, so that there are"
        " as many pairs as there can be; counts of all images are added before dividing. "
    )
    return (
        Metric(
            f"precision_{sigma_px:g}px",
            f"precision {sigma_px:g} px",
            "",
            "higher",
            pairs + "Pairs over predicted points.",
        ),
        Metric(
            f"recall_{sigma_px:g}px", f"recall {sigma_px:g} px", "", "higher", pairs + "Pairs over heads."
        ),
        Metric(
            f"f1_{sigma_px:g}px",
            f"F1 {sigma_px:g} px",
            "",
            "higher",
            pairs + "Twice the pairs over the sum of predicted points and heads.",
        ),
    )


def definitions(sigmas_px: Sequence[float] = SIGMAS_PX, confidence: float = 0.95) -> dict[str, str]:
    """A text per metric, and what holds for all: `count`, `interval`."""
    listed = [*METRICS, *(one for sigma in sigmas_px for one in localisation_metrics(sigma))]
    return {
        **{one.name: one.text for one in listed},
        "count": "The true count is the number of marked heads in frame.",
        "interval": f"low and high of a metric: the {confidence:.0%} percentile bootstrap interval, for which"
        " images are drawn with repetition.",
    }
