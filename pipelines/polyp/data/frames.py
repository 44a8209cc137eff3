"""Frames that are read: upright pixels, with mask, box and depth in the same pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media import limits
from pipelines.common.media.images import read_image, read_values
from pipelines.common.media.orientation import upright, upright_points, upright_size
from pipelines.common.media.record import Picture, Pixels
from pipelines.common.media.video import Video

from .boxes import box_of, clipped, scaled, within
from .record import Box, DepthFile, FailedFrame, Frame, FrameListing, FrameRef, Polyp, PolypError, Recording

SPECK: Final = 0.001  # of a mask's area
LIGHT: Final = 127  # masks stored as JPEG have grays around their edges
ASPECT_TOLERANCE: Final = 0.02  # of width over height, for copies whose sides were rounded


def frames_of(source: Polyp | Recording) -> FrameListing:
    """The frames of a polyp or a recording, in order of time. Opens label files, no image.

    Raises PolypError with the reason if there is no way to list them.
    """
    return source.frames.find()


def read_frame(ref: FrameRef, *, max_pixels: int = limits.MAX_PIXELS) -> Frame:
    """A frame with all that is known of it. Raises PolypError with the path and the reason.

    max_pixels: of image or video, mask and depths. A mask or a depth that cannot be read, or whose shape is
    that of another image, makes the frame fail, as it would be wrong to take the frame for one without.
    """
    if ref.image is not None:
        picture = read_image(ref.image, max_pixels=max_pixels)
    elif ref.video is not None and ref.number is not None:
        picture = _decoded(ref.video, ref.number, max_pixels)
    else:
        raise PolypError(f"{ref.name}: neither an image nor a video is named")
    return _framed(ref, picture, max_pixels)


def read_frames(
    refs: Iterable[FrameRef], *, max_pixels: int = limits.MAX_PIXELS
) -> Iterator[Frame | FailedFrame]:
    """Each frame in its turn, one in memory at a time; one that cannot be read gives its reason.

    A video is decoded once for frames of it that follow each other in order of their numbers.
    """
    for video, group in groupby(refs, key=lambda one: one.video if one.image is None else None):
        if video is None:
            for ref in group:
                yield _tried(ref, max_pixels)
        else:
            yield from _from_video(video, list(group), max_pixels)


def _tried(ref: FrameRef, max_pixels: int) -> Frame | FailedFrame:
    try:
        return read_frame(ref, max_pixels=max_pixels)
    except PolypError as error:
        return FailedFrame(ref.name, str(error))


def _from_video(path: Path, refs: list[FrameRef], max_pixels: int) -> Iterator[Frame | FailedFrame]:
    numbers = [one.number for one in refs if one.number is not None]
    if len(numbers) < len(refs) or any(b <= a for a, b in pairwise(numbers)):
        for one in refs:
            yield _tried(one, max_pixels)
        return
    waiting = iter(refs)
    ref = next(waiting, None)
    try:
        with Video(path, max_pixels=max_pixels) as video:
            for frame in video.frames(max(1, math.gcd(*numbers))):
                while ref is not None and ref.number is not None and ref.number < frame.number:
                    yield FailedFrame(ref.name, f"{path}: frame {ref.number} cannot be decoded")
                    ref = next(waiting, None)
                if ref is None:
                    return
                if ref.number == frame.number:
                    picture = Picture(frame.pixels, path, frame.pixels.shape[1::-1])
                    try:
                        done: Frame | FailedFrame = _framed(ref, picture, max_pixels)
                    except PolypError as error:
                        done = FailedFrame(ref.name, str(error))
                    yield done
                    ref = next(waiting, None)
        reason = f"{path}: the video ends before this frame"
    except PolypError as error:
        reason = str(error)
    while ref is not None:
        yield FailedFrame(ref.name, reason)
        ref = next(waiting, None)


def _decoded(path: Path, number: int, max_pixels: int) -> Picture:
    with Video(path, max_pixels=max_pixels) as video:
        for one in video.frames(max(1, number)):
            if one.number == number:
                return Picture(one.pixels, path, one.pixels.shape[1::-1])
    raise PolypError(f"{path}: it has no frame {number} that can be decoded")


def _framed(ref: FrameRef, picture: Picture, max_pixels: int) -> Frame:
    notes = [*ref.notes, *picture.notes]
    box = None if ref.box is None else _placed(ref.box, ref, picture, notes)
    others = [_placed(one, ref, picture, notes) for one in ref.others]
    mask = None if ref.mask is None else _mask(ref.mask, picture, notes, max_pixels)
    if mask is not None:
        if ref.box is not None and ref.others:
            # The mask shows all lesions of the frame.
            mask &= within(box, picture.width, picture.height) if box is not None else False
        if ref.box is None and not ref.others:
            box = box_of(mask)
    depth = None if ref.depth is None else _depth(ref.depth, picture, max_pixels)
    return Frame(
        ref, picture.pixels, box, tuple(one for one in others if one is not None), mask, depth, tuple(notes)
    )


def _placed(box: Box, ref: FrameRef, picture: Picture, notes: list[str]) -> Box | None:
    """A labelled box in px of the picture as it was read: scaled, upright, clipped."""
    stored = upright_size(*picture.full_size, picture.orientation)
    size = picture.full_size if ref.upright else stored
    if ref.label_size is not None and ref.label_size not in (size, (0, 0)):
        text = (
            f"the labels are for an image of {ref.label_size[0]} x {ref.label_size[1]} px, and this one has"
        )
        text += f" {size[0]} x {size[1]}"
        if not _alike(ref.label_size, size):
            raise PolypError(f"{picture.source}: {text}: it is another image, or was cropped")
        note = f"{text}; the boxes are scaled"
        if note not in notes:
            notes.append(note)
        box = scaled(box, size[0] / ref.label_size[0], size[1] / ref.label_size[1])
    inner, note = clipped(box, *size)
    if note:
        notes.append(note)
    if inner is None:
        return None
    if not ref.upright and picture.orientation != 1:
        corners = upright_points(np.reshape(inner, (2, 2)), picture.orientation, *stored)
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        inner = (x0, y0, x1, y1)
    return scaled(inner, *picture.scale)


def _alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= ASPECT_TOLERANCE


def _mask(path: Path, picture: Picture, notes: list[str], max_pixels: int) -> NDArray[np.bool_]:
    found = read_image(path, max_pixels=max_pixels)
    gray: Pixels = found.pixels.max(axis=2)
    if found.orientation == 1:
        gray = _turned(gray, picture)
    if gray.shape != picture.pixels.shape[:2]:
        gray = _resized(gray, picture, path, "the mask", notes)
    # Some masks are stored as 0 and 1; a JPEG of nothing has such values too.
    plain = gray.max(initial=0) == 1 and path.suffix.lower() not in (".jpg", ".jpeg")
    return _without_specks(gray > (0 if plain else LIGHT), notes)


def _without_specks(mask: NDArray[np.bool_], notes: list[str]) -> NDArray[np.bool_]:
    """The mask without parts that are next to nothing beside the rest.

    One in seven masks of Kvasir-SEG has a light pixel in the corner, which would stretch a box over the
    frame.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < SPECK * mask.sum()
    small[0] = False
    if count < 3 or not small.any():
        return mask
    notes.append(f"{int(small.sum())} specks of the mask, of a few pixels each, are left out")
    kept: NDArray[np.bool_] = mask & ~small[labels]
    return kept


