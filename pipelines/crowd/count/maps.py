"""The map that a model gives for an image, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.common.files import replacing_bytes

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class CountMap:
    """People in each block of `stride` x `stride` px of an image of this size in px, as it was counted.

    counts: float32 (h, w), h = ceil(height / stride); the sum is the count.
    variance: float32 (h, w), of the number in each block; None if the network does not say.
    gate: bool (h, w), blocks that a sparse decoder refined; None for other networks.
    tiles: in how many parts it was computed. computed: the share of the image that was, in a video of which
    only changes are. note: why nobody was counted, where that is not what the network says.
    """

    counts: Floats
    stride: int
    height: int
    width: int
    variance: Floats | None = None
    gate: NDArray[np.bool_] | None = None
    tiles: int = 1
    computed: float = 1.0
    note: str = ""

    @property
    def count(self) -> float:
        """People in the image; not below 0, where maps of some networks may go."""
        return max(0.0, float(self.counts.sum(dtype=np.float64)))


def write_map(path: Path, found: CountMap) -> None:
    """Write a map as a compressed `.npz` of `counts`, `stride`, `height`, `width`, and `variance` and `gate`
    where there are any."""
    arrays: dict[str, Any] = {"counts": found.counts, "variance": found.variance, "gate": found.gate}
    arrays |= {name: np.int32(getattr(found, name)) for name in ("stride", "height", "width")}
    with replacing_bytes(path) as file:
        np.savez_compressed(file, **{name: one for name, one in arrays.items() if one is not None})


def read_map(path: Path) -> CountMap:
    """The map of a file of `write_map`."""
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return CountMap(
        arrays["counts"],
        stride=int(arrays["stride"]),
        height=int(arrays["height"]),
        width=int(arrays["width"]),
        variance=arrays.get("variance"),
        gate=arrays.get("gate"),
    )
