"""Marks of a label file to heads in the image: finite, upright, in frame."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.orientation import upright_points, upright_size

from .record import CrowdError, Frame, Heads, Marks, Points

QUARTER_TURNS: Final = (5, 6, 7, 8)
ASPECT_TOLERANCE: Final = 0.02  # of width over height, for copies whose sides were rounded


def in_frame(points: Points, width: float, height: float) -> NDArray[np.bool_]:
    """Which points (N, 2), x and y in px, lie in the image; a point on an outer edge does. bool (N,)."""
    x, y = points[:, 0], points[:, 1]
    return (x >= 0) & (x <= width) & (y >= 0) & (y <= height)


def place(
    marks: Marks, full_size: tuple[int, int], orientation: int = 1, scale: tuple[float, float] = (1.0, 1.0)
) -> Heads:
    """Heads in px of the image as it was read.

    full_size: (width, height) of the upright image in the file. orientation: EXIF orientation that was
    undone. scale: from px of the full image to px of the image as it was read.

    Label files do not say whether they refer to the image before or after an EXIF turn. Which it is by
    default, a reader knows of its format (`Marks.frame`); if points then lie out of frame after a quarter
    turn and fewer do the other way, the other way is taken. Points out of frame are left out and counted.
    Raises CrowdError if the labels state a size that no copy of this image has.
    """
    notes = list(marks.notes)
    _check_size(marks, full_size, orientation, notes)
    finite = np.isfinite(marks.points).all(axis=1)
    if not finite.all():
        notes.append(f"{int(np.count_nonzero(~finite))} points are no numbers and were left out")
    points = marks.points[finite]
    frame = _frame(marks, full_size, orientation)
    upright = _in_upright(points, marks, frame, full_size, orientation)
    inside = in_frame(upright, *full_size)
    if orientation in QUARTER_TURNS and marks.size is None and not inside.all():
        other: Frame = "upright" if frame == "stored" else "stored"
        turned = _in_upright(points, marks, other, full_size, orientation)
        if np.count_nonzero(in_frame(turned, *full_size)) > np.count_nonzero(inside):
            upright, inside = turned, in_frame(turned, *full_size)
            what = "as it is shown upright" if other == "upright" else "before its EXIF turn"
            notes.append(f"the points fit the image only {what}, and are read so")
    outside = int(np.count_nonzero(~inside))
    if outside:
        notes.append(f"{outside} of {len(upright)} points lie out of frame and were left out")
    return Heads(upright[inside] * np.asarray(scale, np.float64), outside, tuple(notes))


def _check_size(marks: Marks, full_size: tuple[int, int], orientation: int, notes: list[str]) -> None:
    """Whether the size that labels state can be that of this image, or of a larger or smaller copy of it."""
    sizes = {full_size, upright_size(*full_size, orientation)}
    if marks.size is None or marks.size in sizes:
        return
    text = f"the labels are for an image of {marks.size[0]} x {marks.size[1]} px, and this one has"
    text += f" {full_size[0]} x {full_size[1]}"
    shape = marks.size[0] / marks.size[1]
    if min(abs(shape * height / width - 1) for width, height in sizes) > ASPECT_TOLERANCE:
        raise CrowdError(f"{text}: it is another image, or was turned")
    notes.append(f"{text}; the points are scaled")


def _frame(marks: Marks, full_size: tuple[int, int], orientation: int) -> Frame:
    """What the points refer to: where the labels state the size of their image, that decides if it can."""
    if marks.size is not None and orientation in QUARTER_TURNS and full_size[0] != full_size[1]:
        shape = marks.size[0] / marks.size[1]
        fits = abs(shape * full_size[1] / full_size[0] - 1) <= ASPECT_TOLERANCE
        return "upright" if fits else "stored"
    return marks.frame


def _in_upright(
    points: Points, marks: Marks, frame: Frame, full_size: tuple[int, int], orientation: int
) -> Points:
    stored = upright_size(*full_size, orientation)
    width, height = full_size if frame == "upright" else stored
    if marks.size is not None:  # labels made on a larger or smaller copy
        points = points * (np.array([width, height], np.float64) / marks.size)
    if marks.from_bottom:
        points = np.stack([points[:, 0], height - points[:, 1]], axis=1)
    return points if frame == "upright" else upright_points(points, orientation, *stored)
