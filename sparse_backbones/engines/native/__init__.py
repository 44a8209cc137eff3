"""Sparse convolution in plain PyTorch under MinkowskiEngine's names.

`import sparse_backbones.engines.native as ME` runs code written for MinkowskiEngine.
"""

from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.modules.convolution import (
    MinkowskiConvolution,
    MinkowskiConvolutionTranspose,
)
from sparse_backbones.engines.native.modules.pointwise import (
    MinkowskiBatchNorm,
    MinkowskiCELU,
    MinkowskiDropout,
    MinkowskiELU,
    MinkowskiGELU,
    MinkowskiLeakyReLU,
    MinkowskiLinear,
    MinkowskiPReLU,
    MinkowskiReLU,
    MinkowskiReLU6,
    MinkowskiRReLU,
    MinkowskiSELU,
    MinkowskiSigmoid,
    MinkowskiSiLU,
    MinkowskiTanh,
)
from sparse_backbones.engines.native.modules.pooling import (
    MinkowskiAvgPooling,
    MinkowskiGlobalAvgPooling,
    MinkowskiGlobalMaxPooling,
    MinkowskiGlobalSumPooling,
    MinkowskiMaxPooling,
    MinkowskiSumPooling,
)
from sparse_backbones.engines.native.regions import KernelGenerator, RegionType
from sparse_backbones.engines.native.tensor import SparseTensor, SparseTensorQuantizationMode, cat

__all__ = [
    "CoordinateManager",
    "CoordinateMapKey",
    "KernelGenerator",
    "MinkowskiAvgPooling",
    "MinkowskiBatchNorm",
    "MinkowskiCELU",
    "MinkowskiConvolution",
    "MinkowskiConvolutionTranspose",
    "MinkowskiDropout",
    "MinkowskiELU",
    "MinkowskiGELU",
    "MinkowskiGlobalAvgPooling",
    "MinkowskiGlobalMaxPooling",
    "MinkowskiGlobalSumPooling",
    "MinkowskiLeakyReLU",
    "MinkowskiLinear",
    "MinkowskiMaxPooling",
    "MinkowskiPReLU",
    "MinkowskiRReLU",
    "MinkowskiReLU",
    "MinkowskiReLU6",
    "MinkowskiSELU",
    "MinkowskiSiLU",
    "MinkowskiSigmoid",
    "MinkowskiSumPooling",
    "MinkowskiTanh",
    "RegionType",
    "SparseTensor",
    "SparseTensorQuantizationMode",
    "cat",
]
