"""Label maps of many cases: where they lie, what their values are called, and reading them with a check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.common.runs import RUN, is_run
from pipelines.common.whole import whole_number
from pipelines.medical.config import TASK
from pipelines.medical.data.files import VolumeFile, find_volumes, read_volume
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.data.names import case_name
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.data.walk import SkippedFile
from pipelines.medical.metrics.structures import MAX_LABEL, occurring

MASKS: Final = "masks"
MAX_LABELS: Final = 1_000  # of one map; more, and it is an image
MAX_UNNAMED: Final = 128  # where nobody says what they are; whole bodies and brains have maps of about 120


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """labels: uint8 or uint16 (I, J, K). affine: float64 (4, 4), to mm in RAS+."""

    labels: NDArray[Any]
    affine: NDArray[np.float64]


def find_label_maps(path: Path) -> dict[str, VolumeFile | Path]:
    """Case name to volume: of one file, of all in a folder, or of the masks of a run folder.

    Raises UserError if there is none, or if two files are the same case.
    """
    if path.is_file():
        return {case_name(path): path}
    if not path.is_dir():
        raise UserError(f"there is no file or folder {path}")
    folder = path / MASKS if _record(path) is not None else path
    found: dict[str, VolumeFile | Path] = {}
    for file in find_volumes([folder]) if folder.is_dir() else ():
        if isinstance(file, SkippedFile):
            continue
        if file.name in found:
            other = found[file.name]
            first = other if isinstance(other, Path) else other.path
            raise UserError(
                f"{first} and {file.path} are both called {file.name}: give a folder of label maps alone,"
                " with one file per case"
            )
        found[file.name] = file
    if not found:
        raise UserError(f"there is no label map in {folder}")
    return found


def label_names(path: Path) -> dict[str, int]:
    """What the values are called, from the model's record in a run folder; empty for anything else.

    Raises UserError if the record is damaged.
    """
    record = _record(path) if path.is_dir() else None
    model = (record or {}).get("model")
    labels = model.get("labels") if isinstance(model, dict) else None
    if not labels:
        return {}
    try:
        return check_names(labels)
    except UserError as error:
        raise UserError(f"{path / RUN} names its labels wrongly: {error}") from None


def parse_names(text: str) -> dict[str, int]:
    """`liver=1,spleen=2` as names to values. Raises UserError that says what is wrong."""
    names: dict[str, int] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.rpartition("="))
        number = whole_number(value)
        if not equals or not name or number is None:
            raise UserError(f"labels are given as name=value,name=value with whole numbers, not {part!r}")
        if name in names:
            raise UserError(f"the label {name} is given twice")
        names[name] = number
    return check_names(names)


def check_names(labels: object) -> dict[str, int]:
    """The mapping, if it is one of names to different values from 1 to MAX_LABEL; else UserError."""
    if not isinstance(labels, Mapping):
        raise UserError("labels must be names with values")
    by_value: dict[int, str] = {}
    for name, value in labels.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_LABEL:
            raise UserError(
                f"the value of {name} must be a whole number from 1 to {MAX_LABEL:,}, not {value!r}"
            )
        if value in by_value:
            raise UserError(f"{by_value[value]} and {name} have the same value, {value}")
        by_value[value] = str(name)
    return {name: value for value, name in by_value.items()}


def read_label_map(
    source: VolumeFile | Path, *, named: bool = True, max_voxels: int = MAX_VOXELS
) -> LabelMap:
    """A label map from a file, of at most `max_voxels`.

    named: whether it is known what its values are called; without, one of more than MAX_UNNAMED is taken for
    an image. Raises VolumeError if it cannot be read or holds no labels.
    """
    volume = read_volume(source, max_voxels=max_voxels)
    try:
        labels = as_labels(volume)
        if not named:
            _check_few(labels)
    except VolumeError as error:
        raise VolumeError(f"{volume.source}: {error}") from None
    return LabelMap(labels, volume.affine)


def as_labels(volume: Volume) -> NDArray[Any]:
    """The values as uint8, or uint16 if they need it. Raises VolumeError unless they are labels."""
    array = volume.array
    hint = "is it an image rather than a label map?"
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (np.rint(array) == array).all()):
        raise VolumeError(f"it holds values that are no whole numbers: {hint}")
    low, high = array.min(), array.max()
    if low < 0 or high > MAX_LABEL:
        raise VolumeError(f"it holds values from {low:g} to {high:g}, labels are 0 to {MAX_LABEL}: {hint}")
    labels = array.astype(np.uint8 if high < 256 else np.uint16, copy=False)
    if high > MAX_LABELS and (count := len(np.unique(labels))) > MAX_LABELS:
        raise VolumeError(
            f"it holds {count:,} different values, and at most {MAX_LABELS:,} are labels: {hint}"
        )
    return labels


def _check_few(labels: NDArray[Any]) -> None:
    """Raise VolumeError for so many values that nobody has named that they are those of an image."""
    if labels.max() > MAX_UNNAMED and (count := len(occurring(labels))) > MAX_UNNAMED:
        raise VolumeError(
            f"it holds {count:,} different labels without a name: it looks like an image, not a label map."
            " If it is one, name the labels to measure with --labels NAME=VALUE,..."
        )


def _record(folder: Path) -> dict[str, Any] | None:
    """What `run.json` says, if the folder is a run of this task; None if it is none."""
    if not is_run(folder):
        return None
    record: dict[str, Any] = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if record["task"] != TASK:
        raise UserError(f"{folder} is a run of the task {record['task']}, not of {TASK}")
    return record
