"""How much a file may ask for, so that a damaged or hostile header takes no memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from .record import VolumeError

MAX_VOXELS: Final = 2**30  # of one volume: 1024 x 1024 x 1024
MAX_SIDE: Final = 2**20
MAX_DEFLATE_RATIO: Final = 1032  # what deflate can gain at most: a stream unpacks to no more than this


def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """The three sides of a volume, or VolumeError if they are not positive or not three."""
    sides = tuple(int(side) for side in shape)
    text = " x ".join(map(str, sides)) or "no"
    if len(sides) != 3:
        raise VolumeError(f"it has {text} voxels; a volume with three axes is needed")
    if min(sides) < 1 or max(sides) > MAX_SIDE:
        raise VolumeError(f"its header states {text} voxels, which no volume has: the file is damaged")
    return sides[0], sides[1], sides[2]


def check_voxels(shape: tuple[int, int, int], most: int) -> None:
    """Raise VolumeError if a volume has more than `most` voxels; asked before memory is taken for them."""
    if math.prod(shape) > most:
        raise VolumeError(
            f"it has {' x '.join(map(str, shape))} voxels; at most {most:,} are read: crop it, store it more"
            " coarsely, or raise the limit with --set max_voxels=N if there is memory for it"
        )


def check_stored(wanted: int, stored: int, *, packed: bool) -> None:
    """Raise VolumeError if `stored` bytes, packed by deflate or not, cannot hold `wanted` bytes of voxels."""
    most = (stored + 64) * MAX_DEFLATE_RATIO if packed else stored
    if wanted > most:
        raise VolumeError(
            f"its header promises {wanted:,} bytes of voxels, which a file of {stored:,} bytes cannot hold:"
            " it is cut short or damaged"
        )
