"""Sizes against the truth, where it is known: from the rows of a run to the table of scores."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pipelines.polyp.metrics import Sized, summarise
from pipelines.polyp.size.rows import Row


def scores_of(
    rows: Iterable[tuple[Row, str]], median_mm: float | None, confidence: float, *, keep_trained: bool = False
) -> dict[str, Any]:
    """`polyp` and `frame` of `metrics.summarise`, and counts; empty if no size is known.

    rows: with the line of the companion file. median_mm: of the model's training. confidence: of the
    intervals of sizes. Polyps that the model was trained on are left out, unless they are to be kept.
    """
    polyps: list[Sized] = []
    frames: list[Sized] = []
    counts = {
        "abstained": 0,
        "indeterminate": 0,
        "failed": 0,
        "trained_on": 0,
        "trained_on_kept": keep_trained,
    }
    for row, line in rows:
        if row["true_mm"] is None:
            continue
        if row["status"] != "ok":
            counts["failed"] += 1
            continue
        counts["trained_on"] += row["trained_on"]
        if row["trained_on"] and not keep_trained:
            continue
        counts["abstained"] += row["mm"] is None
        counts["indeterminate"] += row["decision"] == "indeterminate"
        polyps.append(_sized(row, row["polyp"], row["mm"], row["low"], row["high"]))
        for frame in json.loads(line)["frames"]:
            mm = frame["mm"] if frame["usable"] else None
            frames.append(_sized(row, f"{row['polyp']}/{frame['frame']}", mm, None, None))
    if not polyps:
        return {}
    return {
        "polyp": summarise(polyps, "polyp", median_mm=median_mm),
        "frame": summarise(frames, "frame", median_mm=median_mm) if frames else {},
        "interval_confidence": confidence,
        "keep_trained": keep_trained,
        **counts,
    }


def _sized(row: Row, name: str, mm: float | None, low: float | None, high: float | None) -> Sized:
    # Polyps of one recording err together, too.
    patient = row["patient"] or (f"recording {row['video']}" if row["video"] else "")
    ends = (low, high) if mm is not None else (None, None)
    return Sized(
        name,
        row["true_mm"],
        mm,
        f"{row['source']}/{row['polyp']}",
        patient,
        bool(row["true_is_bound"]),
        *ends,
    )
