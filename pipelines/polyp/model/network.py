"""From what is seen of a frame to a distribution over sizes in mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.common.media.record import Pixels
from pipelines.polyp.config import NetworkPlan
from pipelines.polyp.data.record import Box, Camera
from pipelines.polyp.model.distribution import middles
from pipelines.polyp.model.gates import FeatureGate
from pipelines.polyp.model.resnet import ResNet18
from pipelines.polyp.model.sites import Sites, sites_of
from pipelines.polyp.model.views import MEASURED, NUMBERS, Views, views
from pipelines.polyp.model.vit import ViT
from pipelines.polyp.size_bins import BINS
from sparse_backbones.blocks import Sparse
from sparse_backbones.resnet import SparseResNet

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as public weights expect
SITE_CHANNELS = 6
DEVIATION_MEASURED = 0.25  # of the logarithm of a measured size, before anything is learnt


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame as it is handed to `encode`. pixels: RGB uint8 (H, W, 3), only the optical field. box: of the
    lesion. mask: bool (H, W) or None. depth: float32 (H, W) in mm or None. estimated: whether a network
    estimated the depths."""

    pixels: Pixels
    box: Box
    mask: NDArray[np.bool_] | None = None
    depth: NDArray[np.float32] | None = None
    camera: Camera | None = None
    estimated: bool = False


class Sizer(nn.Module):
    """What all networks of sizes have in common: `encode` a frame, and give logits of bins for a batch."""

    plan: NetworkPlan

    def encode(self, seen: Seen) -> Views | Sites:
        """What this network needs of a frame, in NumPy, as small as it gets."""
        raise NotImplementedError

    def forward(self, batch: Sequence[Views | Sites]) -> Tensor:
        """Logits float32 (B, BINS) of the bins of `distribution`."""
        raise NotImplementedError


