"""What all networks that count have in common: one way to train them, and one to ask them for counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pipelines.common.training.spread.world import ALONE, World

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB values from 0 to 1, as VGG16's public weights expect
DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """People in each block of `stride` x `stride` px.

    counts: float32 (B, h, w), the expected number of people; the sum over an image is its count. Networks of
        density maps may put a little below 0.
    variance: float32 (B, h, w) of the number in each block, or None for a network that does not say. Blocks
        are not independent, so the sum is no calibrated variance of the image's count.
    gate: bool (B, h, w), the blocks that a sparse decoder refined, or None.
    """

    counts: Tensor
    stride: int
    variance: Tensor | None = None
    gate: Tensor | None = None

    def cropped(self, height: int, width: int) -> Counts:
        """The blocks that begin within an image of this height and width in px."""
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        return Counts(
            self.counts[:, :rows, :columns],
            self.stride,
            None if self.variance is None else self.variance[:, :rows, :columns],
            None if self.gate is None else self.gate[:, :rows, :columns],
        )


class CrowdNetwork(nn.Module):
    """A network that counts.

    stride: side of the blocks of its map, in px. multiple: the sides of what it computes on are multiples of
    this, in px. smallest_batch: how many images a step of its training needs. world: the processes that train
    it, each with a part of a batch.
    """

    stride: int
    multiple: int
    smallest_batch: int = 1
    world: World = ALONE

    def target(self, points: ArrayLike, height: int, width: int) -> NDArray[np.float32]:
        """What one image is compared with in training: float32 (h, w) whose sum is the number of heads.

        points: (N, 2), x and y in px, within an image of this height and width.
        """
        raise NotImplementedError

    def losses(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """`loss`, which training minimises, and the parts that it is made of, all scalars: means over images.

        images: float32 (B, 3, H, W) from `as_input`, H and W multiples of `multiple`. target: float32
        (B, h, w), from `target` for each image.
        """
        raise NotImplementedError

    def block_counts(self, images: Tensor) -> Counts:
        """Counts of images whose sides are multiples of `multiple`; see `count`."""
        raise NotImplementedError

    def count(self, images: Tensor) -> Counts:
        """Counts of images of any size: float32 (B, 3, H, W) from `as_input`.

        The map has ceil(H / stride) x ceil(W / stride) blocks. Images are filled up at the right and at the
        bottom with their last pixels, since any other edge there can look like a head, and blocks that lie in
        that margin alone are left out.
        """
        check_images(images)
        height, width = images.shape[2:]
        return self.block_counts(filled_up(images, self.multiple)).cropped(height, width)

    def shared_weights(self) -> dict[str, Tensor]:
        """The weights as a model folder holds them."""
        return dict(self.state_dict())

    def load_shared(self, weights: dict[str, Tensor]) -> None:
        """Take weights from `shared_weights`. Raises RuntimeError or ValueError if they do not fit."""
        self.load_state_dict(weights)


def as_input(pixels: NDArray[np.uint8] | Tensor) -> Tensor:
    """Pixels as a network takes them: float32 (B, 3, H, W).

    pixels: uint8 (B, H, W, 3), RGB.
    """
    stack = torch.as_tensor(pixels)
    if stack.dtype != torch.uint8 or stack.ndim != 4 or stack.shape[3] != 3:
        raise ValueError(f"pixels must be uint8 (B, H, W, 3), not {stack.dtype} {tuple(stack.shape)}")
    # Whole rows at once: three numbers at a time are too few for a processor's vectors.
    width = stack.shape[2]
    mean, deviation = (
        (stack.new_tensor(one, dtype=torch.float32) * 255).repeat(width) for one in (MEAN, DEVIATION)
    )
    values = stack.float().flatten(2).sub_(mean).div_(deviation)
    # The result keeps the channels last in memory, which convolutions on a CPU are fastest with.
    return values.view(stack.shape).permute(0, 3, 1, 2)


def filled_up(images: Tensor, multiple: int) -> Tensor:
    """Images whose last column and row are repeated at the right and at the bottom up to multiples."""
    height, width = images.shape[2:]
    down, across = -height % multiple, -width % multiple
    return nn.functional.pad(images, (0, across, 0, down), "replicate") if down or across else images


def check_images(images: Tensor, multiple: int = 1) -> None:
    """Raises ValueError, naming the size to use, unless images are (B, 3, H, W) with sides of multiples."""
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 1:
        raise ValueError(f"images must have the shape (B, 3, H, W), not {tuple(images.shape)}")
    height, width = images.shape[2:]
    if height % multiple or width % multiple:
        larger = height + -height % multiple, width + -width % multiple
        raise ValueError(
            f"sides must be multiples of {multiple}, not {height} x {width}:"
            f" fill up to {larger[0]} x {larger[1]}"
        )