def _depth(depth: DepthFile, picture: Picture, max_pixels: int) -> NDArray[np.float32]:
    values = read_values(depth.path, max_pixels=max_pixels)
    if values.ndim == 3:  # as PolypSense3D's rendered depths, which repeat a number in all channels
        values = values[:, :, 0]
    values = _turned(values, picture)
    if values.shape != picture.pixels.shape[:2]:
        values = _resized(values, picture, depth.path, "the depth", [])
    if values.dtype.kind not in "uif":
        raise PolypError(f"{depth.path}: its depths are no numbers")
    known = np.isfinite(values) & (values > 0)
    return np.where(known, values * np.float32(depth.mm), np.float32(np.nan)).astype(np.float32)


def _turned(values: NDArray[Any], picture: Picture) -> NDArray[Any]:
    """Masks and depths carry no EXIF of their own, and lie as the image's pixels are stored."""
    if picture.orientation == 1:
        return values
    stored = upright_size(*picture.full_size, picture.orientation)
    return upright(values, picture.orientation) if values.shape[1::-1] == stored else values


def _resized(values: NDArray[Any], picture: Picture, path: Path, what: str, notes: list[str]) -> NDArray[Any]:
    """The nearest of the values for each pixel of the picture, if both have the same proportions."""
    height, width = values.shape[:2]
    if not _alike((width, height), (picture.width, picture.height)):
        raise PolypError(
            f"{path}: {what} has {width} x {height} px, and the image {picture.width} x {picture.height}"
        )
    notes.append(
        f"{what} of {width} x {height} px is scaled to the image's {picture.width} x {picture.height}"
    )
    rows = ((np.arange(picture.height) + 0.5) * height / picture.height).astype(np.int64)
    columns = ((np.arange(picture.width) + 0.5) * width / picture.width).astype(np.int64)
    found: NDArray[Any] = values[rows[:, None], columns[None, :]]
    return found


def without_labels(ref: FrameRef) -> FrameRef:
    """The frame alone, as a user's own has no labels."""
    return replace(ref, box=None, others=(), label_size=None, mask=None, depth=None)
