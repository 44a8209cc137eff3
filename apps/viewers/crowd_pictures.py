"""What the browser is sent of an image: the whole of it reduced, a part of it sharp, and layers over it.

All pictures are data URLs. Free of Streamlit.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.viewers.crowd_case import Seen
from pipelines.crowd.count import pictures
from pipelines.crowd.count.maps import CountMap

OVERVIEW: Final = 1600  # px of the longest side of the whole image
MOST_PART: Final = 2400  # px of the longest side of a part of it
MOST_BLOCKS: Final = 1200  # of the longest side of a map
AROUND: Final = 0.25  # of a part's sides, beyond each of them: a small move needs no other part
QUALITY: Final = 88
GATE: Final = (255, 255, 255, 255)  # RGBA of a block that was refined

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """A picture, what names its contents, and where it lies: left, top, right and bottom in px of the image
    in the file."""

    url: str
    id: str
    box: Box


def overview(seen: Seen) -> Part:
    """The whole image, its longer side at most OVERVIEW px."""
    height, width = seen.pixels.shape[:2]
    scale = min(1.0, OVERVIEW / max(height, width))
    return Part(*_jpeg(_resized(seen.pixels, scale)), (0.0, 0.0, float(seen.width), float(seen.height)))


def part(seen: Seen, box: Box, pixels: int) -> Part | None:
    """What lies in the box and a little around it, as sharp as `pixels` across the box can show it.

    box: left, top, right, bottom in px of the image in the file. None if the overview is as sharp.
    """
    height, width = seen.pixels.shape[:2]
    across, down = width / seen.width, height / seen.height
    left, top, right, bottom = box
    beyond = AROUND * (right - left), AROUND * (bottom - top)
    x0, x1 = (_inside(one * across, width) for one in (left - beyond[0], right + beyond[0]))
    y0, y1 = (_inside(one * down, height) for one in (top - beyond[1], bottom + beyond[1]))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    if x1 > width or y1 > height or right <= left:
        return None
    scale = min(1.0, pixels / ((right - left) * across), MOST_PART / max(x1 - x0, y1 - y0))
    if scale <= 1.05 * min(1.0, OVERVIEW / max(height, width)):
        return None
    picture = _resized(seen.pixels[y0:y1, x0:x1], scale)
    return Part(*_jpeg(picture), (x0 / across, y0 / down, x1 / across, y1 / down))


def heat(found: CountMap, seen: Seen) -> Part:
    """People per area in colours, clear where nobody is; a pixel is a block, or several of a large map."""
    density = np.maximum(found.counts, 0) / found.stride**2
    strength = np.clip(_few(density) / pictures.heat(found), 0, 1)
    colours = cv2.applyColorMap(np.rint(strength * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    clear = np.rint(255 * np.clip(3 * strength, 0, 1)).astype(np.uint8)
    return Part(*_png(np.dstack([colours, clear])), _extent(found, seen))


def gate(found: CountMap, seen: Seen) -> Part | None:
    """Blocks that the sparse decoder refined; None if the network has no gate."""
    if found.gate is None:
        return None
    # A large map shows a pixel for several blocks if any of them was refined.
    opened = _few(found.gate.astype(np.float32)) > 0
    red, green, blue, alpha = GATE
    picture = np.zeros((*opened.shape, 4), np.uint8)
    picture[opened] = blue, green, red, alpha
    return Part(*_png(picture), _extent(found, seen))


def _few(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values of blocks, averaged to at most MOST_BLOCKS along the longer side."""
    height, width = values.shape
    scale = MOST_BLOCKS / max(height, width)
    values = values.astype(np.float32)
    if scale >= 1:
        return values
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _extent(found: CountMap, seen: Seen) -> Box:
    """Where the blocks lie: the last ones reach beyond the image."""
    rows, columns = found.counts.shape
    across, down = seen.width / found.width, seen.height / found.height
    return 0.0, 0.0, columns * found.stride * across, rows * found.stride * down


def _inside(place: float, most: int) -> int:
    return min(max(round(place), 0), most)


def _resized(pixels: NDArray[np.uint8], scale: float) -> NDArray[Any]:
    if scale >= 1:
        return pixels
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _jpeg(pixels: NDArray[Any]) -> tuple[str, str]:
    picture = np.ascontiguousarray(pixels[..., ::-1])
    return _url(".jpg", "jpeg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _png(picture: NDArray[np.uint8]) -> tuple[str, str]:
    return _url(".png", "png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def _url(ending: str, kind: str, picture: NDArray[Any], how: list[int]) -> tuple[str, str]:
    done, content = cv2.imencode(ending, picture, how)
    if not done:
        raise ValueError("a picture could not be encoded")
    url = f"data:image/{kind};base64,{b64encode(content.tobytes()).decode()}"
    return url, blake2b(content.data, digest_size=12).hexdigest()
