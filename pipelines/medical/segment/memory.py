"""What segmenting a case takes, predicted from its header, and the sizes of work that fit a limit.

The numbers of the networks were fitted to measured peaks and rounded up; tests hold them to what is measured.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.medical.config import NetworkPlan, Plan
from pipelines.medical.geometry import resampled_shape
from pipelines.medical.segment.slab import CHUNK_BYTES, slab_dtype
from pipelines.medical.segment.tiles import slow_axis

MIB = 2**20
FLOAT = 4
# Floats per voxel, or per site, and per channel of all levels, each counted by its share of the voxels.
KEPT = {"dense-unet": 7.0, "dynunet": 7.0, "swinunetr": 24.0, "sparse-unet": 9.0}
SITE_BYTES = 200  # coordinates and maps of neighbours of one site, at all levels
SPREAD = 1.5  # how much more foreground than the training cases a case may have before it is divided
SCORES = 0.4  # the share of the limit that scores held beside a block of sites may take
WORKSPACE = 128 * MIB  # of the convolutions' library and the allocator, whatever the tile; varies by 35 MiB
CHUNKS = 8  # tensors of CHUNK_BYTES while planes are decided
USUAL_PROCESS = 500.0 * MIB  # with torch and a model loaded
READING = 2.0  # while a file is read: what is stored beside what it means


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is known of a case before it is read.

    shape: (I, J, K) as stored. canonical: the same sides along x, y and z. spacing: mm, along x, y and z.
    item_bytes: of a voxel once read.
    """

    shape: tuple[int, int, int]
    canonical: tuple[int, int, int]
    spacing: tuple[float, float, float]
    item_bytes: int = FLOAT


def case_bytes(
    sizes: Sizes, plan: Plan, *, members: int, batch: int, mirror: bool, sparse: bool, memory_mib: int,
    uncertainty: bool = False, largest: bool = False,
) -> float:  # fmt: skip
    """The peak of a case in bytes, beside what the process and the model take.

    sparse: whether the networks compute on active voxels alone.
    """
    classes, channels = 1 + len(plan.labels), len(plan.channels)
    voxels = float(math.prod(sizes.shape))
    shape = resampled_shape(sizes.canonical, sizes.spacing, plan.spacing)
    prepared = float(math.prod(shape))
    volume = channels * voxels * sizes.item_bytes
    masked = plan.foreground.rule != "all"
    reading = (channels - 1 + READING) * voxels * sizes.item_bytes
    same = tuple(shape) == tuple(sizes.canonical)
    between = 0.0 if same else FLOAT * (voxels + prepared)
    preparing = volume + FLOAT * channels * prepared + max(between, 2 * prepared if masked else 0.0)
    slow = slow_axis(shape, plan.patch)
    several = members > 1 or mirror
    tile = batch * tile_bytes(plan.network, plan.patch, channels, classes, several=several)
    depth = plan.patch[slow]
    if sparse:
        depth = max(depth, planes_within(memory_mib, classes, shape, slow))
        sites = sites_within(memory_mib, plan.network, classes, prepared, plan.foreground.occupancy)
        tile = max(tile, min(prepared, sites) * site_bytes(plan.network, classes))
    slab = slab_bytes(classes, min(shape[slow], depth + 1), [shape[slow], *_others(shape, slow)])
    held = FLOAT * channels * prepared + (prepared if masked else 0.0)
    scanning = volume + held + 2 * voxels + slab + max(tile, CHUNKS * CHUNK_BYTES)
    finishing = volume + 2 * voxels + voxels * max(6.0 * largest, 6.0 * uncertainty, 2.0)
    return max(reading, preparing, scanning, finishing) + WORKSPACE


def predicted_mib(cases: float, base: float | None = None) -> int:
    """The peak of the process in MiB. cases: the largest of `case_bytes`. base: what it holds by now."""
    return math.ceil(((resident_bytes() if base is None else base) + cases) / MIB)


def slab_bytes(classes: int, depth: int, shape: Sequence[int]) -> float:
    """The probabilities held at a time. shape: the slow axis first."""
    return float(classes * depth * shape[1] * shape[2] * slab_dtype(classes, depth, shape).itemsize)


def tile_bytes(
    network: NetworkPlan, patch: Sequence[int], channels: int, classes: int, *, several: bool
) -> float:
    """One tile through the network: features, and scores, of which averaging needs more."""
    features = KEPT[network.name] * _width(network)
    last = 3.0 * network.channels[0] + 2.0 * classes
    scores = classes * (2.0 if several else 0.0)
    return FLOAT * math.prod(patch) * (max(features, last, 3.0 * classes) + scores + 2.0 * channels)


def site_bytes(network: NetworkPlan, classes: int) -> float:
    """One active voxel through a sparse network, with its scores."""
    return FLOAT * (KEPT["sparse-unet"] * _width(network) + 2.5 * classes) + SITE_BYTES


def sites_within(memory_mib: int, network: NetworkPlan, classes: int, voxels: float, occupancy: float) -> int:
    """How many active voxels a block may have: what fits beside the scores of the volume's `voxels`, and no
    more than a case of this many mostly has, so that one with more foreground keeps to what was predicted.

    occupancy: the share of active voxels in the training cases.
    """
    limit = memory_mib * MIB
    scores = min(SCORES * limit, FLOAT * classes * voxels)
    fits = (limit - scores) / site_bytes(network, classes)
    return max(1, int(min(fits, SPREAD * occupancy * voxels)))


def planes_within(memory_mib: int, classes: int, shape: Sequence[int], slow: int) -> int:
    """How many planes of scores fit, in half precision if need be; at most what the volume has."""
    others = _others(shape, slow)
    most = shape[slow]
    fits = int(SCORES * memory_mib * MIB / (2 * classes * others[0] * others[1])) - 1
    if fits < most and slab_dtype(classes, fits + 1, [most, *others]).itemsize == FLOAT:
        fits //= 2  # the slab is small enough for float32
    return max(1, min(most, fits))


def resident_bytes() -> float:
    """What the process holds now, else the most that it ever held, else what is usual."""
    if sys.platform == "win32":
        return USUAL_PROCESS
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return float(pages * resource.getpagesize())
    except (OSError, ValueError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def available_bytes() -> float | None:
    """What the system could still give, where it tells it."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _width(network: NetworkPlan) -> float:
    """Channels of all levels, each by its share of the finest level's voxels."""
    total, share = float(network.channels[0]), 1.0
    for width, stride in zip(network.channels[1:], network.strides, strict=False):
        share /= math.prod(stride)
        total += width * share
    return total


def _others(shape: Sequence[int], slow: int) -> list[int]:
    return [side for axis, side in enumerate(shape) if axis != slow]
