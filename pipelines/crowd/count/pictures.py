"""What was counted, drawn over the image: a heat map, zones, and the count with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.common.files import replacing_bytes
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.data.record import Pixels
from pipelines.crowd.zones import Zone

if TYPE_CHECKING:  # they come with torch
    from pipelines.crowd.count.scene import Area, Measured, View

LONGEST: Final = 1600  # px of the longest side
QUALITY: Final = 85
STRONGEST: Final = 0.75  # how much of the image the heat map covers at most
# People per square px that are drawn in full colour, at the least: one in 14 x 14 px.
LEAST_FULL: Final = 5e-3
ZONE_COLOURS: Final = (
    *((0, 200, 255), (255, 120, 0), (120, 255, 80), (255, 80, 200), (255, 230, 0), (150, 140, 255)),
)
INK, SHADE = (255, 255, 255), (0, 0, 0)


def draw(
    pixels: Pixels, found: CountMap, view: View, measured: Measured, *, full: float | None = None
) -> Pixels:
    """RGB uint8 (h, w, 3), with a longest side of LONGEST px or that of the image if it is smaller.

    pixels: the image in the size in which it was counted. full: people per square px that get the strongest
    colour, so that frames of a video are comparable; else what suits the map.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    picture = Image.fromarray(_heated(small.astype(np.uint8), found, scale, full or heat(found)))
    brush = ImageDraw.Draw(picture, "RGBA")
    text = max(13, round(min(max(size) / 45, min(size) / 14)))
    for number, zone in enumerate(view.zones):
        _draw_zone(brush, zone, ZONE_COLOURS[number % len(ZONE_COLOURS)], size, found)
    taken: list[tuple[float, float, float, float]] = []
    _label(brush, people(measured.whole), (0, 0), round(1.35 * text), size, INK, taken)
    for number, zone in enumerate(view.zones):
        place = np.concatenate([one.outer for one in zone.polygons]).min(axis=0) * (
            size[0] / found.width,
            size[1] / found.height,
        )
        words = f"{zone.name}: {in_words(measured.zones[zone.name])}"
        _label(brush, words, place, text, size, ZONE_COLOURS[number % len(ZONE_COLOURS)], taken)
    return np.asarray(picture)


def people(area: Area) -> str:
    """A count in words."""
    return f"{in_words(area)} {'person' if round(area.count) == 1 else 'people'}"


def in_words(area: Area) -> str:
    """A count with its interval, in whole people."""
    if area.low is None or area.high is None:
        return f"{area.count:,.0f}"
    return f"{area.count:,.0f} ({area.low:,.0f} to {area.high:,.0f})"


def write_picture(path: Path, picture: Pixels) -> int:
    """Write a JPEG; returns its bytes."""
    done, content = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    if not done:
        raise ValueError("a picture could not be written as JPEG")
    with replacing_bytes(path) as file:
        file.write(content.tobytes())
    return len(content)


def heat(found: CountMap) -> float:
    """People per square px that a picture of a map shows in its strongest colour."""
    density = found.counts[found.counts > LEAST_FULL / 20 * found.stride**2] / found.stride**2
    return max(LEAST_FULL, float(np.quantile(density, 0.98)) if density.size else 0.0)


def _heated(image: Pixels, found: CountMap, scale: float, full: float) -> Pixels:
    """The image with people per area in colours over it; what has none shows as it is."""
    height, width = image.shape[:2]
    # The root, so that single people near the camera show beside a dense crowd far away.
    strength = np.sqrt(np.clip(found.counts / found.stride**2 / full, 0, 1)).astype(np.float32)
    # Blocks at the edge reach beyond the image: blown up whole, then cut.
    size = (
        max(width, round(strength.shape[1] * found.stride * scale)),
        max(height, round(strength.shape[0] * found.stride * scale)),
    )
    smooth = np.clip(cv2.resize(strength, size, interpolation=cv2.INTER_LINEAR)[:height, :width], 0, 1)
    colours = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    share = (STRONGEST * np.clip(smooth * 2.5 - 0.15, 0, 1))[..., None]
    mixed: NDArray[np.float32] = image * (1 - share) + colours * share
    return mixed.round().astype(np.uint8)


def _draw_zone(
    brush: ImageDraw.ImageDraw,
    zone: Zone,
    colour: tuple[int, int, int],
    size: tuple[int, int],
    found: CountMap,
) -> None:
    line = max(2, round(max(size) / 400))
    for polygon in zone.polygons:
        for ring in (polygon.outer, *polygon.holes):
            corners = ring * (size[0] / found.width, size[1] / found.height)
            closed = [tuple(corner) for corner in np.concatenate([corners, corners[:1]]).tolist()]
            brush.line(closed, fill=(*SHADE, 160), width=line + 2, joint="curve")
            brush.line(closed, fill=(*colour, 255), width=line, joint="curve")


def _label(
    brush: ImageDraw.ImageDraw,
    words: str,
    place: Sequence[float] | NDArray[Any],
    text: int,
    size: tuple[int, int],
    colour: tuple[int, int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Words on a dark plate whose upper left corner is at the place; moved into the picture, and down until
    it lies on no other, which are listed in `taken` with their left, upper, right and lower edges."""
    font = ImageFont.load_default(text)
    edge = max(3, text // 3)
    left, top, right, bottom = brush.textbbox((0, 0), words, font=font)
    width, height = right - left + 2 * edge, bottom - top + 2 * edge
    x = min(max(0.0, float(place[0])), max(0.0, size[0] - width))
    y = min(max(0.0, float(place[1])), max(0.0, size[1] - height))
    for left_edge, upper, right_edge, lower in sorted(taken, key=lambda plate: plate[1]):
        if x < right_edge and x + width > left_edge and y < lower and y + height > upper:
            y = lower
    taken.append((x, y, x + width, y + height))
    brush.rectangle(taken[-1], fill=(*SHADE, 170))
    brush.text((x + edge - left, y + edge - top), words, font=font, fill=(*colour, 255))
