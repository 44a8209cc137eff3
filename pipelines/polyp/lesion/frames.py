"""Frames made ready once: the optical field, reduced, with its lesion's mask, on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.common.arrays import mapped
from pipelines.common.errors import UserError
from pipelines.common.media.limits import MAX_PIXELS
from pipelines.common.media.record import Pixels
from pipelines.polyp.data import (
    Frame,
    FrameRef,
    Polyp,
    PolypError,
    find_field,
    frames_of,
    groups_of,
    read_frame,
    without_labels,
)
from pipelines.polyp.data.thinning import spread
from pipelines.polyp.lesion.view import Mask, fit_of, fitted, fitted_share
from pipelines.polyp.train.store import LeftOut

LARGER = 1.25  # times the side of the network's square: room to enlarge without blur


@dataclass(frozen=True, slots=True, eq=False)
class LesionFrame:
    """A frame of the data set `data`, made to fit `1.25 side`.

    kept: uint8 (h, w, 5), on the disk: red, green and blue, black outside the optical field; the share of the
    px that the lesion covers; 255 inside the field. labelled: whether it has a mask. patient: what is known
    to be of one patient, recording or polyp has the same one. ref: the frame as it was.
    """

    id: str
    data: str
    patient: str
    ref: FrameRef
    labelled: bool
    kept: NDArray[np.uint8]

    @property
    def pixels(self) -> Pixels:
        return self.kept[:, :, :3]

    @property
    def share(self) -> NDArray[np.uint8]:
        return self.kept[:, :, 3]

    @property
    def inside(self) -> Mask:
        found: Mask = self.kept[:, :, 4] > 127
        return found

    @property
    def empty(self) -> bool:
        """Whether nothing of it is marked as a lesion."""
        return not bool((self.share > 127).any())


def store_frames(
    data: Mapping[str, Sequence[Polyp]],
    side: int,
    frames_per_polyp: int,
    folder: Path,
    progress: Callable[[str], None],
    *,
    labelled: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> tuple[list[LesionFrame], list[LeftOut]]:
    """Make frames ready in `folder`, or take what lies there for the same files.

    data: polyps by the name of their data set. labelled: frames without a mask are left out, as it is not
    known what they show; without it no mask is opened. max_pixels: of a frame that is read. A frame that
    cannot be read, or without an optical field, is left out. Raises UserError if no frame is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[LesionFrame] = []
    left_out: list[LeftOut] = []
    for name, polyps in data.items():
        for number, (polyp, group) in enumerate(zip(polyps, groups_of(polyps), strict=True)):
            if number % 50 == 0:
                progress(f"preparing {name}: polyp {number + 1} of {len(polyps)}")
            id = f"{name}/{polyp.id}"
            try:
                listing = frames_of(polyp)
            except PolypError as error:
                left_out.append(LeftOut(id, str(error)))
                continue
            left_out += [LeftOut(f"{id}/{one.name}", one.error) for one in listing.failed]
            for ref in spread(listing.frames, frames_per_polyp):
                target = folder / f"{len(found) + len(left_out):06d}"
                try:
                    kept = _kept(ref, side, target, labelled, max_pixels)
                except PolypError as error:
                    left_out.append(LeftOut(f"{id}/{ref.name}", str(error)))
                    continue
                found.append(LesionFrame(f"{id}/{ref.name}", name, f"{name}/{group}", ref, labelled, kept))
    if not found:
        reason = f": {left_out[0].name}: {left_out[0].reason}" if left_out else ""
        raise UserError(f"there is no frame{' with a mask' if labelled else ''} to learn from{reason}")
    return found, left_out


def ready(frame: Frame, side: int) -> NDArray[np.uint8]:
    """What is kept of a frame; without a mask its share is 0. Raises PolypError without an optical field."""
    field = find_field(frame.pixels)
    if field.shape == "none":
        raise PolypError("it shows no optical field: it is black or nearly so")
    fit = fit_of(field, round(LARGER * side))
    mask = np.zeros(field.mask.shape, np.bool_) if frame.mask is None else frame.mask
    layers = [
        fitted(frame.pixels, field, fit),
        fitted_share(mask, fit)[:, :, None],
        fitted_share(field.mask, fit)[:, :, None],
    ]
    return np.concatenate(layers, axis=2)


def _kept(ref: FrameRef, side: int, target: Path, labelled: bool, max_pixels: int) -> NDArray[np.uint8]:
    key = json.dumps([side, labelled, *state_of(ref)], default=str)
    record = target.with_suffix(".json")
    if not record.is_file() or _read(record).get("key") != key:
        record.unlink(missing_ok=True)
        frame = read_frame(ref if labelled else without_labels(ref), max_pixels=max_pixels)
        if labelled and frame.mask is None:
            raise PolypError("it has no mask, and it is not known what it shows")
        np.save(target.with_suffix(".npy"), ready(frame, side))
        record.write_text(json.dumps({"key": key}), encoding="utf-8")
    return mapped(target.with_suffix(".npy"))


def _read(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:  # of a run that was killed while it wrote
        return {}
    return found if isinstance(found, dict) else {}


def state_of(ref: FrameRef) -> list[Any]:
    """What a stored frame follows from: its files as they are now."""
    states: list[Any] = [ref.name, ref.number]
    for path in (ref.image, ref.video, ref.mask):
        if path is not None and path.exists():
            stat = path.stat()
            states.append([str(path.absolute()), stat.st_size, stat.st_mtime_ns])
    return states
