"""Mirror images: the axes that may be flipped, and all combinations of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain, combinations
from typing import Final, Literal

Mirror = tuple[Literal["x", "y", "z"], ...]
AXES: Final = {"x": 0, "y": 1, "z": 2}
EVERY: Final[Mirror] = ("x", "y", "z")
OTHER_SIDE: Final = {"left": "right", "right": "left", "l": "r", "r": "l", "lt": "rt", "rt": "lt"}


def mirror_for(labels: Iterable[str]) -> Mirror:
    """The axes along which images with these labels may be flipped: not x if a label has a twin on the other
    side, such as `kidney_left` and `kidney_right`, since x runs from one side to the other."""
    words = {tuple(re.findall(r"[a-z]+|\d+", name.lower())) for name in labels}
    twins = any(tuple(OTHER_SIDE.get(word, word) for word in one) in words - {one} for one in words)
    return ("y", "z") if twins else EVERY


def flips(mirror: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The axes, 0 to 2, of each way to mirror along some of `mirror`; the first way is none."""
    axes = [AXES[name] for name in mirror]
    ways = chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1))
    return tuple(ways)
