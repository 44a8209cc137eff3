"""Maps of defect coordinates: every defect a sparse site at full resolution, and their network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparse_backbones.resnet import SparseResNet

# The stem takes the wafer down to at most this many cells across, whatever the resolution.
STEM_CELLS = 160
FAR_OUT = 2.0  # in radii of the wafer
SITE_FEATURES = 4
MAP_FEATURES = 2


@dataclass(frozen=True, slots=True)
class DefectBatch:
    """A batch of maps of defect coordinates.

    sites: int32 (N, 3), map, row and column of each defect; the wafer spans the resolution.
    features: float32 (N, SITE_FEATURES). extra: float32 (B, MAP_FEATURES).
    """

    sites: Tensor
    features: Tensor
    extra: Tensor

    def __len__(self) -> int:
        return len(self.extra)

    def with_a_site(self) -> DefectBatch:
        """This batch and one more map, of one site."""
        return DefectBatch(
            torch.cat([self.sites, self.sites.new_tensor([[len(self), 0, 0]])]),
            torch.cat([self.features, self.features.new_zeros(1, SITE_FEATURES)]),
            torch.cat([self.extra, self.extra.new_zeros(1, MAP_FEATURES)]),
        )

    def counts(self) -> list[int]:
        """How many defects each map has."""
        return torch.bincount(self.sites[:, 0], minlength=len(self)).tolist()

    def part(self, maps: Sequence[int]) -> DefectBatch:
        """The batch of these maps, numbered anew; `maps` rise."""
        chosen = torch.tensor(maps)
        kept = torch.isin(self.sites[:, 0], chosen)
        number = torch.searchsorted(chosen, self.sites[kept, :1].long()).int()
        return DefectBatch(
            torch.cat([number, self.sites[kept, 1:]], dim=1), self.features[kept], self.extra[chosen]
        )

    def to(self, device: torch.device) -> DefectBatch:
        return DefectBatch(self.sites.to(device), self.features.to(device), self.extra.to(device))


def encode_defects(
    defects: Sequence[NDArray[np.float64]], diameters_mm: Sequence[float], resolution: int
) -> DefectBatch:
    """Defects (N, 2) per map, in mm from the wafer's centre. resolution: sites across the wafer."""
    counts = np.array([len(each) for each in defects], dtype=np.int64)
    diameters = np.asarray(diameters_mm, dtype=np.float64)
    number = np.repeat(np.arange(len(counts)), counts)
    points = np.concatenate([*defects, np.zeros((0, 2))]) / (diameters[number, None] / 2)
    # Defects a little beyond the edge, as some tools report them, keep their place: sites may be negative.
    # What lies far out, by an error of the file, must not outweigh all others.
    points = np.clip(points, -FAR_OUT, FAR_OUT)
    features = np.ones((len(points), SITE_FEATURES), dtype=np.float32)
    features[:, 1:3] = points
    features[:, 3] = np.hypot(points[:, 0], points[:, 1])
    sites = np.concatenate([number[:, None], np.floor((points + 1) / 2 * resolution)], axis=1)
    extra = np.stack([np.log1p(counts) / 10, diameters / 300], axis=1)
    return DefectBatch(
        sites=torch.from_numpy(sites.astype(np.int32)),
        features=torch.from_numpy(features),
        extra=torch.from_numpy(extra.astype(np.float32)),
    )


def stem_strides(resolution: int) -> tuple[int, ...]:
    """Strides of 4, and of 2 at the end, that take `resolution` sites across to at most STEM_CELLS."""
    strides = []
    while resolution > STEM_CELLS:
        strides.append(4 if resolution > 2 * STEM_CELLS else 2)
        resolution = -(-resolution // strides[-1])
    return tuple(strides)


class DefectNetwork(nn.Module):
    """A sparse ResNet whose stem takes defects at full resolution down by its strides.

    resolution: sites across the wafer, from which the stem's strides follow. stem_channels: the last one goes
    for all further stem convolutions. Defects at the very same site count once.
    """

    def __init__(
        self,
        engine: ModuleType,
        num_classes: int,
        *,
        resolution: int,
        stem_channels: Sequence[int] = (16, 16, 32, 32),
        channels: Sequence[int] = (32, 64, 96, 128),
        blocks: Sequence[int] = (1, 1, 1, 1),
        latent: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.sparse = engine.SparseTensor
        strides = stem_strides(resolution)
        self.body = SparseResNet(
            engine,
            SITE_FEATURES,
            num_classes,
            stem_strides=strides,
            stem_channels=[stem_channels[min(i, len(stem_channels) - 1)] for i in range(len(strides))],
            channels=channels,
            blocks=blocks,
            latent=latent,
            dropout=dropout,
            extra=MAP_FEATURES,
        )

    def forward(self, batch: DefectBatch) -> tuple[Tensor, Tensor]:
        """Logits (B, num_classes) and latent (B, latent)."""
        if not len(batch.sites):
            # MinkowskiEngine 0.5.4 crashes on a tensor without sites.
            logits, latent = self(batch.with_a_site())
            return logits[:-1], latent[:-1]
        logits, latent = self.body(self.sparse(batch.features, batch.sites), len(batch), batch.extra)
        return logits, latent
