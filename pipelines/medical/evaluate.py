"""Masks against the truth: a row per case and label, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from pipelines.common.errors import UserError
from pipelines.common.tables import Table
from pipelines.medical.data.files import VolumeFile
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.data.names import case_name
from pipelines.medical.data.place import apart_mm
from pipelines.medical.data.record import VolumeError
from pipelines.medical.label_maps import LabelMap, find_label_maps, label_names, read_label_map
from pipelines.medical.metrics import Structure, definitions, measure, metrics_for, occurring
from pipelines.medical.metrics.definitions import DEFAULT_TOLERANCES_MM

GRID_TOLERANCE_MM: Final = 0.01
FIRST_CHANNEL: Final = "_0000"
NO_PREDICTION: Final = "no prediction: every structure counts as missed"
FIRST: Final = ("case", "label", "value", "status", "detection")
LAST: Final = ("truth_ml", "predicted_ml", "note", "error")
MISSES: Final = ("missing", "false")

Row = dict[str, Any]
Progress = Callable[[str], None]
Source = VolumeFile | Path


@dataclass(frozen=True, slots=True)
class Evaluation:
    """rows: one per case and label, with the columns of `columns`; a case that failed has one row without a
    label. labels: name to value. notes: what was left out or assumed, in words for the user.
    """

    rows: list[Row]
    labels: dict[str, int]
    tolerances_mm: tuple[float, ...]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Counts, and the spread of each metric per label; see `summarise`."""
        return summarise(self.rows, self.labels, self.tolerances_mm)

    def document(self) -> dict[str, Any]:
        """All of it, as it goes into JSON."""
        return {
            "labels": self.labels,
            "tolerances_mm": list(self.tolerances_mm),
            "summary": self.summary(),
            "rows": self.rows,
            "definitions": definitions(self.tolerances_mm),
            "notes": list(self.notes),
        }

    def write_csv(self, file: IO[str]) -> None:
        """The rows; what is not applicable is empty."""
        Table(file, columns(self.tolerances_mm)).writerows(self.rows)


@dataclass(frozen=True, slots=True)
class Measured:
    """One case: its structures by value, or why there are none."""

    case: str
    note: str
    found: dict[int, Structure]
    error: str = ""

    def rows(self, labels: Mapping[str, int], names: Sequence[str]) -> Iterator[Row]:
        """A row per label; one that is in neither map is absent."""
        blank = dict.fromkeys(names) | {"case": self.case, "note": self.note, "error": self.error}
        if self.error:
            yield blank | {"label": "", "status": "failed", "detection": ""}
            return
        for label, value in labels.items():
            one = self.found.get(value) or Structure(value, "absent", 0.0, 0.0, {})
            volumes = {"truth_ml": one.truth_ml, "predicted_ml": one.predicted_ml}
            about = {"label": label, "value": value, "status": "ok", "detection": one.detection}
            yield blank | about | volumes | one.scores


def columns(tolerances_mm: Sequence[float]) -> tuple[str, ...]:
    """The columns of a row, in order."""
    return (*FIRST, *(one.name for one in metrics_for(tolerances_mm)), *LAST)


def evaluate(
    predicted: Path,
    truth: Path,
    *,
    labels: Mapping[str, int] | None = None,
    tolerances_mm: Sequence[float] = DEFAULT_TOLERANCES_MM,
    only_predicted: bool = False,
    max_voxels: int = MAX_VOXELS,
    progress: Progress = lambda text: None,
) -> Evaluation:
    """Measure label maps against the truth, paired by the names of the cases; two files are always a pair.

    predicted, truth: each a run folder, a folder of label maps or a file. labels: name to value; else those
    of the run's model, else the values that occur are their own names. A case that cannot be measured is one
    failed row. only_predicted: leave out truth without a prediction, which else counts as missed.
    max_voxels: of a label map that is read. Raises UserError if there is nothing to compare.
    """
    tolerances = _check_tolerances(tolerances_mm)
    pairs, notes = _pairs(predicted, truth, only_predicted)
    named = dict(labels or label_names(predicted) or label_names(truth))
    measured: list[Measured] = []
    unnamed: set[int] = set()
    for number, (case, ours, theirs) in enumerate(pairs, start=1):
        progress(f"case {number:,} of {len(pairs):,}: {case}")
        note = "" if ours else NO_PREDICTION
        try:
            a, b = _read(ours, theirs, named=bool(named), max_voxels=max_voxels)
            found = measure(a, b.labels, b.affine, list(named.values()) or None, tolerances)
            if named:
                unnamed |= (occurring(a) | occurring(b.labels)) - set(named.values())
        except VolumeError as error:
            measured.append(Measured(case, note, {}, str(error)))
        else:
            measured.append(Measured(case, note, found))
    if unnamed:
        notes.append(f"values without a name are left out: {', '.join(map(str, sorted(unnamed)))}")
    if not named:
        named = {str(value): value for value in sorted({value for one in measured for value in one.found})}
    if not named and not all(one.error for one in measured):
        raise UserError("neither the predictions nor the truth hold any label: there is nothing to measure")
    rows = [row for one in measured for row in one.rows(named, columns(tolerances))]
    return Evaluation(rows, named, tolerances, tuple(notes))


