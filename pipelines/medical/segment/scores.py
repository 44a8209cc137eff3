"""Class probabilities from the networks of a model, averaged over its members and over flips."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from pipelines.common.precision import autocast
from pipelines.medical.flips import flips
from pipelines.medical.model.networks import Network, VoxelUNet


class Scorer:
    """Asks every member, on the image as it is and mirrored, and averages the probabilities.

    mirror: the axes whose flips are averaged, in all combinations.
    """

    def __init__(
        self,
        members: Sequence[Network],
        device: torch.device,
        *,
        mirror: Sequence[str] = (),
        precision: str = "auto",
    ) -> None:
        self.members, self.device = tuple(members), device
        self.flips = flips(mirror)
        # auto is float32: half precision may turn a voxel at a border, and not on every machine alike.
        self.precision = "bfloat16" if precision == "bfloat16" else "float32"

    @property
    def sparse(self) -> bool:
        """Whether all members compute on active voxels alone."""
        return all(isinstance(one, VoxelUNet) for one in self.members)

    @torch.inference_mode()
    def grids(self, images: Tensor, active: Tensor | None) -> Tensor:
        """Probabilities float32 (B, K, X, Y, Z). images: (B, C, X, Y, Z). active: bool (B, X, Y, Z)."""
        images = images.to(self.device)
        active = active if active is None else active.to(self.device)
        found = None
        for flip in self.flips:
            axes = [2 + axis for axis in flip]
            turned = images.flip(axes) if axes else images
            where = active if active is None or not axes else active.flip([axis - 1 for axis in axes])
            for member in self.members:
                context = (
                    nullcontext() if isinstance(member, VoxelUNet) else autocast(self.precision, self.device)
                )
                with context:
                    logits = member(turned, where)[0]
                one = _softmax(logits.float())
                one = one.flip(axes) if axes else one
                found = one if found is None else found.add_(one)
        assert found is not None
        return self._mean(found)

    @torch.inference_mode()
    def sites(self, rows: Tensor, places: Tensor, extent: Sequence[int]) -> Tensor:
        """Probabilities float32 (N, K) of active voxels, in their order.

        rows: float32 (N, C). places: int (N, 3), within a grid of `extent`, whose sides are multiples of the
        network's total stride, so that flipped cells are cells too.
        """
        rows = rows.to(self.device)
        found = None
        for flip in self.flips:
            coordinates = torch.zeros(len(places), 4, dtype=torch.int32)
            coordinates[:, 1:] = places
            for axis in flip:
                coordinates[:, 1 + axis] = extent[axis] - 1 - coordinates[:, 1 + axis]
            for member in self.members:
                assert isinstance(member, VoxelUNet)
                one = _softmax(member.sites(rows, coordinates.to(self.device))[0].F)
                found = one if found is None else found.add_(one)
        assert found is not None
        return self._mean(found)

    def _mean(self, total: Tensor) -> Tensor:
        count = len(self.flips) * len(self.members)
        return total.div_(count) if count > 1 else total


def _softmax(logits: Tensor) -> Tensor:
    """Over axis 1, in place: with many labels the scores are the largest thing in memory."""
    logits.sub_(logits.amax(1, keepdim=True)).exp_()
    return logits.div_(logits.sum(1, keepdim=True))
