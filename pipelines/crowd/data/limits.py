"""How much a file may ask for, so that a damaged or hostile one takes no memory."""

from __future__ import annotations

from typing import Final

from pipelines.common.media.limits import (
    MAX_LABEL_BYTES,
    MAX_LIST_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    open_file,
    read_bytes,
    too_many_pixels,
)

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "MAX_LABEL_BYTES",
    "MAX_LIST_BYTES",
    "MAX_POINTS",
    "open_file",
    "read_bytes",
    "too_many_pixels",
]

MAX_POINTS: Final = 1_000_000  # heads in one image: the most in any public set is about 20,000
