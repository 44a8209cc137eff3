"""Which convolutions are measured on which sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Operation = Literal[
    "map", "first_forward", "forward", "forward_backward", "inference", "training_step", "memory"
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
CACHED: tuple[Operation, ...] = ("forward", "forward_backward")
NETWORK: tuple[Operation, ...] = ("inference", "training_step")

CHANNELS = (16, 32, 64, 128)
# What is not repeated for every width is measured at this one.
USUAL_CHANNELS = 32
# A forward pass beyond this is left out: with the slower engine, backward and repeats it would take minutes.
MOST_GFLOP = 95.0


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution of `channels` to as many. transposed: from the map of `stride` back to the finer one."""

    kernel: int
    channels: int
    stride: int = 1
    transposed: bool = False

    @property
    def shape(self) -> str:
        """As in names: `k3`, `k2s2`, `k2s2t`."""
        stride = f"s{self.stride}" if self.stride > 1 else ""
        return f"k{self.kernel}{stride}{'t' if self.transposed else ''}"

    @property
    def name(self) -> str:
        return f"{self.shape}_c{self.channels}"

    def gflop(self, pairs: int) -> float:
        """Of a forward pass: a multiplication and an addition per pair and pair of channels."""
        return 2e-9 * pairs * self.channels**2


SUBMANIFOLD = (3, 5)
# Kernel, stride, transposed.
RESAMPLING = ((2, 2, False), (3, 2, False), (2, 2, True))
RESAMPLED = ("3d_surface", "2d_clusters", "brain")


def layers(workload: str, channels: Sequence[int]) -> list[Layer]:
    """The convolutions with cached maps on a workload: resampling ones on some, at the usual width only."""
    found = [Layer(kernel, width) for kernel in SUBMANIFOLD for width in channels]
    if workload in RESAMPLED:
        width = USUAL_CHANNELS if USUAL_CHANNELS in channels else channels[0]
        found += [Layer(kernel, width, stride, back) for kernel, stride, back in RESAMPLING]
    return found
