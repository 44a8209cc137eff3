"""Networks by name. All take dense patches; ours share their weights, dense or sparse."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import torch
from torch import Tensor, nn

from pipelines.common.errors import UserError
from pipelines.medical.config import SWIN_STRIDE, NetworkPlan, Sides
from sparse_backbones.blocks import Sparse
from sparse_backbones.convert import load_dense, to_dense
from sparse_backbones.unet import SparseEncoder, SparseUNet

NO_SITE = -30.0  # the logit of every label but the background where nothing was computed
ENCODER = "encoder."


class DenseUNet(nn.Module):
    """The residual U-network of `sparse_backbones.unet` on every voxel."""

    def __init__(self, engine: ModuleType, plan: NetworkPlan, in_channels: int, classes: int) -> None:
        super().__init__()
        self._sparse = (
            _sparse_unet(engine, plan, in_channels, classes),
        )  # in a tuple: no part of the module
        self.core = _channels_last(to_dense(self._sparse[0]))

    def forward(self, images: Tensor, active: Tensor | None = None) -> list[Tensor]:
        """Logits (B, K, X, Y, Z), then those of the coarser heads. images: float32 (B, C, X, Y, Z).

        `active` is taken so that all networks are called alike; a dense network computes everywhere.
        """
        found: list[Tensor] = self.core(images.contiguous(memory_format=torch.channels_last_3d))
        return found

    def shared_weights(self) -> dict[str, Tensor]:
        """The weights under the names and in the layout of `SparseUNet`."""
        load_dense(self._sparse[0], self.core.state_dict())
        return dict(self._sparse[0].state_dict())

    def load_shared(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights that are named and laid out as those of `SparseUNet`."""
        sparse = self._sparse[0]
        sparse.load_state_dict(dict(weights))
        self.core.load_state_dict(to_dense(sparse).state_dict())


class VoxelUNet(nn.Module):
    """The same network on active voxels only."""

    def __init__(self, engine: ModuleType, plan: NetworkPlan, in_channels: int, classes: int) -> None:
        super().__init__()
        self.engine = engine
        self.classes = classes
        self.core = _sparse_unet(engine, plan, in_channels, classes)

    def forward(self, images: Tensor, active: Tensor | None = None) -> list[Tensor]:
        """Logits (B, K, X, Y, Z), then those of the coarser heads; background where `active` is False.

        images: float32 (B, C, X, Y, Z). active: bool (B, X, Y, Z); None is everywhere.
        """
        if active is None:
            active = torch.ones_like(images[:, 0], dtype=torch.bool)
        sites = active.nonzero()
        rows = images.movedim(1, -1)[active]
        if not len(sites):
            return [background(images, self.classes)]
        outputs = self.sites(rows, sites.int())
        found = []
        for one in outputs:
            stride = one.tensor_stride
            shape = [-(-side // step) for side, step in zip(images.shape[2:], stride, strict=True)]
            grid = background(images.new_empty(len(images), 1, *shape), self.classes)
            places = one.C.long()
            x, y, z = (places[:, 1 + axis] // stride[axis] for axis in range(3))
            found.append(grid.movedim(1, -1).index_put((places[:, 0], x, y, z), one.F).movedim(-1, 1))
        return found

    def sites(self, rows: Tensor, coordinates: Tensor) -> list[Sparse]:
        """Sparse tensors of logits, the finest first.

        rows: float32 (N, C). coordinates: int32 (N, 4), batch index, x, y, z, each once. The first output has
            their order.
        """
        found: list[Sparse] = self.core(self.engine.SparseTensor(rows, coordinates))
        return found

    def shared_weights(self) -> dict[str, Tensor]:
        """See `DenseUNet.shared_weights`."""
        return dict(self.core.state_dict())

    def load_shared(self, weights: Mapping[str, Tensor]) -> None:
        """See `DenseUNet.load_shared`."""
        self.core.load_state_dict(dict(weights))


class Peer(nn.Module):
    """A network of MONAI, for comparison; its weights are its own."""

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.core = core

    def forward(self, images: Tensor, active: Tensor | None = None) -> list[Tensor]:
        """Logits (B, K, X, Y, Z), in training with those of the coarser heads where the network has them."""
        found: Tensor = self.core(images)
        if found.ndim == images.ndim + 1:  # DynUNet stacks its heads, each resized to the finest
            return list(found.unbind(1))
        return [found]

    def shared_weights(self) -> dict[str, Tensor]:
        """The weights under MONAI's names."""
        return dict(self.core.state_dict())

    def load_shared(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights under MONAI's names."""
        self.core.load_state_dict(dict(weights))


Network = DenseUNet | VoxelUNet | Peer


def build_network(
    plan: NetworkPlan, *, in_channels: int, classes: int, patch: Sides, engine: ModuleType
) -> Network:
    """The network that the plan names, for `classes` labels with the background among them."""
    if plan.name == "dense-unet":
        return DenseUNet(engine, plan, in_channels, classes)
    if plan.name == "sparse-unet":
        return VoxelUNet(engine, plan, in_channels, classes)
    from monai.networks.nets.dynunet import DynUNet
    from monai.networks.nets.swin_unetr import SwinUNETR

    if plan.name == "dynunet":
        if len(plan.strides) < 2:
            raise UserError("dynunet needs three levels or more: give the plan at least two strides")
        strides = [(1, 1, 1), *plan.strides]
        kernels = [(3, 3, 3)] * len(strides)
        return Peer(
            DynUNet(
                3, in_channels, classes, kernels, strides, strides[1:], filters=plan.channels,
                deep_supervision=plan.heads > 1, deep_supr_num=max(1, plan.heads - 1), res_block=True,
            )
        )  # fmt: skip
    if any(side % SWIN_STRIDE for side in patch):
        raise UserError(f"swinunetr needs patches whose sides are multiples of {SWIN_STRIDE}, not {patch}")
    return Peer(SwinUNETR(in_channels, classes, feature_size=12 * max(1, plan.channels[0] // 12)))


def build_encoder(plan: NetworkPlan, *, in_channels: int, engine: ModuleType) -> SparseEncoder:
    """The encoder of our U-networks alone, as it is pretrained."""
    return SparseEncoder(
        engine, in_channels, channels=plan.channels, blocks=plan.blocks, strides=plan.strides
    )


def background(like: Tensor, classes: int) -> Tensor:
    """Logits (B, classes, X, Y, Z) of nothing but background. like: (B, any, X, Y, Z)."""
    found = like.new_full((len(like), classes, *like.shape[2:]), NO_SITE)
    found[:, 0] = 0.0
    return found


def _sparse_unet(engine: ModuleType, plan: NetworkPlan, in_channels: int, classes: int) -> SparseUNet:
    return SparseUNet(
        engine,
        in_channels,
        classes,
        channels=plan.channels,
        blocks=plan.blocks,
        strides=plan.strides,
        heads=min(plan.heads, max(1, len(plan.channels) - 1)),
    )


def _channels_last(network: nn.Module) -> nn.Module:
    """With the kernels in the layout in which a CPU convolves fastest: half the time of the default one."""
    for parameter in network.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return network
