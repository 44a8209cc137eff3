"""The masked autoencoder: a sparse encoder on the visible voxels, and what rebuilds the hidden ones."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from sparse_backbones.blocks import Sparse
from sparse_backbones.masked.decoder import Densify, LightDecoder
from sparse_backbones.masked.loss import cell_losses, masked_mean
from sparse_backbones.masked.masks import holding, spread
from sparse_backbones.unet import SparseEncoder, Stride, per_axis

_LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


class MaskedAutoencoder(nn.Module):
    """SparK (Tian et al., ICLR 2023) with sparse convolution: hidden voxels are no sites, from the start.

    encoder: what is pretrained; its parameters are found under `encoder.`. The rest is thrown away after.
    cell: voxels of a cell per axis, which is hidden as a whole; a multiple of the encoder's `total_stride`,
        by default that itself.
    width: channels of the decoder at the coarsest level, halved at each finer one; by default half of those
        of the encoder.
    finest: the finest level that the decoder works at and has as a skip. By default 1: nothing dense is
        computed at full resolution, where most of the cost would be.
    normalised: see `loss.cell_losses`.

    images: float (B, C, *spatial), sides multiples of `cell`. mask: bool (B, *cells), True is hidden.
    valid: bool (B, *spatial), False where there is no image, as in padding: no site, no loss; None is
    everywhere. Raises ValueError for sizes that do not fit.
    """

    def __init__(
        self,
        engine: ModuleType,
        encoder: SparseEncoder,
        *,
        cell: Stride | None = None,
        width: int | None = None,
        finest: int | None = None,
        normalised: bool = True,
    ) -> None:
        super().__init__()
        dimension, channels = encoder.dimension, encoder.channels
        self.cell = per_axis(encoder.total_stride if cell is None else cell, dimension)
        if any(side % step for side, step in zip(self.cell, encoder.total_stride, strict=True)):
            raise ValueError(
                f"a cell must be a multiple of the encoder's total stride {encoder.total_stride}, "
                f"not {self.cell}"
            )
        self.finest = min(1, len(channels) - 1) if finest is None else finest
        if not 0 <= self.finest < len(channels):
            raise ValueError(f"finest must be 0 to {len(channels) - 1}, not {finest}")
        self.normalised = normalised
        self.in_channels = int(encoder.stem.conv.in_channels)
        self.engine_tensor = engine.SparseTensor
        self.encoder = encoder
        self.strides = _strides(encoder)
        kept = range(self.finest, len(channels))
        width = max(1, channels[-1] // 2) if width is None else width
        widths = [max(1, width >> (kept[-1] - level)) for level in kept]
        self.densify = nn.ModuleList(
            Densify(engine, channels[level], wide, kernel=1 if level == kept[-1] else 3, dimension=dimension)
            for level, wide in zip(kept, widths, strict=True)
        )
        self.decoder = LightDecoder(
            self.in_channels,
            widths=widths,
            strides=encoder.strides[self.finest :],
            first=self.strides[self.finest],
            dimension=dimension,
        )
        # A CPU convolves dense grids much faster with the channels last.
        for parameter in (*self.decoder.parameters(), *self.densify.parameters()):
            if parameter.ndim == 2 + dimension:
                parameter.data = parameter.data.contiguous(memory_format=_LAYOUTS[dimension])

    def valid_cells(self, images: Tensor, valid: Tensor | None = None) -> Tensor:
        """Which cells hold a valid voxel, bool (B, *cells): those that a mask may hide."""
        self._check(images, valid)
        inside = torch.ones_like(images[:, 0], dtype=torch.bool) if valid is None else valid
        return holding(inside, self.cell)

    def encode(self, images: Tensor, mask: Tensor | None = None, valid: Tensor | None = None) -> list[Sparse]:
        """The encoder's features of every level, the finest first, from the visible voxels alone.

        No mask hides nothing. Raises ValueError if nothing is visible.
        """
        self._check(images, valid, mask)
        visible = torch.ones_like(images[:, 0], dtype=torch.bool) if valid is None else valid
        if mask is not None:
            visible = visible & ~spread(mask, self.cell)
        sites = visible.nonzero()
        if not len(sites):
            raise ValueError(
                "nothing is visible: hide fewer cells, or leave out images without a valid voxel"
            )
        rows = images.movedim(1, -1)[visible]
        found: list[Sparse] = self.encoder(self.engine_tensor(rows, sites.int().contiguous()))
        return found

    def forward(self, images: Tensor, mask: Tensor, valid: Tensor | None = None) -> Tensor:
        """The whole image rebuilt, (B, C, *spatial); its normalised cells if the model is `normalised`."""
        features = self.encode(images, mask, valid)[self.finest :]
        return self.decode(features, images, valid)

    def decode(self, features: Sequence[Sparse], images: Tensor, valid: Tensor | None = None) -> Tensor:
        """The image from the encoder's features, of the levels from `finest` on.

        Of `images` only the shape counts.
        """
        skips = []
        for densify, x, stride in zip(self.densify, features, self.strides[self.finest :], strict=True):
            if valid is None:
                shape = [side // step for side, step in zip(images.shape[2:], stride, strict=True)]
                inside = torch.ones(len(images), *shape, dtype=torch.bool, device=images.device)
            else:
                inside = holding(valid, stride)
            skips.append(densify(x, inside))
        rebuilt: Tensor = self.decoder(skips)
        return rebuilt

    def losses(self, images: Tensor, mask: Tensor, valid: Tensor | None = None) -> Tensor:
        """The squared error of each hidden cell, (B, *cells), 0 elsewhere; see `loss.cell_losses`."""
        rebuilt = self(images, mask, valid)
        return cell_losses(rebuilt, images, mask, self.cell, valid=valid, normalised=self.normalised)

    def loss(self, images: Tensor, mask: Tensor, valid: Tensor | None = None) -> Tensor:
        """The mean of `losses` over the hidden cells that hold a valid voxel."""
        counted = mask if valid is None else mask & holding(valid, self.cell)
        return masked_mean(self.losses(images, mask, valid), counted)

    def _check(self, images: Tensor, valid: Tensor | None, mask: Tensor | None = None) -> None:
        sides = images.shape[2:]
        if images.ndim != 2 + self.encoder.dimension or images.shape[1] != self.in_channels:
            raise ValueError(
                f"images must have the shape (B, {self.in_channels}, and {self.encoder.dimension} sides), "
                f"not {tuple(images.shape)}"
            )
        if any(side % step for side, step in zip(sides, self.cell, strict=True)):
            fits = tuple(-(-side // step) * step for side, step in zip(sides, self.cell, strict=True))
            raise ValueError(
                f"the sides {tuple(sides)} are no multiples of the cell {self.cell}: pad them to {fits},"
                " and say by `valid` what is padding"
            )
        cells = tuple(side // step for side, step in zip(sides, self.cell, strict=True))
        for name, given, shape in (("valid", valid, tuple(sides)), ("mask", mask, cells)):
            if given is not None and (given.dtype != torch.bool or given.shape != (len(images), *shape)):
                raise ValueError(
                    f"{name} must be bool of shape {(len(images), *shape)}, "
                    f"not {given.dtype} of {tuple(given.shape)}"
                )


def _strides(encoder: SparseEncoder) -> list[tuple[int, ...]]:
    """By how much each level is coarser than the input."""
    found = [(1,) * encoder.dimension]
    for stride in encoder.strides:
        found.append(tuple(a * b for a, b in zip(found[-1], stride, strict=True)))
    return found
