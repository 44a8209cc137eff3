"""Mirror images: the axes that are flipped, and all combinations of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations
from typing import Final, Literal

Mirror = tuple[Literal["x", "y", "z"], ...]
AXES: Final = {"x": 0, "y": 1, "z": 2}
EVERY: Final[Mirror] = ("x", "y", "z")


def flips(mirror: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The axes, 0 to 2, of each way to mirror along some of `mirror`; the first way is none."""
    axes = [AXES[name] for name in mirror]
    ways = chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1))
    return tuple(ways)
