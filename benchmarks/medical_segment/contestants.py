"""Ways to segment one prepared volume. All get the same `Prepared` and give class indices on its own grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from monai.inferers.inferer import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor

from pipelines.medical.config import NetworkName, Plan
from pipelines.medical.model.networks import Network, VoxelUNet
from pipelines.medical.prepare import Prepared
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.scan import Scan, scan
from pipelines.medical.segment.scores import Scorer

MARGIN = 8  # voxels left around the brain where a user crops to it
CPU = torch.device("cpu")
MEMORY_MIB: int = SegmentConfig.model_fields["memory_mib"].default  # of a sparse network's blocks

Labels = NDArray[np.uint8]
Segment = Callable[[Prepared], Labels]


@dataclass(frozen=True, slots=True)
class Contestant:
    """by: `suite`, as `suite medical segment` goes through a volume; `monai`, with MONAI's sliding window;
    `network`, one pass of a sparse network over all active voxels. weights: of the training of which network,
    if not of its own. overlap: of tiles, whose weights are Gaussian where it is not 0. crop: to the box
    around the brain first.
    """

    network: NetworkName
    by: Literal["suite", "monai", "network"]
    precision: Literal["float32", "bfloat16"] = "float32"
    overlap: float = 0.5
    crop: bool = False
    weights: NetworkName | None = None

    def segment(self, network: Network, plan: Plan) -> Segment:
        """A function from a prepared volume to its label map, uint8 (I, J, K), in Fortran order."""
        if self.by == "monai":
            return self._monai(network, plan)
        if self.by == "network":
            assert isinstance(network, VoxelUNet)
            return at_once(network)
        scorer = Scorer([network], CPU, precision=self.precision)
        how = Scan(plan.network, 1 + len(plan.labels), plan.patch, self.overlap, 1, MEMORY_MIB)
        return lambda prepared: scan(prepared, scorer, how).classes

    def _monai(self, network: Network, plan: Plan) -> Segment:
        mode = "gaussian" if self.overlap else "constant"
        inferer = SlidingWindowInferer(plan.patch, sw_batch_size=1, overlap=self.overlap, mode=mode)
        half = self.precision == "bfloat16"

        @torch.inference_mode()
        def call(prepared: Prepared) -> Labels:
            images = prepared.images
            box = brain_box(prepared) if self.crop else (slice(None),) * 3
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                found: Any = inferer(images[(slice(None), *box)][None], lambda tiles: network(tiles)[0])
            labels = torch.zeros(images.shape[1:], dtype=torch.uint8)
            labels[box] = found[0].argmax(0).to(torch.uint8)
            return np.asfortranarray(prepared.from_canonical(labels.numpy()))

        return call


def at_once(network: VoxelUNet) -> Segment:
    """All active voxels in one pass, in the order of memory."""

    @torch.inference_mode()
    def call(prepared: Prepared) -> Labels:
        rows, coordinates = sites_of(prepared)
        found = network.sites(rows, coordinates)[0].F.argmax(1)
        labels = torch.zeros(prepared.images.shape[1:], dtype=torch.uint8)
        assert prepared.active is not None
        labels[prepared.active] = found.to(torch.uint8)
        return np.asfortranarray(prepared.from_canonical(labels.numpy()))

    return call


def sites_of(prepared: Prepared) -> tuple[Tensor, Tensor]:
    """Features float32 (N, C) and coordinates int32 (N, 4) of the active voxels, in the order of memory."""
    assert prepared.active is not None
    places = prepared.active.nonzero()
    x, y, z = places.unbind(1)
    coordinates = torch.zeros(len(places), 4, dtype=torch.int32)
    coordinates[:, 1:] = places
    return prepared.images[:, x, y, z].T.contiguous(), coordinates


def brain_box(prepared: Prepared) -> tuple[slice, slice, slice]:
    """The box around the active voxels, MARGIN voxels wider; the whole volume if there are none."""
    if prepared.active is None or not bool(prepared.active.any()):
        return (slice(None),) * 3
    places = prepared.active.nonzero()
    low, high = (places.amin(0) - MARGIN).tolist(), (places.amax(0) + 1 + MARGIN).tolist()
    x, y, z = (
        slice(max(0, first), min(side, last))
        for first, last, side in zip(low, high, prepared.active.shape, strict=True)
    )
    return x, y, z


SPARSE, DENSE = "sparse", "dense"
BFLOAT16 = ", bfloat16"  # ends the names of contestants in this format


def _both(name: str, one: Contestant) -> dict[str, Contestant]:
    """A dense contestant in both number formats."""
    return {name: one, name + BFLOAT16: replace(one, precision="bfloat16")}


# Each group is timed in turns, with `sparse` among them.
GROUPS: dict[str, dict[str, Contestant]] = {
    "suite": _both("dense", Contestant("dense-unet", "suite"))
    | _both("dense, no overlap", Contestant("dense-unet", "suite", overlap=0.0)),
    "cropped": _both("dense, MONAI, cropped", Contestant("dense-unet", "monai", crop=True))
    | _both("dense, MONAI, cropped, no overlap", Contestant("dense-unet", "monai", overlap=0.0, crop=True)),
    "MONAI": _both("dense, MONAI", Contestant("dense-unet", "monai"))
    | _both("DynUNet, MONAI", Contestant("dynunet", "monai")),
    "sparse": {
        "sparse, network alone": Contestant("sparse-unet", "network"),
        "sparse, weights trained dense": Contestant("sparse-unet", "suite", weights="dense-unet"),
    },
}
CONTESTANTS = {SPARSE: Contestant("sparse-unet", "suite")} | {
    name: one for group in GROUPS.values() for name, one in group.items()
}
