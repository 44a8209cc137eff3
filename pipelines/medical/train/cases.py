"""Prepared cases on the disk: each is turned, resampled and normalised once, and read patch by patch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.common.arrays import mapped
from pipelines.common.errors import UserError
from pipelines.medical.config import Plan
from pipelines.medical.data.dataset import Case
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.data.record import VolumeError
from pipelines.medical.prepare import prepare, prepare_labels

MAX_PLACES = 4_000  # places kept of each label, enough to draw patches from


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCase:
    """images: float32 (C, X, Y, Z); labels: uint8 (X, Y, Z) of class indices; active: bool or None.

    places: per class that is present, int32 (N, 3), voxels of it.
    """

    case: Case
    images: NDArray[np.float32]
    labels: NDArray[np.uint8]
    active: NDArray[np.bool_] | None
    places: dict[int, NDArray[np.int32]]

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = self.labels.shape
        return x, y, z


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A case that cannot be trained on, and why."""

    name: str
    reason: str


def prepare_cases(
    cases: Sequence[Case],
    plan: Plan,
    folder: Path,
    progress: Callable[[str], None],
    *,
    max_voxels: int = MAX_VOXELS,
) -> tuple[list[TrainingCase], list[LeftOut]]:
    """Prepare labelled cases into `folder`, or take what lies there for the same files and plan.

    max_voxels: of a volume that is read. A case that cannot be read is left out with its reason. Raises
    UserError if none is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, left_out = [], []
    for number, case in enumerate(cases):
        progress(f"preparing case {number + 1} of {len(cases)}: {case.name}")
        target = folder / f"{number:05d}"
        try:
            if not _is_done(target, case, plan):
                _prepare_one(case, plan, target, max_voxels)
            found.append(_open(target, case))
        except VolumeError as error:
            left_out.append(LeftOut(case.name, str(error)))
    if not found:
        reason = f": {left_out[0].name}: {left_out[0].reason}" if left_out else ""
        raise UserError(f"there is no labelled case to train on{reason}")
    return found, left_out


def _prepare_one(case: Case, plan: Plan, target: Path, max_voxels: int) -> None:
    if case.labels is None:
        raise VolumeError("it has no label map")
    channels = [read_volume(path, max_voxels=max_voxels) for path in case.images]
    prepared = prepare(channels, plan)
    marked = read_volume(case.labels, max_voxels=max_voxels)
    labels = prepare_labels(marked, channels[0], plan).numpy()
    for what, ending in (("done", ".json"), ("active", ".npy")):  # of another plan
        _part(target, what, ending).unlink(missing_ok=True)
    np.save(_part(target, "images"), prepared.images.numpy())
    np.save(_part(target, "labels"), labels)
    if prepared.active is not None:
        np.save(_part(target, "active"), prepared.active.numpy())
    places = {f"c{value}": _places(labels == value) for value in np.unique(labels).tolist() if value}
    np.savez(_part(target, "places", ".npz"), **places)  # type: ignore[arg-type]
    _part(target, "done", ".json").write_text(json.dumps(_key(case, plan)))


def _open(target: Path, case: Case) -> TrainingCase:
    active = _part(target, "active")
    with np.load(_part(target, "places", ".npz")) as stored:
        places = {int(name[1:]): stored[name] for name in stored.files}
    return TrainingCase(
        case,
        mapped(_part(target, "images")),
        mapped(_part(target, "labels")),
        mapped(active) if active.exists() else None,
        places,
    )


def _is_done(target: Path, case: Case, plan: Plan) -> bool:
    try:
        return bool(json.loads(_part(target, "done", ".json").read_text()) == _key(case, plan))
    except (OSError, ValueError):
        return False


def _key(case: Case, plan: Plan) -> list[Any]:
    """What the prepared arrays follow from: files as they are now, and the plan's part in it."""
    files = [path for path in (*case.images, case.labels) if path is not None]
    states = [[str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    parts = plan.model_dump(mode="json", include={"labels", "spacing", "normalisation", "foreground"})
    return [states, parts]


def _part(target: Path, what: str, ending: str = ".npy") -> Path:
    return target.with_name(f"{target.name}-{what}{ending}")


def _places(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    flat = np.flatnonzero(mask)
    if len(flat) > MAX_PLACES:
        flat = flat[np.linspace(0, len(flat) - 1, MAX_PLACES).astype(np.int64)]
    return np.stack(np.unravel_index(flat, mask.shape), axis=1).astype(np.int32)
