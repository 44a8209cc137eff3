"""What a label map says of each structure: size, certainty, brightness; and its largest piece alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.medical.data.record import Volume

ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


@dataclass(frozen=True, slots=True)
class Structure:
    """One label of one case. ml: millilitres. confidence: the mean probability of the label over its voxels,
    0 to 1. intensity: the mean of each channel, in the file's own numbers. None where there is no voxel."""

    voxels: int
    ml: float
    confidence: float | None
    intensity: tuple[float, ...] | None


def structures(
    labels: NDArray[Any],
    doubt: NDArray[np.uint8],
    channels: Sequence[Volume],
    names: Mapping[str, int],
) -> dict[str, Structure]:
    """Each label's facts, by its name. labels, doubt: (I, J, K); doubt is 1 minus the probability, in 1/255.

    Slice by slice, so that no copy of the volume in double precision is made.
    """
    size = 1 + max(names.values())
    voxels = np.zeros(size, np.int64)
    unsure = np.zeros(size)
    totals = np.zeros((len(channels), size))
    for number in range(labels.shape[2]):
        inside = labels[:, :, number] != 0
        found = labels[:, :, number][inside]
        if not len(found):
            continue
        voxels += np.bincount(found, minlength=size)
        unsure += np.bincount(found, doubt[:, :, number][inside], size)
        for total, channel in zip(totals, channels, strict=True):
            total += np.bincount(found, channel.array[:, :, number][inside], size)
    facts = {}
    for name, value in names.items():
        count = int(voxels[value])
        facts[name] = Structure(
            count,
            count * channels[0].voxel_ml,
            1 - float(unsure[value]) / (255 * count) if count else None,
            tuple(float(total[value]) / count for total in totals) if count else None,
        )
    return facts


def keep_largest(labels: NDArray[Any], values: Collection[int]) -> dict[int, int]:
    """Set all but the largest piece of some labels to 0, in place. A piece holds together by corners too.

    Returns how many voxels each label lost; those that lost none are left out. One label's bounding box at a
    time is worked on.
    """
    lost = {}
    for value, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or value not in values:
            continue
        part = labels[box]
        pieces, count = ndimage.label(part == value, ALL_NEIGHBOURS)
        if count < 2:
            continue
        sizes = np.bincount(pieces.ravel(order="K"))
        sizes[0] = 0
        others = pieces > 0
        others &= pieces != sizes.argmax()
        part[others] = 0
        lost[value] = int(sizes.sum() - sizes.max())
    return lost
