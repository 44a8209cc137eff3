"""The network, and batches of pictures for it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from pipelines.digits.data import Picture
from sparse_backbones.resnet import SparseResNet


def build(engine: ModuleType, num_classes: int) -> SparseResNet:
    """A small sparse ResNet. Its cost follows the strokes, not the size of the picture."""
    return SparseResNet(engine, 1, num_classes, channels=(16, 32), blocks=(1, 1), latent=32)


def batch(pictures: Sequence[Picture]) -> tuple[Tensor, Tensor]:
    """Sites int32 (N, 3), the picture's number first, and features float32 (N, 1)."""
    numbers = np.repeat(np.arange(len(pictures), dtype=np.int32), [len(one.sites) for one in pictures])
    sites = np.concatenate([one.sites for one in pictures])
    values = np.concatenate([one.values for one in pictures])
    return torch.from_numpy(np.column_stack([numbers, sites])), torch.from_numpy(values[:, None])
