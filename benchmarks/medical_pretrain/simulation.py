"""The dense simulation of sparse convolution that published code pretrains with, for the same network.

As in SparK's code (Tian et al., ICLR 2023): each convolution computes every voxel and is then multiplied by
the mask; each batch normalisation gathers the active voxels, normalises them, and puts them among zeros.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparse_backbones.convert import to_dense
from sparse_backbones.convert.grid import GridConv
from sparse_backbones.masked import MaskedAutoencoder
from sparse_backbones.masked.loss import cell_losses, masked_mean
from sparse_backbones.masked.masks import holding, spread

CHANNELS_LAST = torch.channels_last_3d


class Active:
    """Where something is visible, at every level: bool (B, *level) by the level's sides."""

    def __init__(self) -> None:
        self.levels: dict[tuple[int, ...], Tensor] = {}

    def set(self, visible: Tensor, strides: Sequence[tuple[int, ...]]) -> None:
        """visible: bool (B, X, Y, Z), voxels. Made once a step, where the published code makes it anew for
        every layer."""
        self.levels = {}
        for stride in strides:
            level = holding(visible, stride)
            self.levels[tuple(level.shape[1:])] = level

    def of(self, x: Tensor) -> Tensor:
        """That of the level that a grid (B, C, *level) belongs to."""
        return self.levels[tuple(x.shape[2:])]


class MaskedConvolution(nn.Module):
    """A dense convolution times the mask."""

    def __init__(self, convolution: nn.Module, active: Active) -> None:
        super().__init__()
        self.convolution, self.active = convolution, active

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.convolution(x)
        out *= self.active.of(out)[:, None]
        return out


class GatheredNorm(nn.Module):
    """Batch normalisation over the active voxels alone."""

    def __init__(self, norm: nn.BatchNorm1d, active: Active) -> None:
        super().__init__()
        self.norm, self.active = norm, active

    def forward(self, x: Tensor) -> Tensor:
        where = self.active.of(x)
        rows = x.movedim(1, -1)
        out = torch.zeros_like(rows)
        out[where] = self.norm(rows[where])
        return out.movedim(-1, 1)


class Simulation(nn.Module):
    """A masked autoencoder with a dense encoder; weights are copies of the sparse one's, the decoder too."""

    def __init__(self, model: MaskedAutoencoder) -> None:
        super().__init__()
        self.cell, self.strides, self.finest = model.cell, model.strides, model.finest
        self.normalised = model.normalised
        self.active = Active()
        self.encoder = self._masked(to_dense(model.encoder))
        self.norms = nn.ModuleList(
            self._masked(to_dense(densify.norm, dimension=3)) for densify in _levels(model)
        )
        self.tokens = nn.ParameterList(densify.token.detach().clone() for densify in _levels(model))
        self.projects = nn.ModuleList(copy.deepcopy(densify.project) for densify in _levels(model))
        self.decoder = copy.deepcopy(model.decoder)
        for parameter in self.parameters():
            if parameter.ndim == 5:
                parameter.data = parameter.data.contiguous(memory_format=CHANNELS_LAST)

    def loss(self, images: Tensor, mask: Tensor, valid: Tensor | None = None) -> Tensor:
        """As `MaskedAutoencoder.loss`."""
        inside = torch.ones_like(images[:, 0], dtype=torch.bool) if valid is None else valid
        visible = inside & ~spread(mask, self.cell)
        self.active.set(visible, self.strides)
        seen = (images * visible[:, None]).contiguous(memory_format=CHANNELS_LAST)
        skips = []
        levels = zip(self.encoder(seen)[self.finest :], self.norms, self.tokens, self.projects, strict=True)
        for level, (x, norm, token, project) in enumerate(levels, start=self.finest):
            hidden = ~self.active.of(x) & holding(inside, self.strides[level])
            skips.append(project(torch.where(hidden[:, None], token[:, None, None, None], norm(x))))
        losses = cell_losses(
            self.decoder(skips), images, mask, self.cell, valid=valid, normalised=self.normalised
        )
        counted = mask if valid is None else mask & holding(valid, self.cell)
        return masked_mean(losses, counted)

    def _masked(self, network: nn.Module) -> nn.Module:
        """The network with every convolution and norm in it replaced."""
        if isinstance(network, nn.Conv3d):
            return MaskedConvolution(network, self.active)
        if isinstance(network, GridConv):
            return MaskedConvolution(_tiling(network), self.active)
        if isinstance(network, nn.BatchNorm3d):
            rows = nn.BatchNorm1d(network.num_features, network.eps, network.momentum)
            rows.load_state_dict(network.state_dict())
            return GatheredNorm(rows.to(network.weight.dtype), self.active)
        for name, child in network.named_children():
            setattr(network, name, self._masked(child))
        return network


def _tiling(layer: GridConv) -> nn.Conv3d:
    """The same convolution without the padding that a kernel as large as its stride never reads."""
    outputs, inputs, x, y, z = layer.weight.shape
    plain = nn.Conv3d(inputs, outputs, (x, y, z), (x, y, z), bias=False)
    plain.weight = layer.weight
    return plain


def _levels(model: MaskedAutoencoder) -> list[Any]:
    return list(model.densify)
