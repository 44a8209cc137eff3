"""Frames drawn small: the lesion's outline, its size, and whether the frame was used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.common.files import new_folder, replacing_bytes
from pipelines.common.media.record import Pixels
from pipelines.polyp.data.record import Box
from pipelines.polyp.model.views import MARGIN, around, cut
from pipelines.polyp.size.look import FrameLook

SIDE: Final = 384  # px of the longer side, and of the crops
QUALITY: Final = 85
LETTERS, MOST_LINES = 44, 3  # of a reason
USED, NOT_USED = (86, 204, 242), (240, 178, 90)
INK, SHADE = (255, 255, 255), (0, 0, 0)
STRONGEST: Final = 0.6  # how much of the crop the map of features covers at most


def draw(look: FrameLook, words: str, reason: str) -> Pixels:
    """RGB uint8 (h, w, 3) of a frame that could be read.

    words, reason: written into its upper left corner; the reason why it is not used is empty if it is.
    """
    pixels = _decoded(look.picture)
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = Image.fromarray(np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8))
    brush = ImageDraw.Draw(picture, "RGBA")
    colour = NOT_USED if reason else USED
    for line, ink in ((4, (*SHADE, 150)), (2, (*colour, 255))):
        if look.outline:
            for corners in look.outline:
                points = [((x + 0.5) * scale, (y + 0.5) * scale) for x, y in corners]
                brush.line([*points, points[0]], fill=ink, width=line, joint="curve")
        elif look.box is not None:
            x, y = size[0] / look.width, size[1] / look.height
            box = (look.box[0] * x, look.box[1] * y, look.box[2] * x, look.box[3] * y)
            brush.rectangle(box, outline=ink, width=line)
    lines = [(words, 24)] if words else []
    lines += [(one, 15) for one in wrap(f"not used: {reason}" if reason else "", LETTERS)[:MOST_LINES]]
    _label(brush, lines, colour)
    return np.asarray(picture)


def draw_features(look: FrameLook) -> Pixels | None:
    """The crop around the lesion with the map of features over it, RGB uint8 (SIDE, SIDE, 3); None without
    a map."""
    if look.answer is None or look.answer.features is None or look.box is None:
        return None
    pixels = _decoded(look.picture)
    x, y = pixels.shape[1] / look.width, pixels.shape[0] / look.height
    box = (look.box[0] * x, look.box[1] * y, look.box[2] * x, look.box[3] * y)
    square = around(box, MARGIN)
    crop = cut(pixels, square, SIDE)
    features = look.answer.features
    if look.answer.of_frame:
        features = _within(features, square, max(pixels.shape[:2]))
    seen = np.isfinite(features)
    if not seen.any():
        return None
    strength = _enlarged(np.where(seen, _scaled(features), 0))
    colours = cv2.applyColorMap((strength * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1]
    share = (STRONGEST * np.clip(0.25 + strength, 0, 1) * _enlarged(seen))[..., None]
    mixed: NDArray[np.float32] = crop * (1 - share) + colours * share
    return mixed.round().astype(np.uint8)


def _within(features: NDArray[np.float32], square: Box, longest: int) -> NDArray[np.float32]:
    """A map of the whole frame, whose longer side has `longest` px, on a square in px of the frame: float32
    (SIDE, SIDE), NaN outside."""
    cell = longest / len(features)
    x0, y0, x1, _ = square
    step = (x1 - x0) / SIDE / cell
    columns, rows = ((first / cell + (np.arange(SIDE) + 0.5) * step).astype(int) for first in (x0, y0))
    inside = [(one >= 0) & (one < len(features)) for one in (rows, columns)]
    found = features[np.clip(rows, 0, len(features) - 1)][:, np.clip(columns, 0, len(features) - 1)]
    return np.where(inside[0][:, None] & inside[1], found, np.float32(np.nan))


def _enlarged(values: NDArray[Any]) -> NDArray[np.float32]:
    found = cv2.resize(values.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.clip(found, 0, 1)


def write_picture(path: Path, picture: Pixels) -> None:
    """Write a JPEG that is whole or absent."""
    done, content = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    if not done:
        raise ValueError("a picture could not be written as JPEG")
    new_folder(path.parent)
    with replacing_bytes(path) as file:
        file.write(content.tobytes())


def _decoded(content: bytes) -> Pixels:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise ValueError("a picture of a frame could not be decoded")
    return np.asarray(found[..., ::-1], np.uint8)


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """From 0 at the least value to 1 at the largest; 0 where all are equal, and NaN where they are."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _label(
    brush: ImageDraw.ImageDraw, lines: Sequence[tuple[str, int]], colour: tuple[int, int, int]
) -> None:
    """Lines of text, each with its size in px, one under the other on a dark plate."""
    placed, y, width = [], 7.0, 0.0
    for text, px in lines:
        font = ImageFont.load_default(px)
        left, top, right, bottom = brush.textbbox((0, 0), text, font=font)
        placed.append(((7 - left, y - top), text, font))
        y, width = y + bottom - top + 6, max(width, right - left)
    if placed:
        brush.rectangle((0, 0, width + 14, y + 1), fill=(*SHADE, 190))
    for place, text, font in placed:
        brush.text(place, text, font=font, fill=(*colour, 255))
