"""How much memory a training step takes, from the sizes of the network alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipelines.medical.config import NetworkPlan

PROCESS_MIB = 550.0  # Python, torch and MONAI before any network
# What the first convolutions of a dense network take beside their tensors, whatever the patch.
WORKSPACE_MIB = {"dense-unet": 400.0, "dynunet": 400.0, "swinunetr": 400.0, "sparse-unet": 60.0}
# Tensors of a level's width that a training step keeps per voxel of it, forward and backward, in float32, and
# tensors per class and voxel; fitted to measured peaks and rounded up. bfloat16 takes less.
KEPT = {"dense-unet": 16.0, "dynunet": 24.0, "swinunetr": 40.0, "sparse-unet": 30.0}
KEPT_PER_CLASS = 8.0
BYTES = 4


def training_mib(
    network: NetworkPlan,
    patch: Sequence[int],
    batch_size: int,
    in_channels: int,
    classes: int,
    occupancy: float,
) -> float:
    """Expected peak of resident memory in MiB while training."""
    voxels = float(math.prod(patch) * batch_size)
    inputs = voxels * (in_channels + KEPT_PER_CLASS * classes)
    share = occupancy if network.name == "sparse-unet" else 1.0
    rows = 0.0
    for level, (width, depth) in enumerate(zip(network.channels, network.blocks, strict=True)):
        if level:
            voxels /= math.prod(network.strides[level - 1])
        rows += voxels * share * width * (0.5 + 0.5 * depth)
    kept = (inputs + KEPT[network.name] * rows) * BYTES / 2**20
    return PROCESS_MIB + WORKSPACE_MIB[network.name] + kept
