"""Functions and layers between sparse and plain tensors, under the module name that MinkowskiEngine has."""

from sparse_backbones.engines.native.modules.ops import (
    MinkowskiStackCat,
    MinkowskiStackMean,
    MinkowskiStackSum,
    MinkowskiStackVar,
    MinkowskiToDenseTensor,
    MinkowskiToFeature,
    MinkowskiToSparseTensor,
    dense_coordinates,
    mean,
    to_sparse,
    to_sparse_all,
    var,
)
from sparse_backbones.engines.native.modules.ops import sum as _sum
from sparse_backbones.engines.native.modules.pointwise import MinkowskiLinear
from sparse_backbones.engines.native.tensor import cat

__all__ = [
    "MinkowskiLinear",
    "MinkowskiStackCat",
    "MinkowskiStackMean",
    "MinkowskiStackSum",
    "MinkowskiStackVar",
    "MinkowskiToDenseTensor",
    "MinkowskiToFeature",
    "MinkowskiToSparseTensor",
    "_sum",
    "cat",
    "dense_coordinates",
    "mean",
    "to_sparse",
    "to_sparse_all",
    "var",
]
