"""Die-level maps: failing dies as sparse sites on the wafer's own die grid, and their network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import ModuleType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.wafer.data.record import FAIL, NO_DIE
from pipelines.wafer.sheet import Sheet, portions
from sparse_backbones.blocks import ConvBlock, ResidualBlock
from sparse_backbones.resnet import SparseResNet

# Half widths, in dies, of the neighbourhoods whose share of failing dies every site is told.
REACHES = (1, 3)
SITE_FEATURES = 7 + 2 * len(REACHES)
MAP_FEATURES = 3


@dataclass(frozen=True, slots=True)
class DieBatch:
    """A batch of die-level maps.

    dies: int32 (N, 3), map, row and column of each failing die on the wafer's own grid.
    cells: int32 (N, 3), map, row and column of each failing die on a grid of fixed size that spans the wafer.
    features: float32 (N, SITE_FEATURES). extra: float32 (B, MAP_FEATURES).
    """

    dies: Tensor
    cells: Tensor
    features: Tensor
    extra: Tensor

    def __len__(self) -> int:
        return len(self.extra)

    def with_a_site(self) -> DieBatch:
        """This batch and one more map, of one failing die."""
        site = self.dies.new_tensor([[len(self), 0, 0]])
        return DieBatch(
            torch.cat([self.dies, site]),
            torch.cat([self.cells, site]),
            torch.cat([self.features, self.features.new_zeros(1, SITE_FEATURES)]),
            torch.cat([self.extra, self.extra.new_zeros(1, MAP_FEATURES)]),
        )

    def counts(self) -> list[int]:
        """How many failing dies each map has."""
        return torch.bincount(self.dies[:, 0], minlength=len(self)).tolist()

    def part(self, maps: Sequence[int]) -> DieBatch:
        """The batch of these maps, numbered anew; `maps` rise."""
        chosen = torch.tensor(maps)
        kept = torch.isin(self.dies[:, 0], chosen)
        number = torch.searchsorted(chosen, self.dies[kept, :1].long()).int()
        return DieBatch(
            torch.cat([number, self.dies[kept, 1:]], dim=1),
            torch.cat([number, self.cells[kept, 1:]], dim=1),
            self.features[kept],
            self.extra[chosen],
        )

    def to(self, device: torch.device) -> DieBatch:
        return DieBatch(*(getattr(self, name).to(device) for name in ("dies", "cells", "features", "extra")))


def crop(status: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of the grid (rows, cols) that holds dies; (0, 0) if there is none."""
    if status.size and status[0].any() and status[-1].any() and status[:, 0].any() and status[:, -1].any():
        return status
    rows = np.flatnonzero((status != NO_DIE).any(axis=1))
    if not len(rows):
        return status[:0, :0]
    cols = np.flatnonzero((status != NO_DIE).any(axis=0))
    return status[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]


def encode_dies(grids: Sequence[NDArray[np.uint8]], cells: int) -> DieBatch:
    """Grids (rows, cols) of die status, notch down, as a batch. cells: side of the fixed grid."""
    grids = [crop(grid) for grid in grids]
    some = [_encode(grids[part], part.start, cells) for part in portions(grids, max(REACHES))]
    if len(some) == 1:
        return some[0]
    nothing = torch.zeros(0, 3, dtype=torch.int32)
    start = DieBatch(nothing, nothing, torch.zeros(0, SITE_FEATURES), torch.zeros(0, MAP_FEATURES))
    return DieBatch(
        *(torch.cat([getattr(each, field.name) for each in [start, *some]]) for field in fields(DieBatch))
    )


