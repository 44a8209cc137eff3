"""Polyps of a run as items of the page, and their sizes as verdicts hold them. Free of Streamlit."""

from __future__ import annotations

import math
from typing import Final

from apps.items import Item, Row
from apps.viewers.polyp_marks import Marks
from pipelines.polyp.metrics.bins import CLASSES
from pipelines.polyp.size.rows import ABSTAINED

INDETERMINATE: Final = "indeterminate"
DECISIONS: Final = (*CLASSES, INDETERMINATE, ABSTAINED)


def item_of(line: int, row_line: int, row: Row) -> Item:
    """The item of a row. Raises LookupError, TypeError or ValueError if the row is none of a polyp."""
    ok = row["status"] == "ok"
    decision = row["decision"] if ok else "failed"
    if ok and decision not in DECISIONS:
        raise ValueError("a polyp has no such decision")
    low, high = (row[one] if ok else None for one in ("low", "high"))
    return Item(
        line=line,
        row=row_line,
        source=str(row["source"]),
        map=str(row["polyp"]),
        hash=str(row["item"]) if ok else "",
        title=str(row["polyp"]),
        group=str(row["patient"] or ""),
        prediction=_prediction(row) if ok else "",
        decision=decision,
        probability=None,
        novelty=None,
        threshold=None,
        model=str(row["model"]),
        text="\n".join(str(row[name] or "") for name in ("polyp", "patient", "video", "source")).lower(),
        doubt=_doubt(decision, low, high) if ok else None,
        certainty="" if low is None or high is None else f"({low:.1f} to {high:.1f})",
    )


def label_of(marks: Marks, item: Item) -> str:
    """What a polyp is after the review: its corrected size, else what the run says."""
    if marks.mm is None:
        return item.prediction
    return f"{'>=' if marks.bound else ''}{marks.mm:g} mm"


def _prediction(row: Row) -> str:
    return ABSTAINED if row["mm"] is None else f"{row['mm']:.1f} mm"


def _doubt(decision: str, low: float | None, high: float | None) -> float:
    """Abstentions first, then what is near a threshold, each by the width of the interval in logarithms."""
    tier = {ABSTAINED: 2_000.0, INDETERMINATE: 1_000.0}.get(decision, 0.0)
    return tier + (math.log(high / low) if low and high and high > low > 0 else 0.0)
