"""Measurements of one method, from an evaluation that was just made or from its file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.tables import plain
from pipelines.medical.evaluate import Evaluation
from pipelines.medical.metrics.definitions import is_metric

MAX_FILE_BYTES: Final = 256 * 2**20
SAME_TRUTH: Final = 1e-3  # by how much, relatively, true volumes may differ


@dataclass(frozen=True, slots=True)
class Measurement:
    """One label of one case. scores: by the metrics' names, None where not applicable."""

    detection: str
    truth_ml: float | None
    scores: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Method:
    """rows: by case and label. failed: cases that could not be measured. metrics: the columns there are."""

    name: str
    source: str
    rows: dict[tuple[str, str], Measurement]
    failed: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """In the order of the rows."""
        return list(dict.fromkeys(label for _, label in self.rows))

    def count(self, label: str, cases: Iterable[str], detection: str) -> int:
        """In how many of the cases a label was `found`, `missing`, `false` or `absent`."""
        return sum(self.rows[case, label].detection == detection for case in cases)


def from_evaluation(evaluation: Evaluation, source: Path) -> Method:
    """The method whose masks were evaluated."""
    return _method(evaluation.rows, source)


def read_measurements(path: Path) -> Method:
    """The method of a file that `evaluate` wrote, CSV or JSON. Raises UserError that says what is wrong."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path} is larger than an evaluation can be ({MAX_FILE_BYTES:,} bytes)")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text: give the CSV or JSON of an evaluation") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    try:
        rows = (
            _json_rows(text)
            if text.lstrip().startswith("{")
            else [_plain(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
        )
    except (ValueError, RecursionError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    return _method(rows, path)


def _plain(row: dict[str, str]) -> dict[str, Any]:
    """A row as it was before it was made safe for spreadsheets."""
    return {name: plain(cell) if isinstance(cell, str) else cell for name, cell in row.items()}


def distinct_names(methods: Sequence[Method]) -> list[Method]:
    """The methods with names that tell them apart: their folder first, else a number."""
    given = [one.name for one in methods]
    longer = [
        f"{Path(one.source).resolve().parent.name}/{one.name}" if given.count(one.name) > 1 else one.name
        for one in methods
    ]
    return [
        replace(one, name=name if longer.count(name) == 1 else f"{name} ({number})")
        for number, (one, name) in enumerate(zip(methods, longer, strict=True), start=1)
    ]


def truths_differ(methods: Sequence[Method], keys: Mapping[str, Sequence[str]]) -> str:
    """A note if the methods were not measured against the same truth, by its volumes; else empty."""
    for label, cases in keys.items():
        for case in cases:
            volumes = [one.rows[case, label].truth_ml for one in methods]
            known = [volume for volume in volumes if volume is not None]
            if known and max(known) - min(known) > SAME_TRUTH * max(known):
                return (
                    f"the truth is not the same in all inputs: {label} of {case} has {min(known):.4g} ml in"
                    f" one and {max(known):.4g} ml in another"
                )
    return ""


def _json_rows(text: str) -> list[dict[str, Any]]:
    content = json.loads(text)
    rows = content.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it is no evaluation: it has no rows")
    return rows


def _method(rows: Sequence[Mapping[str, Any]], source: Path) -> Method:
    needed = ("case", "label", "status", "detection")
    if not rows or any(name not in row for row in rows for name in needed):
        raise UserError(f"{source} is no evaluation: it needs rows with {', '.join(needed)}")
    names = tuple(name for name in rows[0] if is_metric(name))
    found: dict[tuple[str, str], Measurement] = {}
    failed = []
    for number, row in enumerate(rows, start=1):
        case, label = str(row["case"]), str(row["label"])
        if row["status"] != "ok":
            failed.append(case)
            continue
        if (case, label) in found:
            raise UserError(f"{source}: {label} of {case} is there twice, the second time in row {number}")
        try:
            scores = {name: _number(row.get(name)) for name in names}
            found[case, label] = Measurement(str(row["detection"]), _number(row.get("truth_ml")), scores)
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"{source}: row {number} holds something that is no number") from None
    name = source.stem if source.is_file() else source.resolve().name
    return Method(name, str(source), found, tuple(failed), names)


def _number(value: Any) -> float | None:
    """A finite number, or None for what is empty. Raises ValueError or TypeError for anything else."""
    if value is None or value == "":
        return None
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number
