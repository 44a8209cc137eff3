"""Scores of each image, and what they come to over a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.crowd.data.placing import in_frame

from .bootstrap import DRAWS, bootstrap
from .definitions import definitions
from .game import LEVELS, game
from .localisation import SIGMAS_PX, Hits, hits

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImageScores:
    """One image. true, predicted: counts. low, high: of the interval of the count, if there is one.

    game: GAME for each of LEVELS; empty without a map. hits: by sigma in px; empty without predicted points.
    """

    name: str
    true: float
    predicted: float
    low: float | None = None
    high: float | None = None
    game: tuple[float, ...] = ()
    hits: dict[float, Hits] = field(default_factory=dict)


def score_image(
    name: str,
    heads: ArrayLike,
    height: int,
    width: int,
    predicted: float,
    *,
    interval: tuple[float, float] | None = None,
    density: NDArray[Any] | None = None,
    cell: float | None = None,
    points: ArrayLike | None = None,
    sigmas_px: Sequence[float] = SIGMAS_PX,
) -> ImageScores:
    """Score what was predicted for an image of this height and width in px.

    heads: true ones, (N, 2) in px; those out of frame do not count. predicted: the count. interval: its low
    and high end. density: map of people (h, w), with cells of `cell` px or else of just the image's extent.
    points: predicted heads, (M, 2) in px.
    """
    table = np.asarray(heads, np.float64).reshape(-1, 2)
    table = table[in_frame(table, width, height)]
    low, high = interval or (None, None)
    return ImageScores(
        name,
        float(len(table)),
        float(predicted),
        low,
        high,
        ()
        if density is None
        else tuple(game(table, density, height, width, level, cell) for level in LEVELS),
        {} if points is None else {float(sigma): hits(table, points, sigma) for sigma in sigmas_px},
    )


@dataclass(frozen=True, slots=True)
class _Score:
    """A score as a function of means over images: rows (images, k), and (draws, k) to (draws,)."""

    name: str
    rows: Floats
    of: Callable[[Floats], Floats]


def summarise(
    images: Sequence[ImageScores], *, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> dict[str, Any]:
    """Everything for the JSON: `images`, `people`, `metrics` and their `definitions`.

    metrics: name to `value`, `low` and `high`; see `definitions.METRICS`. Scores that need maps, intervals or
    points are over the images that have them, and absent if none has; `images` of a metric says over how many
    if not all. low and high are None for fewer than two images. Raises ValueError without images.
    """
    if not images:
        raise ValueError("there are no images to summarise")
    found: dict[str, dict[str, Any]] = {}
    for score in _scores(images):
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(score.of(score.rows.mean(axis=0, keepdims=True))[0])
        ends = bootstrap(score.rows, score.of, draws=draws, seed=seed, confidence=confidence)
        found[score.name] = {
            "value": value if np.isfinite(value) else None,
            "low": ends.low if ends else None,
            "high": ends.high if ends else None,
        }
        if len(score.rows) < len(images):
            found[score.name]["images"] = len(score.rows)
    sigmas = sorted({sigma for one in images for sigma in one.hits})
    texts = definitions(sigmas, confidence)
    return {
        "images": len(images),
        "people": sum(one.true for one in images),
        "metrics": found,
        "definitions": {name: text for name, text in texts.items() if name in found}
        | {name: texts[name] for name in ("count", "interval")},
    }


def _scores(images: Sequence[ImageScores]) -> list[_Score]:
    true = np.array([one.true for one in images], np.float64)
    error = np.array([one.predicted for one in images], np.float64) - true
    some = true > 0
    relative = np.divide(np.abs(error), true, out=np.zeros_like(error), where=some)
    scores = [
        _Score("mae", np.abs(error)[:, None], _first),
        _Score("rmse", (error**2)[:, None], lambda means: np.sqrt(means[:, 0])),
        _Score("nae", np.stack([relative, some], axis=1), _ratio),
        _Score("bias", error[:, None], _first),
    ]
    mapped = np.array([one.game for one in images if one.game])
    scores += [
        _Score(f"game_{level}", mapped[:, [place]], _first)
        for place, level in enumerate(LEVELS)
        if len(mapped)
    ]
    ends = np.array(
        [(one.low, one.high, one.true) for one in images if one.low is not None and one.high is not None],
        np.float64,
    )
    if len(ends):
        low, high, truth = ends.T
        inside = (low <= truth) & (truth <= high)
        scores += [
            _Score("coverage", inside[:, None].astype(np.float64), _first),
            _Score("width", (high - low)[:, None], _first),
            _Score("relative_width", np.stack([high - low, truth], axis=1), _ratio),
        ]
    for sigma in sorted({sigma for one in images for sigma in one.hits}):
        counted = [one.hits[sigma] for one in images if sigma in one.hits]
        matched, false, missed = np.array(
            [(one.matched, one.false, one.missed) for one in counted], np.float64
        ).T
        scores += [
            _Score(f"precision_{sigma:g}px", np.stack([matched, matched + false], axis=1), _ratio),
            _Score(f"recall_{sigma:g}px", np.stack([matched, matched + missed], axis=1), _ratio),
            _Score(f"f1_{sigma:g}px", np.stack([2 * matched, 2 * matched + false + missed], axis=1), _ratio),
        ]
    return scores


def _first(means: Floats) -> Floats:
    return means[:, 0]


def _ratio(means: Floats) -> Floats:
    return means[:, 0] / means[:, 1]
