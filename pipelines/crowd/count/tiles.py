"""Which part of an image is computed at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipelines.crowd.count.field import GRID

LEAST_SIDE: Final = 256  # px


@dataclass(frozen=True, slots=True)
class Box:
    """Rows top <= y < bottom and columns left <= x < right, in px."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def grown(self, halo: int, within: Box) -> Box:
        """With so many px around it, cut to another box."""
        return Box(
            max(self.top - halo, within.top),
            max(self.left - halo, within.left),
            min(self.bottom + halo, within.bottom),
            min(self.right + halo, within.right),
        )

    def joined(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


def whole(height: int, width: int, multiple: int) -> Box:
    """The image, filled up to sides that are multiples of so many px."""
    return Box(0, 0, -(-height // multiple) * multiple, -(-width // multiple) * multiple)


def tiles(image: Box, most: int, halo: int) -> list[Box]:
    """Boxes that tile an image, which begins at 0, 0; with the halo each has `most` px or fewer.

    They begin at multiples of GRID, so that blocks lie in tiles as they lie in the whole. Of all ways to
    cut the image into rows and columns, the one with the least to compute. No tile is smaller than
    LEAST_SIDE, where hardly anything but halo would be computed, even if `most` is passed.
    """
    best: tuple[int, int, int] | None = None
    across = list(_costs(image.width, halo))
    for tall, high, down in _costs(image.height, halo):
        # The fewest columns that fit: more of them would only be more work.
        fits = next(((broad, work) for broad, wide, work in across if high * wide <= most), None)
        if fits is not None and (best is None or down * fits[1] < best[0]):
            best = down * fits[1], tall, fits[0]
    tall, broad = best[1:] if best else (LEAST_SIDE, LEAST_SIDE)
    return list(_cut(image, tall, broad))


def _costs(length: int, halo: int) -> Iterator[tuple[int, int, int]]:
    """For one axis cut into 1, 2, ... tiles, the side of each, and as in `_cost` what they take."""
    for parts in range(1, max(1, length // LEAST_SIDE) + 1):
        yield _cost(length, parts, halo)


def _cost(length: int, parts: int, halo: int) -> tuple[int, int, int]:
    """The side of each of so many tiles along one axis; the longest with its halo; the sum with their halos.

    A side is a multiple of GRID, so that there may be fewer tiles.
    """
    side = -(-length // (parts * GRID)) * GRID
    seen = [min(start + side + halo, length) - max(start - halo, 0) for start in range(0, length, side)]
    return side, max(seen), sum(seen)


def _cut(image: Box, tall: int, broad: int) -> Iterator[Box]:
    for top in range(image.top, image.bottom, tall):
        for left in range(image.left, image.right, broad):
            yield Box(top, left, min(top + tall, image.bottom), min(left + broad, image.right))
