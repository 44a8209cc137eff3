"""The optical field of a recording, which does not move. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipelines.polyp.data import Field, Frame, FrameRef, find_field, read_frames, typical, without_labels
from pipelines.polyp.data.thinning import spread

FIELD_FRAMES: Final = 7  # that the field of a recording is taken from

Fields = dict[tuple[int, int], Field]


def fields_of(refs: Sequence[FrameRef], max_pixels: int) -> Fields:
    """The optical field of a recording, by height and width of its frames, from some of them."""
    some: dict[tuple[int, int], list[Field]] = {}
    for one in read_frames(map(without_labels, spread(refs, FIELD_FRAMES)), max_pixels=max_pixels):
        if isinstance(one, Frame):
            some.setdefault(one.pixels.shape[:2], []).append(find_field(one.pixels))
    return {size: typical(fields) for size, fields in some.items()}
