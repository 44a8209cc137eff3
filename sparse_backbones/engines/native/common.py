"""The base class of layers, and what turns a number or a list into one number per axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.regions import IntOrInts, to_ints


class MinkowskiModuleBase(nn.Module):
    """The base class of the layers that MinkowskiEngine derives from it: `isinstance` tells the same ones."""


def convert_to_int_list(arg: IntOrInts | Tensor, dimension: int) -> list[int]:
    """One int per spatial dimension, from one for all or one for each."""
    return to_ints(arg, dimension, "arg")


def convert_to_int_tensor(arg: IntOrInts | Tensor, dimension: int) -> Tensor:
    """As `convert_to_int_list`, as int32 (dimension,)."""
    return torch.tensor(convert_to_int_list(arg, dimension), dtype=torch.int32)