def _encode(grids: Sequence[NDArray[np.uint8]], first: int, cells: int) -> DieBatch:
    """Cropped grids, of which the first has the number `first` in its batch."""
    sheet = Sheet.of(grids, max(REACHES))
    failing = np.bincount(sheet.item, minlength=len(grids))
    total = np.maximum([np.count_nonzero(grid != NO_DIE) for grid in grids], 1)
    extra = np.stack([failing / total, np.log(total) / 10, np.log1p(failing) / 10], axis=1, dtype=np.float32)
    scale = 2 / np.maximum(sheet.sizes.min(axis=1), 1) * 10
    features = np.empty((len(sheet.item), SITE_FEATURES), dtype=np.float32)
    # Position in the wafer's ellipse: says where the edge is whatever the size of the dies.
    features[:, 0] = sheet.x
    features[:, 1] = sheet.y
    features[:, 2] = np.hypot(sheet.x, sheet.y)
    features[:, 3:6] = extra[sheet.item]
    features[:, 6] = scale[sheet.item]
    for place, reach in enumerate(REACHES):
        fails, dies_near = (
            _box_sums(sheet, mask, reach) for mask in (sheet.status == FAIL, sheet.status != NO_DIE)
        )
        features[:, 7 + 2 * place] = fails / dies_near
        features[:, 8 + 2 * place] = dies_near / (2 * reach + 1) ** 2
    rows, cols = sheet.sizes[sheet.item].T
    return DieBatch(
        dies=_sites(first + sheet.item, sheet.row, sheet.col),
        cells=_sites(first + sheet.item, sheet.row * cells // rows, sheet.col * cells // cols),
        features=torch.from_numpy(features),
        extra=torch.from_numpy(extra),
    )


def _sites(*columns: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.stack(columns, axis=1, dtype=np.int32, casting="same_kind"))


def _box_sums(sheet: Sheet, mask: NDArray[np.bool_], reach: int) -> NDArray[np.float32]:
    """How many of `mask` on the sheet lie within `reach` rows and columns of each failing die (N,)."""
    # A byte holds them up to a reach of 7.
    sums = cv2.boxFilter(
        mask.view(np.uint8), -1, (2 * reach + 1,) * 2, normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return sheet.at(sums).astype(np.float32)


class DieNetwork(nn.Module):
    """Submanifold convolutions on the wafer's own die grid, then a sparse ResNet on a grid of fixed size.

    The first part sees dies as neighbours, so a scratch one die wide stays connected. Sites that share a cell
    of the fixed grid are averaged; from there on the scale is the wafer's, whatever its number of dies.
    """

    def __init__(
        self,
        engine: ModuleType,
        num_classes: int,
        *,
        native_channels: int = 32,
        native_blocks: int = 2,
        cells: int = 32,
        channels: Sequence[int] = (64, 96, 128),
        blocks: Sequence[int] = (1, 1, 1),
        latent: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.sparse = engine.SparseTensor
        self.average = engine.SparseTensorQuantizationMode.UNWEIGHTED_AVERAGE
        self.cells = cells
        self.stem = ConvBlock(engine, SITE_FEATURES, native_channels)
        self.native = nn.Sequential(
            *(ResidualBlock(engine, native_channels, native_channels) for _ in range(native_blocks))
        )
        self.body = SparseResNet(
            engine,
            native_channels + SITE_FEATURES,
            num_classes,
            channels=channels,
            blocks=blocks,
            latent=latent,
            dropout=dropout,
            extra=MAP_FEATURES,
        )

    def forward(self, batch: DieBatch) -> tuple[Tensor, Tensor]:
        """Logits (B, num_classes) and latent (B, latent)."""
        if not len(batch.dies):
            # MinkowskiEngine 0.5.4 crashes on a tensor without sites.
            logits, latent = self(batch.with_a_site())
            return logits[:-1], latent[:-1]
        dies = self.native(self.stem(self.sparse(batch.features, batch.dies)))
        wafer = self.sparse(
            torch.cat([dies.F, batch.features], dim=1),
            batch.cells,
            quantization_mode=self.average,
        )
        logits, latent = self.body(wafer, len(batch), batch.extra)
        return logits, latent