def summarise(
    rows: Sequence[Row], labels: Mapping[str, int], tolerances_mm: Sequence[float]
) -> dict[str, Any]:
    """`cases`, `failed`, `without_prediction`; `labels`: per label how often it was found, missing, false and
    absent, and its `metrics`; `mean_of_labels`: per metric the mean over the labels' means.

    Per metric: mean, sd (of a sample, n - 1) and median over n cases, how many of these are misses, and
    how many more are not applicable. A number that is not defined is None.
    """
    good = [row for row in rows if row["status"] == "ok"]
    metrics = metrics_for(tolerances_mm)
    of_labels: dict[str, Any] = {}
    for label, value in labels.items():
        own = [row for row in good if row["label"] == label]
        counts = {kind: sum(row["detection"] == kind for row in own) for kind in ("found", *MISSES, "absent")}
        scores = {one.name: _spread(own, one.name) for one in metrics}
        of_labels[label] = {"value": value, **counts, "metrics": scores}
    means = {
        one.name: [
            of["metrics"][one.name]["mean"] for of in of_labels.values() if of["metrics"][one.name]["n"]
        ]
        for one in metrics
    }
    return {
        "cases": len({row["case"] for row in rows}),
        "failed": len(rows) - len(good),
        "without_prediction": len({row["case"] for row in good if row["note"] == NO_PREDICTION}),
        "labels": of_labels,
        "mean_of_labels": {name: float(np.mean(each)) if each else None for name, each in means.items()},
    }


def _spread(rows: Sequence[Row], name: str) -> Row:
    used = [row for row in rows if row[name] is not None]
    values = np.array([row[name] for row in used], np.float64)
    return {
        "mean": float(values.mean()) if len(values) else None,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "median": float(np.median(values)) if len(values) else None,
        "n": len(values),
        "misses": sum(row["detection"] in MISSES for row in used),
        "not_applicable": len(rows) - len(used),
    }


def _read(ours: Source | None, theirs: Source, *, named: bool, max_voxels: int) -> tuple[Any, LabelMap]:
    """The prediction's labels, all 0 without a file, and the truth. Raises VolumeError for two grids."""
    truth = read_label_map(theirs, named=named, max_voxels=max_voxels)
    if ours is None:
        return np.broadcast_to(np.uint8(0), truth.labels.shape), truth
    found = read_label_map(ours, named=named, max_voxels=max_voxels)
    if found.labels.shape != truth.labels.shape:
        ours_has, truth_has = (" x ".join(map(str, one.labels.shape)) for one in (found, truth))
        raise VolumeError(
            f"the prediction has {ours_has} voxels and the truth {truth_has}: they must lie on one grid"
        )
    apart = apart_mm(found.affine, truth.affine, truth.labels.shape)
    if apart > GRID_TOLERANCE_MM:
        raise VolumeError(f"prediction and truth have the same shape but lie up to {apart:.3g} mm apart")
    return found.labels, truth


def _pairs(
    predicted: Path, truth: Path, only_predicted: bool
) -> tuple[list[tuple[str, Source | None, Source]], list[str]]:
    theirs = find_label_maps(truth)
    ours = _named_like(find_label_maps(predicted), theirs)
    if predicted.is_file() and truth.is_file():
        return [(case_name(truth), predicted, truth)], []
    shared = ours.keys() & theirs.keys()
    if not shared:
        raise UserError(
            f"no case of {predicted} (such as {next(iter(ours))}) is in {truth} (such as"
            f" {next(iter(theirs))}): the files of a case need the same name"
        )
    notes = []
    if extra := len(ours) - len(shared):
        notes.append(f"{extra:,} predictions have no truth and are left out")
    if without := len(theirs) - len(shared):
        how = "are left out" if only_predicted else "count as missed; --only-predicted leaves them out"
        notes.append(f"{without:,} cases of the truth have no prediction and {how}")
    wanted = sorted(shared if only_predicted else theirs)
    return [(case, ours.get(case), theirs[case]) for case in wanted], notes


def _named_like(found: Mapping[str, Source], truth: Mapping[str, Source]) -> dict[str, Source]:
    """Predictions named as the truth is: nnU-Net calls a case's image `x_0000` and its label map `x`."""
    named = {}
    for name, source in found.items():
        case = name.removesuffix(FIRST_CHANNEL)
        named[case if name not in truth and case in truth and case not in found else name] = source
    return named


def _check_tolerances(tolerances_mm: Sequence[float]) -> tuple[float, ...]:
    if not tolerances_mm or not all(np.isfinite(one) and one >= 0 for one in tolerances_mm):
        raise UserError("a tolerance must be a number of mm, 0 or more")
    return tuple(sorted(set(tolerances_mm)))
