"""Prepared volumes on the disk, and crops of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.arrays import mapped
from pipelines.common.errors import UserError
from pipelines.medical.config import Plan, Sides
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.flips import AXES
from pipelines.medical.prepare import prepare
from pipelines.medical.pretrain.inputs import Images, LeftOut

LABEL_LIKE: Final = 64  # whole numbers of so few different values are no image
SEEN: Final = 500_000  # voxels in which values are counted
MAX_PLACES: Final = 4_000


class NoImage(VolumeError):
    """A volume that is no image, such as a label map."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """images: float32 (C, X, Y, Z). active: bool (X, Y, Z), None where the plan takes every voxel.

    places: int32 (N, 3), some of the active voxels, to draw crops from; None likewise.
    """

    name: str
    images: NDArray[np.float32]
    active: NDArray[np.bool_] | None
    places: NDArray[np.int32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """images: float32 (C, *patch), 0 where the crop leaves the volume. valid: bool (*patch), the voxels that
    the volume has and the plan takes."""

    images: NDArray[np.float32]
    valid: NDArray[np.bool_]


def prepare_volumes(
    cases: Sequence[Images],
    plan: Plan,
    folder: Path,
    progress: Callable[[str], None],
    *,
    max_voxels: int = MAX_VOXELS,
) -> tuple[list[Prepared], list[LeftOut]]:
    """Prepare each case into `folder`, or take what lies there for the same files and plan.

    max_voxels: of a volume that is read. What cannot be read, or is no image, is left out with its reason.
    Raises UserError if nothing is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, left_out = [], []
    for number, case in enumerate(cases):
        progress(f"preparing volume {number + 1} of {len(cases)}: {case.name}")
        target = folder / f"{number:06d}"
        try:
            if not _is_done(target, case, plan):
                _prepare_one(case, plan, target, max_voxels)
            found.append(_open(target, case.name))
        except VolumeError as error:
            left_out.append(LeftOut(case.name, str(error), not isinstance(error, NoImage)))
    if not found:
        raise UserError(f"there is no volume to learn from: {left_out[0].name}: {left_out[0].reason}")
    return found, left_out


def crop(volume: Prepared, sides: Sides, rng: np.random.Generator) -> Crop:
    """A crop at random; where a side of the volume is shorter than the crop, the volume lies at random in it.

    With a rule for the foreground it is drawn around one of its voxels.
    """
    shape = volume.images.shape[1:]
    if volume.places is None:
        start = [
            int(rng.integers(min(0, size - side), max(0, size - side) + 1))
            for side, size in zip(sides, shape, strict=True)
        ]
    else:
        place = volume.places[rng.integers(len(volume.places))]
        start = [
            int(np.clip(at - rng.integers(side), min(0, size - side), max(0, size - side)))
            for at, side, size in zip(place, sides, shape, strict=True)
        ]
    return cut(volume, sides, start)


def middle(volume: Prepared, sides: Sides) -> Crop:
    """The crop around the middle of the volume, or of its foreground."""
    shape = volume.images.shape[1:]
    centre = [size / 2 for size in shape] if volume.places is None else volume.places.mean(0).tolist()
    start = [
        int(np.clip(round(at - side / 2), min(0, size - side), max(0, size - side)))
        for at, side, size in zip(centre, sides, shape, strict=True)
    ]
    return cut(volume, sides, start)


def cut(volume: Prepared, sides: Sides, start: Sequence[int]) -> Crop:
    """The box of these sides whose lowest corner lies at `start`, which may be negative."""
    images = np.zeros((len(volume.images), *sides), np.float32)
    valid = np.zeros(sides, np.bool_)
    there, here = [], []
    for at, side, size in zip(start, sides, volume.images.shape[1:], strict=True):
        first, last = max(at, 0), min(at + side, size)
        there.append(slice(first, last))
        here.append(slice(first - at, last - at))
    images[(slice(None), *here)] = volume.images[(slice(None), *there)]
    valid[tuple(here)] = True if volume.active is None else volume.active[tuple(there)]
    return Crop(images, valid)


def batch(
    volumes: Sequence[Prepared], sides: Sides, size: int, mirror: Sequence[str], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Images float32 (B, C, *sides) and valid bool (B, *sides) of `size` crops, flipped at random."""
    images, valid = [], []
    for _ in range(size):
        one = crop(volumes[int(rng.integers(len(volumes)))], sides, rng)
        axes = tuple(1 + AXES[name] for name in mirror if rng.random() < 0.5)
        images.append(np.flip(one.images, axes))
        valid.append(np.flip(one.valid, tuple(axis - 1 for axis in axes)))
    return stack(images), stack(valid)


def stack(arrays: Sequence[NDArray[Any]]) -> Tensor:
    """Arrays of one shape as a batch."""
    return torch.from_numpy(np.ascontiguousarray(np.stack(arrays)))


def _prepare_one(case: Images, plan: Plan, target: Path, max_voxels: int) -> None:
    channels = [read_volume(source, max_voxels=max_voxels) for source in case.sources]
    for one in channels:
        _check_image(one)
    prepared = prepare(channels, plan)
    for what, ending in (("done", ".json"), ("active", ".npy")):  # of another plan
        _part(target, what, ending).unlink(missing_ok=True)
    np.save(_part(target, "images"), prepared.images.numpy())
    if prepared.active is not None:
        if not prepared.active.any():
            raise VolumeError("the plan's rule for the foreground leaves nothing of it")
        np.save(_part(target, "active"), prepared.active.numpy())
    _part(target, "done", ".json").write_text(json.dumps(_key(case, plan)), encoding="utf-8")


def _check_image(volume: Volume) -> None:
    """Raise NoImage for a label map, which lies beside images as often as not, and for a flat volume."""
    step = max(1, volume.array.size // SEEN)
    values = np.unique(volume.array.reshape(-1)[::step])
    if not np.isfinite(values).all():
        return  # `prepare` says what is wrong with it
    if len(values) < 2:
        raise NoImage("all its voxels are the same")
    if len(values) <= LABEL_LIKE and bool((values == np.round(values)).all()):
        raise NoImage(f"it looks like a label map: whole numbers, {len(values)} different ones")


def _open(target: Path, name: str) -> Prepared:
    images = mapped(_part(target, "images"))
    if not _part(target, "active").exists():
        return Prepared(name, images, None, None)
    active = mapped(_part(target, "active"))
    flat = np.flatnonzero(active)
    if len(flat) > MAX_PLACES:
        flat = flat[np.linspace(0, len(flat) - 1, MAX_PLACES).astype(np.int64)]
    return Prepared(
        name, images, active, np.stack(np.unravel_index(flat, active.shape), axis=1).astype(np.int32)
    )


def _is_done(target: Path, case: Images, plan: Plan) -> bool:
    try:
        return bool(json.loads(_part(target, "done", ".json").read_text("utf-8")) == _key(case, plan))
    except (OSError, ValueError):
        return False


def _key(case: Images, plan: Plan) -> list[Any]:
    """What the prepared arrays follow from: files as they are now, and the plan's part in it."""
    try:
        states = [[str(p.absolute()), p.stat().st_size, p.stat().st_mtime_ns] for p in case.paths]
    except OSError as error:
        raise VolumeError(f"it cannot be read: {error.strerror}") from error
    return [
        states,
        plan.model_dump(mode="json", include={"channels", "spacing", "normalisation", "foreground"}),
    ]


def _part(target: Path, what: str, ending: str = ".npy") -> Path:
    return target.with_name(f"{target.name}-{what}{ending}")
