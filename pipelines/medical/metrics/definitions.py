"""What each number means: the one place that the tables, the JSON and the pages take it from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pipelines.common.errors import UserError
from pipelines.common.metrics import Metric

DEFAULT_TOLERANCES_MM: Final = (1.0,)
NSD: Final = "nsd_"
_NSD_COLUMN: Final = re.compile(r"nsd_(\d+(?:\.\d+)?(?:e[+-]?\d+)?)mm")

SURFACE: Final = (
    "The surface of a mask is made of flat elements, one for each group of 2 x 2 x 2 voxel centres that has"
    " some voxels inside and some outside, cut half way between them, each with its area in mm². Distances go"
    " from the centre of an element to the nearest centre of the other surface, in mm, and count by area."
    " A mask that touches the edge of the image has a surface there."
)
EMPTY: Final = (
    "Truth and prediction both empty: not applicable, left out of means and counted. One of them empty: a"
    " miss. Dice, IoU and NSD are then 0, and distances are the diagonal of the image in mm; misses stay in"
    " the means."
    " A volume error needs a truth that is not empty."
)


METRICS: Final = (
    Metric(
        "dice",
        "Dice",
        "",
        "higher",
        "Twice the voxels that are in both masks, over the sum of the voxels of each.",
    ),
    Metric("iou", "IoU", "", "higher", "The voxels in both masks over the voxels in either (Jaccard)."),
    Metric(
        "hd95_mm",
        "HD95",
        "mm",
        "lower",
        "For each surface, the distance to the other that 95% of its area does not exceed; the larger of the"
        " two.",
    ),
    Metric(
        "hd_mm", "HD", "mm", "lower", "The largest distance from any element of a surface to the other one."
    ),
    Metric(
        "asd_mm",
        "ASD",
        "mm",
        "lower",
        "The mean distance over the area of both surfaces together, each to the other (average symmetric"
        " surface distance).",
    ),
    Metric(
        "volume_error",
        "volume error",
        "",
        "nearer 0",
        "(predicted volume - true volume) / true volume: 0.1 is 10% too much, -1 a missed structure.",
    ),
    Metric(
        "absolute_volume_error",
        "absolute volume error",
        "",
        "lower",
        "The volume error without its sign.",
    ),
)


def nsd_metric(tolerance_mm: float) -> Metric:
    """NSD at one tolerance; its column is `nsd_1mm` for 1 mm."""
    return Metric(
        f"{NSD}{tolerance_mm:g}mm",
        f"NSD {tolerance_mm:g} mm",
        "",
        "higher",
        f"The share of the area of both surfaces that lies within {tolerance_mm:g} mm of the other surface"
        " (normalised surface distance, or surface Dice).",
    )


def metrics_for(tolerances_mm: Sequence[float]) -> tuple[Metric, ...]:
    """All metrics, in the order of the columns."""
    overlap, rest = METRICS[:2], METRICS[2:]
    return (*overlap, *(nsd_metric(one) for one in tolerances_mm), *rest)


def metric_named(name: str) -> Metric:
    """The metric of a column. Raises UserError for a name that is none."""
    for one in METRICS:
        if one.name == name:
            return one
    if match := _NSD_COLUMN.fullmatch(name):
        return nsd_metric(float(match[1]))
    known = ", ".join([*(one.name for one in METRICS), "nsd_1mm"])
    raise UserError(f"there is no metric {name!r}; there are {known}")


def is_metric(column: object) -> bool:
    """Whether a column holds a metric."""
    named = {one.name for one in METRICS}
    return isinstance(column, str) and (column in named or _NSD_COLUMN.fullmatch(column) is not None)


def definitions(tolerances_mm: Sequence[float]) -> dict[str, str]:
    """A text per metric, and what holds for all: `surface`, `empty`, `volumes`, `detection`."""
    return {
        **{one.name: one.text for one in metrics_for(tolerances_mm)},
        "volumes": "truth_ml and predicted_ml: voxels times the volume of a voxel, in ml.",
        "detection": "found: both masks hold the structure; missing: only the truth does; false: only the"
        " prediction does; absent: neither does.",
        "surface": SURFACE,
        "empty": EMPTY,
    }