class DenseSizer(Sizer):
    """A backbone for each stream; their embeddings and the numbers of the camera meet in a hidden layer."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        names = [*plan.streams, *(["depth"] if plan.depth else [])]
        self.streams = nn.ModuleDict({name: _backbone(plan) for name in names})
        width = sum(_width(plan) for _ in names)
        self.hidden = Hidden(width, plan)

    def encode(self, seen: Seen) -> Views:
        depth = seen.depth if self.plan.depth else None
        return views(
            seen.pixels,
            seen.box,
            self.plan.side,
            camera=seen.camera,
            depth=depth,
            mask=seen.mask,
            estimated=seen.estimated,
        )

    def forward(self, batch: Sequence[Views | Sites]) -> Tensor:
        device = self.hidden.last.weight.device
        chosen = [one for one in batch if isinstance(one, Views)]
        found = []
        for name, backbone in self.streams.items():
            if name == "depth":
                images = _depths(chosen, self.plan.side).to(device)
            else:
                images = as_images(np.stack([getattr(one, name) for one in chosen])).to(device)
            found.append(backbone(images))
        numbers = torch.from_numpy(np.stack([one.numbers for one in chosen])).to(device)
        logits: Tensor = self.hidden(torch.cat(found, 1), numbers)
        return logits


class SparseSizer(Sizer):
    """A sparse residual network on the pixels of the lesion and its rim; its cost follows their number.

    gated: a gate after each stage and those of the hidden layer.
    """

    def __init__(self, plan: NetworkPlan, engine: ModuleType) -> None:
        super().__init__()
        self.plan, self.engine = plan, engine
        stem, *widths = plan.widths
        self.backbone = SparseResNet(
            engine,
            SITE_CHANNELS,
            1,
            dimension=2,
            stem_strides=(2,),
            stem_channels=(stem,),
            channels=widths or (stem,),
            blocks=plan.blocks[1:] or plan.blocks,
            latent=plan.hidden,
        )
        self.backbone.classifier = nn.Identity()  # type: ignore[assignment]  # only the latent is used
        if plan.gated:
            gated = [
                nn.Sequential(stage, SiteGate(engine, width))
                for stage, width in zip(self.backbone.stages, widths or (stem,), strict=True)
            ]
            self.backbone.stages = nn.Sequential(*gated)
        self.hidden = Hidden(plan.hidden, plan)

    def encode(self, seen: Seen) -> Sites:
        return sites_of(
            seen.pixels,
            seen.box,
            self.plan.side,
            rim=self.plan.rim,
            mask=seen.mask,
            camera=seen.camera,
            depth=seen.depth if self.plan.depth else None,
            estimated=seen.estimated,
        )

    def forward(self, batch: Sequence[Views | Sites]) -> Tensor:
        device = self.hidden.last.weight.device
        chosen = [one for one in batch if isinstance(one, Sites)]
        places = [
            np.concatenate([np.full((len(one.places), 1), number, np.int32), one.places], 1)
            for number, one in enumerate(chosen)
        ]
        features = torch.from_numpy(np.concatenate([one.features for one in chosen])).to(device)
        sites = self.engine.SparseTensor(features, torch.from_numpy(np.concatenate(places)).to(device))
        _, latent = self.backbone(sites, len(chosen))
        numbers = torch.from_numpy(np.stack([one.numbers for one in chosen])).to(device)
        logits: Tensor = self.hidden(latent, numbers)
        return logits


class SiteGate(nn.Module):
    """A gate on the channels of sites; where they are stays what it is."""

    def __init__(self, engine: ModuleType, channels: int) -> None:
        super().__init__()
        self.engine = engine
        self.gate = FeatureGate(channels)

    def forward(self, x: Sparse) -> Sparse:
        return self.engine.SparseTensor(
            self.gate(x.F), coordinate_map_key=x.coordinate_map_key, coordinate_manager=x.coordinate_manager
        )


class Hidden(nn.Module):
    """Embeddings (B, width) and numbers (B, NUMBERS) to logits, with a gate on each layer where gated.

    depth: what is learnt then is added to a Gaussian in the logarithm around the size that was measured, of
    which only the deviation is learnt, one for maps of depth and one for estimates; nothing is added where no
    size could be measured.
    """

    def __init__(self, width: int, plan: NetworkPlan) -> None:
        super().__init__()
        self.numbers = nn.Sequential(nn.Linear(NUMBERS, plan.hidden), nn.ReLU())
        self.before = FeatureGate(width + plan.hidden) if plan.gated else nn.Identity()
        self.first = nn.Linear(width + plan.hidden, plan.hidden)
        self.gate = FeatureGate(plan.hidden) if plan.gated else nn.Identity()
        self.last = nn.Linear(plan.hidden, BINS)
        self.measured = Measured() if plan.depth else None

    def forward(self, embedding: Tensor, numbers: Tensor) -> Tensor:
        joined = self.before(torch.cat([embedding, self.numbers(numbers)], 1))
        found: Tensor = self.last(self.gate(torch.relu(self.first(joined))))
        return found if self.measured is None else found.float() + self.measured(numbers)


class Measured(nn.Module):
    """Logits of the bins around the size that depths, outline and camera give."""

    middles: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Of maps, of estimates.
        self.log_deviations = nn.Parameter(torch.full((2,), DEVIATION_MEASURED).log())
        self.register_buffer("middles", middles().log(), persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """float32 (B, BINS), 0 where nothing was measured. numbers: float32 (B, NUMBERS), of `numbers_of`."""
        how, place = numbers[:, MEASURED, None], numbers[:, MEASURED + 1, None]
        of_maps, of_estimates = self.log_deviations.exp()
        away = (self.middles - place) / torch.where(how > 0, of_maps, of_estimates)
        return -0.5 * how.abs() * away.square()


def build_network(plan: NetworkPlan, engine: ModuleType) -> Sizer:
    """An untrained network of the plan. engine: what `sparse_backbones.engines.load` gave."""
    return SparseSizer(plan, engine) if plan.backbone == "sparse-resnet" else DenseSizer(plan)


def _backbone(plan: NetworkPlan) -> nn.Module:
    if plan.backbone == "vit-tiny":
        return ViT(plan.side, gated=plan.gated)
    return ResNet18(gated=plan.gated)


def _width(plan: NetworkPlan) -> int:
    return ViT.width if plan.backbone == "vit-tiny" else ResNet18.width


def as_images(pixels: Pixels) -> Tensor:
    """uint8 (B, side, side, 3) to float32 (B, 3, side, side), normalised as for ImageNet."""
    values = torch.from_numpy(pixels).float() / 255
    values = (values - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    return values.permute(0, 3, 1, 2)


def _depths(batch: Sequence[Views], side: int) -> Tensor:
    """Relative depths as three equal channels: float32 (B, 3, side, side); 0 where there is none."""
    empty = np.zeros((side, side), np.float32)
    maps = np.stack([empty if one.depth is None else one.depth for one in batch])
    return torch.from_numpy(maps)[:, None].expand(-1, 3, -1, -1).contiguous()
