"""Where a network's last features are strong, for pictures that say what was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from pipelines.polyp.model.network import DenseSizer, Sizer, SparseSizer
from pipelines.polyp.model.resnet import ResNet18
from pipelines.polyp.model.vit import HEADS, ViT
from sparse_backbones.blocks import Sparse

GATED: Final = (
    "mean over channels of the last stage's features, each weighted by its gate, on the crop around the"
    " lesion"
)
PLAIN: Final = "mean over channels of the last stage's features, on the crop around the lesion"
ATTENTION: Final = (
    "attention of the class token in the last block, mean over heads, on the crop around the lesion; gates"
    " have no part in it"
)
SITES: Final = (
    "mean over channels of the last stage's features{}, on the pixels of the lesion and its rim; the network"
    " sees no others"
)


def described(network: Sizer) -> str:
    """What `feature_maps` gives for a network, in words; empty if it gives nothing."""
    if isinstance(network, SparseSizer):
        return SITES.format(", each weighted by its gate" if network.plan.gated else "")
    backbone = _crop_backbone(network)
    if isinstance(backbone, ResNet18):
        return GATED if len(backbone.gates) else PLAIN
    return ATTENTION if isinstance(backbone, ViT) else ""


@contextmanager
def feature_maps(network: Sizer) -> Iterator[list[Tensor]]:
    """A list that grows by maps float32 (B, h, w), on the CPU, with each batch that the network sees.

    Maps are of the square crop around the lesion. Those of a sparse network are of the square whose side is
    the frame's longer one and whose upper left corner is the frame's, NaN where the network has no site. Of a
    network that looks at the whole frame alone nothing comes.
    """
    found: list[Tensor] = []
    backbone = _crop_backbone(network)
    handle: Any = None
    if isinstance(network, SparseSizer):
        last = network.backbone.stages[-1]
        handle = last.register_forward_hook(_into(found, partial(_sites, side=network.plan.side)))
    elif isinstance(backbone, ResNet18):
        last = backbone.gates[-2] if len(backbone.gates) else backbone.get_submodule("layer4")
        handle = last.register_forward_hook(_into(found, _mean))
    elif isinstance(backbone, ViT):
        qkv = backbone.blocks[-1].get_submodule("attn.qkv")
        handle = qkv.register_forward_hook(_into(found, _attention))
    try:
        yield found
    finally:
        if handle is not None:
            handle.remove()


def _crop_backbone(network: Sizer) -> nn.Module | None:
    if isinstance(network, DenseSizer) and "crop" in network.streams:
        return network.streams["crop"]
    return None


def _into(found: list[Tensor], of: Callable[[Any], Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        found.append(of(output).detach().float().cpu())  # autocast makes products half again

    return hook


def _mean(features: Tensor) -> Tensor:
    """(B, C, h, w) to (B, h, w)."""
    return features.float().mean(1)


def _sites(x: Sparse, *, side: int) -> Tensor:
    """Sites of frames whose longer side is `side` px to (B, n, n), n cells of the sites' stride each."""
    places = x.C.long().cpu()
    stride = int(x.tensor_stride[0])
    cells = -(-side // stride)
    maps = torch.full((int(places[:, 0].max()) + 1, cells, cells), torch.nan)
    maps[places[:, 0], places[:, 1] // stride, places[:, 2] // stride] = x.F.detach().float().cpu().mean(1)
    return maps


def _attention(qkv: Tensor) -> Tensor:
    """Queries, keys and values (B, 1 + n * n, 3 C) to what the first query attends to, (B, n, n)."""
    batch, tokens, width = qkv.shape
    query, key, _ = qkv.float().reshape(batch, tokens, 3, HEADS, width // 3 // HEADS).permute(2, 0, 3, 1, 4)
    scale = query.shape[-1] ** -0.5
    weights = torch.softmax(scale * query[:, :, :1] @ key.transpose(-1, -2), -1)
    side = round((tokens - 1) ** 0.5)
    return weights.mean(1)[:, 0, 1:].reshape(batch, side, side)
