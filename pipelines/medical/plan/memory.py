"""How much memory a training step takes, from the sizes of the network alone."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.medical.config import NetworkPlan

PROCESS_MIB = 450.0  # Python, torch and MONAI before any network
# Tensors of a level's width that a training step keeps per voxel of it, forward and backward, in float32;
# fitted to measured peaks of `dense-unet` and rounded up (tests/pipelines/medical/plan/test_memory.py).
KEPT_DENSE = 26.0
KEPT_SPARSE = 34.0
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
    sparse = network.name == "sparse-unet"
    voxels = float(batch_size)
    for side in patch:
        voxels *= side
    inputs = voxels * (in_channels + 4 * classes + 4)
    rows = 0.0
    share = occupancy if sparse else 1.0
    for level, width in enumerate(network.channels):
        if level:
            for step in network.strides[level - 1]:
                voxels /= step
        rows += voxels * share * width * (0.5 + 0.5 * network.blocks[level])
    kept = KEPT_SPARSE if sparse else KEPT_DENSE
    return PROCESS_MIB + (inputs + kept * rows) * BYTES / 2**20
