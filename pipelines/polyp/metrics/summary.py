"""Sizes of polyps or of frames, and the table of scores that they come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .agreement import Floats, bias_of, high_of, icc_of, low_of, mae_of, moments
from .bins import LARGE_MM, SMALL_MM, UNKNOWN, above, known_class, size_class
from .bootstrap import DRAWS, Draws, draw, ends, of_weights, weighted_median
from .classes import accuracy_of, cells, confusion, kappa_of, macro_f1_of
from .definitions import METRICS, Level, definitions

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sized:
    """A polyp or a frame of one. Sizes and interval in mm.

    true_mm: None if unknown. predicted_mm: None if the model abstained. polyp, patient: ids; patient is empty
    if unknown. censored: true_mm is a lower bound. low_mm, high_mm: of the predicted interval, if any.
    """

    name: str
    true_mm: float | None
    predicted_mm: float | None
    polyp: str = ""
    patient: str = ""
    censored: bool = False
    low_mm: float | None = None
    high_mm: float | None = None


@dataclass(frozen=True, slots=True)
class _Score:
    """A score as a function of sums, (draws, k) to (draws,), over rows (chosen items, k)."""

    name: str
    chosen: Mask
    rows: Floats
    of: Callable[[Floats], Floats]


def summarise(
    items: Sequence[Sized],
    level: Level = "polyp",
    *,
    median_mm: float | None = None,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything for the JSON: `level`, `counts`, `metrics`, `matrix`, `baseline` and `definitions`.

    metrics: name to `value`, `low`, `high` and `items`, the number of items it is over; see
    `definitions.METRICS`. A metric without an item is absent; its value is None where it has none.
    median_mm: what the median predictor says, from training data; by default the median of these items.
    Raises ValueError without items or for numbers that are none.
    """
    if not items:
        raise ValueError("there are no sizes to summarise")
    used = [one for one in items if one.true_mm is not None and one.predicted_mm is not None]
    table = _Table.of(used)
    drawn = draw(_clusters(used), draws=draws, seed=seed) if used else None
    metrics = {one.name: _row(one, drawn, confidence) for one in _scores(table)}
    if table.exact.any():
        metrics["median_error"] = _median_error(table, drawn, confidence)
        metrics["median_predictor_mae"] = _median_mae(table, drawn, confidence, median_mm)
    chosen = table.known >= 0
    return {
        "level": level,
        "counts": _counts(items, used, table),
        "metrics": {one.name: metrics[one.name] for one in METRICS if one.name in metrics},
        "matrix": confusion(table.known[chosen], size_class(table.predicted[chosen])).tolist(),
        "baseline": _baseline(table, median_mm),
        "definitions": {
            name: text
            for name, text in definitions(level, confidence).items()
            if name in metrics or name not in {one.name for one in METRICS}
        },
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Of the items with a true and a predicted size, (N,) each. known: class, or UNKNOWN."""

    true: Floats
    predicted: Floats
    censored: Mask
    known: NDArray[np.int64]
    low: Floats
    high: Floats

    @property
    def exact(self) -> Mask:
        return ~self.censored

    @staticmethod
    def of(used: Sequence[Sized]) -> _Table:
        true, predicted = (
            np.array([getattr(one, name) for one in used], np.float64) for name in ("true_mm", "predicted_mm")
        )
        if not (np.isfinite(true).all() and np.isfinite(predicted).all()) or (true <= 0).any():
            raise ValueError("sizes must be finite, and true ones above 0")
        low, high = (
            np.array([np.nan if one is None else one for one in ends_], np.float64)
            for ends_ in ([one.low_mm for one in used], [one.high_mm for one in used])
        )
        if (low > high).any():
            raise ValueError("an interval must not end below its beginning")
        censored = np.array([one.censored for one in used], bool)
        return _Table(true, predicted, censored, known_class(true, censored), low, high)


def _clusters(used: Sequence[Sized]) -> list[str]:
    """Names of clusters: the patient, else the polyp, else the item itself; the three never meet."""
    return [
        f"patient {one.patient}"
        if one.patient
        else f"polyp {one.polyp}"
        if one.polyp
        else f"item {number} {one.name}"
        for number, one in enumerate(used)
    ]


def _scores(table: _Table) -> list[_Score]:
    known = table.known != UNKNOWN
    guess = size_class(table.predicted)
    matrix = cells(table.known[known], guess[known])
    scores = [
        _Score("accuracy", known, matrix, accuracy_of),
        _Score("macro_f1", known, matrix, macro_f1_of),
        _Score("kappa", known, matrix, kappa_of),
    ]
    for threshold, name in ((SMALL_MM, "5mm"), (LARGE_MM, "10mm")):
        large, says = above(table.true, threshold), above(table.predicted, threshold)
        # Of a lower bound that is not large nobody knows whether the size is.
        for kind, chosen, right in (
            ("sensitivity", large, says),
            ("specificity", ~large & table.exact, ~says),
        ):
            scores.append(_share(f"{kind}_{name}", chosen, right))
    sums = moments(table.true[table.exact], table.predicted[table.exact])
    scores += [
        _Score(name, table.exact, sums, of)
        for name, of in (
            ("mae", mae_of),
            ("bias", bias_of),
            ("loa_low", low_of),
            ("loa_high", high_of),
            ("icc", icc_of),
        )
    ]
    interval = table.exact & np.isfinite(table.low) & np.isfinite(table.high)
    inside = (table.low <= table.true) & (table.true <= table.high)
    widths = (table.high - table.low)[interval]
    scores += [
        _share("coverage", interval, inside),
        _Score("width", interval, np.stack([widths, np.ones_like(widths)], axis=1), _ratio),
        _share("censored_right", table.censored, table.predicted >= table.true),
    ]
    return [one for one in scores if one.chosen.any()]


def _share(name: str, chosen: Mask, right: Mask) -> _Score:
    hits = right[chosen].astype(np.float64)
    return _Score(name, chosen, np.stack([hits, np.ones_like(hits)], axis=1), _ratio)


def _ratio(sums: Floats) -> Floats:
    return sums[:, 0] / sums[:, 1]


def _row(score: _Score, drawn: Draws | None, confidence: float) -> dict[str, Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = score.of(score.rows.sum(axis=0, keepdims=True))
        scores = score.of(drawn.sums(score.rows, score.chosen)) if drawn else None
    return _entry(float(value[0]), scores, score.chosen, drawn, confidence)


def _entry(
    value: float, scores: Floats | None, chosen: Mask, drawn: Draws | None, confidence: float
) -> dict[str, Any]:
    several = drawn is not None and len(np.unique(drawn.cluster[chosen])) > 1
    found = ends(scores, confidence) if several and scores is not None else None
    return {
        "value": value if np.isfinite(value) else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "items": int(chosen.sum()),
    }


def _median_error(table: _Table, drawn: Draws | None, confidence: float) -> dict[str, Any]:
    chosen = table.exact
    errors = np.abs(table.predicted - table.true)[chosen]
    scores = of_weights(drawn, chosen, lambda one: weighted_median(errors, one)) if drawn else None
    return _entry(float(np.median(errors)), scores, chosen, drawn, confidence)


def _median_mae(
    table: _Table, drawn: Draws | None, confidence: float, median_mm: float | None
) -> dict[str, Any]:
    chosen = table.exact
    true = table.true[chosen]

    def score(weights: NDArray[np.int32]) -> Floats:
        fixed = np.full(len(weights), median_mm) if median_mm is not None else weighted_median(true, weights)
        errors = np.abs(true[None, :] - fixed[:, None])
        found: Floats = np.einsum("ni,ni->n", errors, weights) / weights.sum(axis=1)
        return found

    value = float(score(np.ones((1, len(true)), np.int32))[0])
    return _entry(value, of_weights(drawn, chosen, score) if drawn else None, chosen, drawn, confidence)


def _baseline(table: _Table, median_mm: float | None) -> dict[str, Any]:
    true = table.true[table.exact]
    middle = median_mm if median_mm is not None else (float(np.median(true)) if len(true) else None)
    if middle is None:
        return {"median_mm": None, "from_training": False}
    constant = _Table(
        table.true,
        np.full_like(table.true, middle),
        table.censored,
        table.known,
        np.full_like(table.low, np.nan),
        np.full_like(table.high, np.nan),
    )
    scores = {one.name: _row(one, None, 0.95)["value"] for one in _scores(constant)}
    return {"median_mm": middle, "from_training": median_mm is not None, **scores}


def _counts(items: Sequence[Sized], used: Sequence[Sized], table: _Table) -> dict[str, int]:
    return {
        "items": len(items),
        "used": len(used),
        "unknown_size": sum(one.true_mm is None for one in items),
        "abstained": sum(one.predicted_mm is None for one in items),
        "censored": int(table.censored.sum()),
        "censored_of_known_class": int((table.censored & (table.known != UNKNOWN)).sum()),
        "polyps": len({one.polyp or one.name for one in used}),
        "patients": len({one.patient for one in used if one.patient}),
        "polyps_of_unknown_patient": len({one.polyp or one.name for one in used if not one.patient}),
    }
