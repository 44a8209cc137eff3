"""A model's counts against marked heads: a row per image, and what they come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from pipelines.common.errors import UserError
from pipelines.common.tables import Table
from pipelines.crowd.count.heads import place_heads
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.scene import Scene, measure
from pipelines.crowd.data import Case, CrowdError, FailedCase, LabelledImage, read_case, read_dataset
from pipelines.crowd.density import block_counts
from pipelines.crowd.metrics import SIGMAS_PX, ImageScores, hits, score_image, summarise

COLUMNS: Final = (
    *("name", "source", "split", "true", "count", "low", "high", "error_people", "gate_recall", "refined"),
    *("width", "height", "seconds", "status", "note", "error"),
)
GATE: Final = {
    "gate_recall": "The share of all heads that lie in blocks which the sparse decoder refined.",
    "refined": "The mean over images of the share of blocks which the sparse decoder refined.",
}

Row = dict[str, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """rows: one per image with the columns COLUMNS; one that failed has a reason. scores: of those that did
    not. gate: heads in refined blocks and heads over all images, where the model has a gate. notes: in words
    for the user."""

    rows: list[Row]
    scores: list[ImageScores]
    gate: tuple[int, int] | None
    model: dict[str, Any]
    layout: str
    split: str
    confidence: float
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """See `metrics.summarise`; with `gate_recall` and `refined` where the model has a gate."""
        if not self.scores:
            return {"images": 0, "people": 0, "metrics": {}, "definitions": {}}
        found = summarise(self.scores)
        counted = [row for row in self.rows if row["status"] == "ok"]
        if self.gate is not None:
            reached, heads = self.gate
            shares = {
                "gate_recall": reached / heads if heads else None,
                "refined": float(np.mean([row["refined"] for row in counted])),
            }
            found["metrics"] |= {
                name: {"value": value, "low": None, "high": None} for name, value in shares.items()
            }
            found["definitions"] |= GATE
        return found

    def document(self) -> dict[str, Any]:
        """All of it, as it goes into JSON."""
        return {
            "model": self.model,
            "layout": self.layout,
            "split": self.split,
            "confidence": self.confidence,
            "summary": self.summary(),
            "rows": self.rows,
            "notes": list(self.notes),
        }

    def write_csv(self, file: IO[str]) -> None:
        """The rows; what is not applicable is empty."""
        Table(file, COLUMNS).writerows(self.rows)


def evaluate(
    data: Path,
    predictor: Predictor,
    *,
    split: str = "",
    points: bool = True,
    sigmas_px: Sequence[float] = SIGMAS_PX,
    progress: Progress = lambda text: None,
) -> Evaluation:
    """Count every labelled image of a data set and compare.

    data: see `data.read_dataset`. split: only the images of this one. points: also place heads and match them
    with the true ones, at most `sigmas_px` px apart in the image as its file has it. An image that cannot be
    read or counted is one failed row. Raises UserError if there is no labelled image.
    """
    dataset = read_dataset(data)
    cases, notes = _chosen(dataset.cases, split)
    rows, scores = [], []
    reached = heads = 0
    for number, case in enumerate(cases, start=1):
        progress(f"image {number:,} of {len(cases):,}: {case.name}")
        begun = time.monotonic()
        try:
            read = read_case(case, max_pixels=predictor.config.max_pixels)
            one = _count(read, predictor, sigmas_px if points else ())
        except (CrowdError, RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
            # RuntimeError is what torch raises for want of memory.
            rows.append(_failed(FailedCase(case, str(error) or type(error).__name__)))
            continue
        row, score, gate = one
        rows.append(row | {"seconds": round(time.monotonic() - begun, 3)})
        scores.append(score)
        reached, heads = reached + (gate or 0), heads + int(row["true"])
    return Evaluation(
        rows,
        scores,
        (reached, heads) if predictor.has_gate else None,
        predictor.describe(),
        dataset.layout,
        split,
        predictor.config.confidence,
        (*dataset.notes, *notes),
    )


def _chosen(cases: Sequence[Case], split: str) -> tuple[list[Case], list[str]]:
    splits = sorted({case.split for case in cases if case.split})
    if split and split not in splits:
        known = f"it has {', '.join(splits)}" if splits else "it names none"
        raise UserError(f"--split {split}: the data set has no such split; {known}")
    chosen = [case for case in cases if not split or case.split == split]
    labelled = [case for case in chosen if case.labelled]
    if not labelled:
        raise UserError("no image of the data set has labels")
    left_out = len(chosen) - len(labelled)
    return labelled, [f"{left_out:,} images without labels are left out"] if left_out else []


def _count(
    read: LabelledImage, predictor: Predictor, sigmas_px: Sequence[float]
) -> tuple[Row, ImageScores, int | None]:
    """The row, the scores, and how many heads lie in refined blocks."""
    if read.heads is None:
        raise CrowdError("its heads are not marked")
    picture, truth = read.picture, read.heads.points
    found = predictor.predict(picture.pixels)
    whole = measure(
        found,
        Scene().view(found, picture.full_size),
        predictor.model.calibration,
        predictor.config.confidence,
    ).whole
    scale = np.array([found.width / picture.width, found.height / picture.height])
    interval = None if whole.low is None or whole.high is None else (whole.low, whole.high)
    score = score_image(
        read.case.name,
        truth * scale,
        found.height,
        found.width,
        whole.count,
        interval=interval,
        density=found.counts,
        cell=found.stride,
    )
    if sigmas_px:
        # In px of the file, whatever the image was reduced to.
        full = np.array([picture.full_size[0] / picture.width, picture.full_size[1] / picture.height])
        placed = place_heads(found)[0] / scale * full
        score = replace(score, hits={float(one): hits(truth * full, placed, one) for one in sigmas_px})
    reached = _reached(found, truth * scale) if predictor.has_gate else None
    true = len(truth)
    row = dict.fromkeys(COLUMNS) | {
        "name": read.case.name,
        "source": str(read.case.image),
        "split": read.case.split,
        "true": true,
        "count": round(whole.count, 3),
        "low": None if whole.low is None else round(whole.low, 3),
        "high": None if whole.high is None else round(whole.high, 3),
        "error_people": round(whole.count - true, 3),
        "gate_recall": round(reached / true, 5) if reached is not None and true else None,
        "refined": round(float(found.gate.mean()), 5) if found.gate is not None else None,
        "width": picture.full_size[0],
        "height": picture.full_size[1],
        "status": "ok",
        "note": found.note,
        "error": "",
    }
    return row, score, reached


def _reached(found: CountMap, heads: Any) -> int | None:
    if found.gate is None:
        return None
    people = block_counts(heads, found.height, found.width, found.stride)
    return int(people[found.gate].sum())


def _failed(one: FailedCase) -> Row:
    case = one.case
    about = {"name": case.name, "source": str(case.image), "split": case.split, "status": "failed"}
    return dict.fromkeys(COLUMNS) | about | {"note": "", "error": one.error}
