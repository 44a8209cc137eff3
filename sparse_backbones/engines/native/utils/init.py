"""Initialization of sparse kernels."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Fills a kernel (K, Cin, Cout), or a matrix (out, in), in place (He et al., 2015)."""
    if tensor.ndim == 2:
        fans = {"fan_in": tensor.shape[1], "fan_out": tensor.shape[0]}
    elif tensor.ndim == 3:
        fans = {"fan_in": tensor.shape[0] * tensor.shape[1], "fan_out": tensor.shape[0] * tensor.shape[2]}
    else:
        raise ValueError(f"a kernel has the shape (K, Cin, Cout) or (out, in), not {tuple(tensor.shape)}")
    if mode.lower() not in fans:
        raise ValueError(f"mode must be fan_in or fan_out, not {mode!r}")
    gain = torch.nn.init.calculate_gain(nonlinearity, a)  # type: ignore[arg-type]
    with torch.no_grad():
        return tensor.normal_(0, gain / math.sqrt(fans[mode.lower()]))
