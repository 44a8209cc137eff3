"""A model's sizes against known ones: a run folder like any other, and what its rows come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.runs import RUN
from pipelines.common.summary import RunSummary
from pipelines.polyp.data import Polyp, PolypError, frames_of, groups_of
from pipelines.polyp.size.config import PredictConfig
from pipelines.polyp.size.items import Inputs, list_data_sets
from pipelines.polyp.size.predict import Predictor
from pipelines.polyp.size.run import SCORES, about_the_model, record_for, size_items

TRAINED_ON: Final = "the model was trained on it, or on another polyp of its patient or recording"
UNKNOWN: Final = "its size is not known"

Say = Callable[[str], None]


class EvaluateConfig(PredictConfig):
    """keep_trained: measure polyps that the model was trained on, too; scores are worth little then."""

    keep_trained: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """scores: `polyp` and `frame` of `metrics.summarise`, and counts; see `size.scores`. left_out: ids of
    polyps, and why."""

    summary: RunSummary
    scores: dict[str, Any]
    left_out: tuple[tuple[str, str], ...]


def evaluate(
    paths: Sequence[Path],
    *,
    predictor: Predictor,
    config: EvaluateConfig,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    progress: Say = lambda text: None,
    note: Say = lambda text: None,
) -> Evaluation:
    """Size the polyps of known size of data sets, and compare.

    Writes the run folder `out` with `metrics.json` besides. Polyps that the model was trained on, and others
    of their patients and recordings, are left out, unless `keep_trained` says otherwise; then they are marked
    in the rows. Raises UserError if no polyp is left, and as `size.run.size` does.
    """
    progress("looking for polyps")
    inputs = list_data_sets(paths, config.layout)
    chosen, left_out = _chosen(inputs, predictor, config)
    for text in [*about_the_model(predictor), *inputs.notes, *_told(left_out)]:
        note(text)
    if not chosen.items:
        reasons = "; ".join(dict.fromkeys(reason for _, reason in left_out))
        raise UserError(f"no polyp is left to evaluate {predictor.model.name} on: {reasons}")
    summary = size_items(
        chosen,
        predictor=predictor,
        record=record_for("evaluate", paths, predictor, config),
        marks="labels",
        out=out,
        resume=resume,
        overwrite=overwrite,
        progress=progress,
        keep_trained=config.keep_trained,
    )
    record = json.loads((out / RUN).read_text(encoding="utf-8"))
    scores = record.get("scores") or {}
    document = {
        "model": predictor.describe(),
        "inputs": record["inputs"],
        "scores": scores,
        "left_out": [{"polyp": id, "reason": reason} for id, reason in left_out],
    }
    with replacing(out / SCORES) as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    return Evaluation(summary, scores, tuple(left_out))


def _chosen(
    inputs: Inputs, predictor: Predictor, config: EvaluateConfig
) -> tuple[Inputs, list[tuple[str, str]]]:
    polyps = [item.polyp for item in inputs.items]
    # By data set: ids and patients of two sets may be alike by chance.
    groups = groups_of([_apart(item.polyp, item.source) for item in inputs.items])
    seen = {group for group, one in zip(groups, polyps, strict=True) if _trained_on(one, predictor)}
    kept, left_out = [], []
    for item, group in zip(inputs.items, groups, strict=True):
        if item.polyp.size_mm is None:
            left_out.append((item.polyp.id, UNKNOWN))
        elif group in seen and not config.keep_trained:
            left_out.append((item.polyp.id, TRAINED_ON))
        else:
            kept.append(replace(item, trained_on=group in seen))
    return Inputs(kept, inputs.skipped, inputs.notes), left_out


def _apart(polyp: Polyp, source: str) -> Polyp:
    return replace(
        polyp,
        id=f"{source}/{polyp.id}",
        patient=polyp.patient and f"{source}/{polyp.patient}",
        video=polyp.video and f"{source}/{polyp.video}",
    )


def _trained_on(polyp: Polyp, predictor: Predictor) -> bool:
    try:
        return predictor.was_trained_on(polyp.id, frames_of(polyp).frames)
    except PolypError:
        return False  # its row says why it cannot be read


def _told(left_out: Sequence[tuple[str, str]]) -> list[str]:
    counts: dict[str, int] = {}
    for _, reason in left_out:
        counts[reason] = counts.get(reason, 0) + 1
    return [
        f"{count:,} {'polyp is' if count == 1 else 'polyps are'} left out: {reason}"
        for reason, count in counts.items()
    ]
