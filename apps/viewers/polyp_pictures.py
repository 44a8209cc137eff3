"""Frames as the browser gets them: cut to the optical field, without what is written on them. Free of
Streamlit."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.items import Row, Run, visible
from apps.viewers.polyp_case import SizedFrame, Sources, max_pixels
from pipelines.common.errors import UserError
from pipelines.common.media.images import read_image
from pipelines.common.media.record import Pixels
from pipelines.polyp.data import Box, FailedFrame, Field, Frame, cropped, find_field, read_frames
from pipelines.polyp.size.fields import fields_of

THUMB: Final = 132  # px of the longer side of a frame in the strip
LARGE: Final = 1280  # px of the longer side of the frame that is looked at
FULL: Final = 150  # so many frames are kept as large as that; more are kept smaller, all in all as large
QUALITY: Final = 88
CHUNK: Final = 12  # frames that are read at once; of a video all are, as it is decoded from its beginning
MOST_DRAWN: Final = 2**20  # px of a picture that the run made
Fields = Mapping[tuple[int, int], Field]


@dataclass(frozen=True, slots=True)
class Picture:
    """thumb, large: data URLs. id: of their contents. box: where they lie, in px of the frame. outline: of
    the lesion's mask, lines of x and y in px of the frame. error: why there is no picture."""

    thumb: str = ""
    large: str = ""
    id: str = ""
    box: Box = (0.0, 0.0, 0.0, 0.0)
    outline: tuple[tuple[float, ...], ...] = ()
    error: str = ""


def find_fields(run: Run, row: Row, frames: Sequence[SizedFrame], sources: Sources) -> Fields:
    """The optical field of the polyp's frames by height and width, found as in the run."""
    looked = [one.name for one in frames[: int(row["looked"])]]
    return fields_of([sources.refs[name] for name in looked if name in sources.refs], max_pixels(run))


def chunk_of(frames: Sequence[SizedFrame], sources: Sources, number: int) -> range:
    """Numbers of the frames that are read together with this one."""
    if any(ref.image is None for ref in sources.refs.values()):
        return range(len(frames))
    first = number - number % CHUNK
    return range(first, min(first + CHUNK, len(frames)))


def read_pictures(run: Run, frames: Sequence[SizedFrame], sources: Sources, fields: Fields) -> list[Picture]:
    """A picture of each frame, in its order; one that cannot be had says why. One frame at a time is in
    memory."""
    side = round(LARGE * min(1.0, FULL / len(frames)) ** 0.5) if frames else LARGE
    there = [one for one in frames if one.name in sources.refs]
    read = read_frames([sources.refs[one.name] for one in there], max_pixels=max_pixels(run))
    made = {one.name: _picture(one, frame, fields, side) for one, frame in zip(there, read, strict=True)}
    return [made.get(one.name) or _missing(run, one, sources.problems.get(one.name, "")) for one in frames]


def run_pictures(run: Run, frames: Sequence[SizedFrame], why: str) -> list[Picture]:
    """The pictures that the run made of some frames, where the frames themselves are not to be had."""
    return [_missing(run, one, why) for one in frames]


def _picture(one: SizedFrame, frame: Frame | FailedFrame, fields: Fields, side: int) -> Picture:
    if isinstance(frame, FailedFrame):
        return Picture(error=visible(frame.error))
    if one.width and (frame.width, frame.height) != (one.width, one.height):
        told = f"it has {frame.width} x {frame.height} px, and had {one.width} x {one.height}"
        return Picture(error=f"it has changed since the run: {told}")
    field = fields.get(frame.pixels.shape[:2]) or find_field(frame.pixels)
    pixels = cropped(frame.pixels, field)
    large = _jpeg(_resized(pixels, side))
    return Picture(
        thumb=_url(_jpeg(_resized(pixels, THUMB))),
        large=_url(large),
        id=blake2b(large, digest_size=12).hexdigest(),
        box=field.box,
        outline=tuple(_outline(frame.mask)) if frame.mask is not None else (),
    )


def _missing(run: Run, one: SizedFrame, why: str) -> Picture:
    """The run's own picture of a frame, which shows all of it, reduced."""
    why = visible(why) or "it cannot be read"
    if not one.picture or not one.width:
        return Picture(error=why)
    try:
        pixels = read_image(run.artefact(one.picture), max_pixels=MOST_DRAWN).pixels
    except UserError:
        return Picture(error=why)
    large = _jpeg(pixels)
    return Picture(
        thumb=_url(_jpeg(_resized(pixels, THUMB))),
        large=_url(large),
        id=blake2b(large, digest_size=12).hexdigest(),
        box=(0.0, 0.0, float(one.width), float(one.height)),
        error=why,
    )


def _outline(mask: NDArray[np.bool_]) -> Iterator[tuple[float, ...]]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for one in found:
        corners: Any = cv2.approxPolyDP(one, 0.7, True).reshape(-1)
        if len(corners) > 4:
            yield tuple((corners + 0.5).tolist())


def _resized(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(pixels: Pixels) -> bytes:
    picture = np.ascontiguousarray(pixels[..., ::-1])
    done, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError("a frame could not be encoded")
    return content.tobytes()


def _url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"
