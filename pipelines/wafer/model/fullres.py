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
    features = np.ones((len(points), SITE_FEATURES), dtype=np.float32)
    features[:, 1:3] = points
    features[:, 3] = np.hypot(points[:, 0], points[:, 1])
    # Defects a little beyond the edge, as some tools report them, keep their place: sites may be negative.
    places = np.floor((points + 1) / 2 * resolution)
    limit = 4 * resolution
    sites = np.concatenate([number[:, None], np.clip(places, -limit, limit)], axis=1)
    extra = np.stack([np.log1p(counts) / 10, diameters / 300], axis=1)
    return DefectBatch(
        sites=torch.from_numpy(sites.astype(np.int32)),
        features=torch.from_numpy(features),
        extra=torch.from_numpy(extra.astype(np.float32)),
    )


class DefectNetwork(nn.Module):
    """A sparse ResNet whose stem takes defects at full resolution down by its strides.

    Defects at the very same site count once.
    """

    def __init__(
        self,
        engine: ModuleType,
        num_classes: int,
        *,
        stem_strides: Sequence[int] = (4, 4, 4, 2),
        stem_channels: Sequence[int] = (16, 16, 32, 32),
        channels: Sequence[int] = (32, 64, 96, 128),
        blocks: Sequence[int] = (1, 1, 1, 1),
        latent: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.sparse = engine.SparseTensor
        self.body = SparseResNet(
            engine,
            SITE_FEATURES,
            num_classes,
            stem_strides=stem_strides,
            stem_channels=stem_channels,
            channels=channels,
            blocks=blocks,
            latent=latent,
            dropout=dropout,
            extra=MAP_FEATURES,
        )

    def forward(self, batch: DefectBatch) -> tuple[Tensor, Tensor]:
        """Logits (B, num_classes) and latent (B, latent)."""
        logits, latent = self.body(self.sparse(batch.features, batch.sites), len(batch), batch.extra)
        return logits, latent
