"""Lines of text that a processor wrote over the picture itself: dates, times, numbers, settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pipelines.common.media.record import Pixels

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]

WORK_SIDE: Final = 900  # px of the longer side that text is looked for at; smaller frames stay as they are
TALLEST: Final = 24  # px of a letter there
LOWEST: Final = 5
BRIGHT: Final = 105  # darkest channel of a letter: text is white or gray, tissue is red
CONTRAST: Final = 38  # of a letter to what is around it
STRONG: Final = 90
FAINT: Final = 22
STROKE: Final = 9  # px; strokes are thinner
ON_WHITE: Final = 165
FAINT_ON_WHITE: Final = 10
MANY: Final = 5  # letters in a line that needs no other line beside it
STRAIGHT: Final = 0.15  # of the height of a line: a line this straight may have one letter less
FEW: Final = 2  # letters in a line that stands below or above another one
PAD: Final = 0.35  # of the height of a line, around it
MOST_PARTS: Final = 1_500  # more is the grain of the picture


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Rows of letters in px at working scale, (N,) each. height: the median of a row's letters. seeds: rows
    that are text without any other row beside them."""

    left: Numbers
    top: Numbers
    right: Numbers
    bottom: Numbers
    height: Numbers
    letters: Numbers
    seeds: Mask

    def at(self, chosen: Mask) -> _Lines:
        return _Lines(*(getattr(self, one.name)[chosen] for one in fields(self)))


def find_text(pixels: Pixels) -> Mask:
    """Where text lies on a frame, RGB uint8 (H, W, 3): rectangles around lines, bool (H, W).

    Letters are small, near white, and stand in rows of equal height; reflections do neither. A row of a few
    letters counts only beside a longer one: below or above it, and beginning where it begins.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, WORK_SIDE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    found = np.zeros((height, width), bool)
    lines = _joined([_lines(_letters(drawing), plain) for drawing, plain in _drawings(pixels)])
    lines = lines.at(_accepted(lines))
    pad = PAD * lines.height
    corners = np.stack(
        [
            np.floor((lines.left - pad) / scale),
            np.floor((lines.top - pad) / scale),
            np.ceil((lines.right + pad) / scale),
            np.ceil((lines.bottom + pad) / scale),
        ],
        axis=1,
    )
    for x0, y0, x1, y1 in np.maximum(corners, 0).astype(np.int64).tolist():
        found[y0:y1, x0:x1] = True
    return found


def _drawings(pixels: Pixels) -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """What may be drawn on the picture, (H, W) of 0 and 1, and whether it stands out plainly."""
    darkest = pixels.min(axis=2)
    bright, white = darkest > BRIGHT, darkest > ON_WHITE
    solid = _hat(darkest, cv2.MORPH_TOPHAT, TALLEST + 1)
    strokes = _hat(darkest, cv2.MORPH_TOPHAT, STROKE)
    yield ((solid > CONTRAST) & bright).astype(np.uint8), True
    yield ((solid > STRONG) & bright).astype(np.uint8), True  # where letters would run into each other
    yield ((strokes > CONTRAST) & bright).astype(np.uint8), True
    yield ((strokes > FAINT) & bright).astype(np.uint8), False
    # On a white reflection, text is darker than what is around it.
    for side in (STROKE, TALLEST + 1):
        yield ((_hat(darkest, cv2.MORPH_BLACKHAT, side) > FAINT_ON_WHITE) & white).astype(np.uint8), False


def _hat(image: NDArray[np.uint8], kind: int, side: int) -> NDArray[Any]:
    return cv2.morphologyEx(image, kind, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))


def _letters(drawing: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Parts of a drawing that may be letters: left, top, width, height of each, (N, 4)."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(drawing, connectivity=8)
    parts = stats[1:, :4].astype(np.int64)
    wide, high = parts[:, 2], parts[:, 3]
    chosen = (high >= LOWEST) & (high <= TALLEST) & (wide <= TALLEST * 3) & (stats[1:, 4] >= 4)
    found: NDArray[np.int64] = parts[chosen]
    return found if len(found) <= MOST_PARTS else np.empty((0, 4), np.int64)


def _lines(parts: NDArray[np.int64], plain: bool) -> _Lines:
    """Letters that stand beside each other at one height, as lines.

    What sticks out of a row is left out of it, as reflections that touch it.
    """
    x, y, wide, high = parts.T
    ends, feet = x + wide, y + high
    tallest = np.maximum(high[:, None], high)
    gap = np.maximum(x[:, None], x) - np.minimum(ends[:, None], ends)
    beside = (
        (np.abs(feet[:, None] - feet) <= 0.2 * tallest)
        & (np.abs(y[:, None] - y) <= 0.25 * tallest)
        & (gap <= 1.6 * tallest)
        & (gap > -2)
    )
    labels = _groups(beside)
    order = np.argsort(labels, kind="stable")
    rows = []
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if not len(members):
            continue
        height = float(np.median(high[members])) if len(members) > 1 else float(high[members[0]])
        if len(members) > 2:
            tops, bottoms = y[members], feet[members]
            off = np.maximum(abs(tops - np.median(tops)), abs(bottoms - np.median(bottoms)))
            members = members[off <= 0.3 * height] if (off <= 0.3 * height).any() else members
        spread = max(np.ptp(y[members]), np.ptp(feet[members])) if len(members) > 1 else 0
        length = ends[members].max() - x[members].min()
        straight = spread <= max(1, STRAIGHT * height)
        enough = MANY - straight if plain else MANY + 1
        rows.append(
            (
                x[members].min(),
                y[members].min(),
                ends[members].max(),
                feet[members].max(),
                height,
                len(members),
                len(members) >= enough and length >= 2 * height and (plain or straight),
            )
        )
    table = np.array(rows, np.float64).reshape(-1, 7)
    left, top, right, bottom, heights, letters, seeds = table.T
    return _Lines(left, top, right, bottom, heights, letters, seeds > 0)


def _joined(several: list[_Lines]) -> _Lines:
    return _Lines(*(np.concatenate([getattr(one, f.name) for one in several]) for f in fields(_Lines)))


def _groups(near: NDArray[np.bool_]) -> NDArray[np.int64]:
    found: NDArray[Any] = connected_components(csr_array(near), directed=False)[1]
    return found.astype(np.int64)


def _accepted(lines: _Lines) -> Mask:
    """Seeds, and what stands in one column or one row with a line that is accepted; (N,)."""
    found = lines.seeds.copy()
    fresh = found
    while fresh.any():
        fresh = ~found & _near(lines, lines.at(fresh)).any(axis=1)
        found |= fresh
    return found


def _near(lines: _Lines, others: _Lines) -> NDArray[np.bool_]:
    """Which lines (N,) belong to which of the others (M,), by place and height of letters; (N, M)."""
    left, top, right, bottom, height = (
        getattr(lines, name)[:, None] for name in ("left", "top", "right", "bottom", "height")
    )
    ratio = height / others.height
    apart = np.maximum(top, others.top) - np.minimum(bottom, others.bottom)
    aside = np.maximum(left, others.left) - np.minimum(right, others.right)
    level = np.abs(bottom - others.bottom) <= 0.3 * others.height
    begins = np.abs(left - others.left) <= others.height
    # A single letter, or some that run into each other, must stand closer.
    few = (lines.letters < FEW)[:, None]
    beside = level & (aside <= np.where(few, 2, 8) * others.height)
    below = ~few & begins & (apart <= 6 * others.height)
    found: NDArray[np.bool_] = (ratio >= 0.75) & (ratio <= 1.33) & (beside | below)
    return found
