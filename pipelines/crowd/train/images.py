"""Labelled images, decoded once onto the disk and read crop by crop."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.arrays import mapped
from pipelines.common.errors import UserError
from pipelines.crowd.data import Case, CrowdError, Pixels, Points, read_case
from pipelines.crowd.data.limits import MAX_PIXELS


@dataclass(frozen=True, slots=True, eq=False)
class TrainingImage:
    """pixels: uint8 (H, W, 3), RGB, on the disk. points: float64 (N, 2), x and y in px of these pixels.

    data: the data set that it is of.
    """

    name: str
    pixels: Pixels
    points: Points
    data: str = ""

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A case that cannot be trained on, and why."""

    name: str
    reason: str


def prepare_images(
    cases: Sequence[Case],
    max_side: int,
    folder: Path,
    progress: Callable[[str], None],
    *,
    enlarge: float = 1.0,
    max_pixels: int = MAX_PIXELS,
) -> tuple[list[TrainingImage], list[LeftOut]]:
    """Decode labelled images into `folder`, or take what lies there for the same files.

    max_side, enlarge: see `fitted`. max_pixels: of an image that is read. An image that cannot be read, or
    whose labels cannot, is left out with its reason. Raises UserError if none is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, left_out = [], []
    for number, case in enumerate(cases):
        if number % 50 == 0:
            progress(f"preparing image {number + 1} of {len(cases)}")
        target = folder / f"{number:06d}"
        try:
            key = _key(case, max_side, enlarge)
            if _stored_key(target) != key:
                _prepare_one(case, max_side, enlarge, target, key, max_pixels)
            pixels = mapped(target.with_suffix(".npy"))
            found.append(TrainingImage(case.name, pixels, np.load(_points(target), allow_pickle=False)))
        except CrowdError as error:
            left_out.append(LeftOut(case.name, str(error)))
    if not found:
        reason = f": {left_out[0].name}: {left_out[0].reason}" if left_out else ""
        raise UserError(f"there is no labelled image to train on{reason}")
    return found, left_out


def fitted(pixels: Pixels, max_side: int, enlarge: float = 1.0) -> Pixels:
    """The image in the size in which it is trained on and counted.

    enlarge: so many times larger, unless the longer side would have more than `max_side` px then: such an
    image gets just that, and a larger one is reduced to it, each pixel the mean of what it covers. max_side:
    0 is no limit.
    """
    height, width = pixels.shape[:2]
    share = min(enlarge, max_side / max(height, width)) if max_side else enlarge
    size = (max(1, round(width * share)), max(1, round(height * share)))
    if size == (width, height):
        return pixels
    how = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)


def _prepare_one(
    case: Case, max_side: int, enlarge: float, target: Path, key: list[Any], max_pixels: int
) -> None:
    read = read_case(case, max_pixels=max_pixels)
    if read.heads is None:
        raise CrowdError(f"{case.image}: its heads are not marked")
    pixels = fitted(read.picture.pixels, max_side, enlarge)
    factors = pixels.shape[1] / read.picture.width, pixels.shape[0] / read.picture.height
    target.with_suffix(".json").unlink(missing_ok=True)
    np.save(target.with_suffix(".npy"), np.ascontiguousarray(pixels))
    np.save(_points(target), read.heads.points * np.asarray(factors))
    target.with_suffix(".json").write_text(json.dumps(key), encoding="utf-8")


def _points(target: Path) -> Path:
    return target.with_name(f"{target.name}-points.npy")


def _stored_key(target: Path) -> list[Any] | None:
    try:
        found = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, list) else None


def _key(case: Case, max_side: int, enlarge: float) -> list[Any]:
    """What the prepared arrays follow from: the files as they are now, heads from a list, the size."""
    states = []
    for path in (case.image, case.labels):
        if path is None:
            continue
        try:
            stat = path.stat()
        except OSError as error:
            raise CrowdError(f"{path}: it cannot be read: {error.strerror}") from error
        states.append([str(path.absolute()), stat.st_size, stat.st_mtime_ns])
    heads: NDArray[Any] | None = None if case.marks is None else case.marks.points
    return [states, None if heads is None else heads.tolist(), max_side, enlarge]
