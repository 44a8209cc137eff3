"""Local and global pooling over active sites."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.kernels import max_rows, sum_rows
from sparse_backbones.engines.native.maps import KernelMap
from sparse_backbones.engines.native.regions import IntOrInts, KernelGenerator
from sparse_backbones.engines.native.tensor import SparseTensor


def _average(features: Tensor, pairs: KernelMap) -> Tensor:
    counts = torch.bincount(pairs.out_rows, minlength=pairs.n_out).clamp_(min=1)
    return sum_rows(features, pairs) / counts[:, None]


class _Pooling(nn.Module):
    reduce = staticmethod(sum_rows)

    def __init__(
        self,
        kernel_size: IntOrInts,
        stride: IntOrInts = 1,
        dilation: IntOrInts = 1,
        kernel_generator: KernelGenerator | None = None,
        dimension: int = -1,
    ) -> None:
        super().__init__()
        self.kernel_generator = kernel_generator or KernelGenerator(
            kernel_size, stride, dilation, dimension=dimension
        )
        self.dimension = dimension

    def forward(self, input: SparseTensor) -> SparseTensor:
        if self.dimension != input.D:
            raise ValueError(f"a {self.dimension}D layer got a tensor of {input.D} spatial dimensions")
        manager = input.coordinate_manager
        key, pairs = manager.convolution_map(input.coordinate_map_key, self.kernel_generator, False)
        features = type(self).reduce(input.F, pairs.complete)
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=manager)


class MinkowskiSumPooling(_Pooling):
    """Sum over the active sites under the kernel."""


class MinkowskiAvgPooling(_Pooling):
    """Mean over the active sites under the kernel."""

    reduce = staticmethod(_average)


class MinkowskiMaxPooling(_Pooling):
    """Maximum over the active sites under the kernel."""

    reduce = staticmethod(max_rows)


class _GlobalPooling(nn.Module):
    reduce = staticmethod(sum_rows)

    def forward(self, input: SparseTensor) -> SparseTensor:
        """One site at the origin for each batch index that occurs, in rising order."""
        key, pairs = input.coordinate_manager.origin(input.coordinate_map_key)
        features = type(self).reduce(input.F, pairs)
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=input.coordinate_manager)


class MinkowskiGlobalSumPooling(_GlobalPooling):
    """Sum over all sites of a batch item."""


class MinkowskiGlobalAvgPooling(_GlobalPooling):
    """Mean over all sites of a batch item."""

    reduce = staticmethod(_average)


class MinkowskiGlobalMaxPooling(_GlobalPooling):
    """Maximum over all sites of a batch item."""

    reduce = staticmethod(max_rows)
