"""The dtype that a layer computes in, without and under autocast."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

Method = TypeVar("Method", bound=Callable[..., Any])


def autocast_dtype(device: str) -> torch.dtype | None:
    """The dtype of torch.autocast on that type of device, or None where it is off."""
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return None


def matched(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Both as a product of the two takes them.

    Under torch.autocast they come in its dtype, but float64 stays, as in torch's own convolutions. Raises
    TypeError where the two dtypes differ then.
    """
    dtype = autocast_dtype(features.device.type)
    if dtype is not None:
        features, weights = (x if x.dtype is torch.float64 else x.to(dtype) for x in (features, weights))
    if features.dtype is not weights.dtype:
        raise TypeError(
            f"the features are {features.dtype} and the weights {weights.dtype}; convert one of them, "
            "or compute under torch.autocast"
        )
    return features, weights


def widened(features: Tensor) -> Tensor:
    """Features in float32 where their own dtype has fewer bits, which large sums and counts overflow."""
    return features.float() if features.dtype.itemsize < 4 else features


def without_autocast(method: Method) -> Method:
    """For the methods of an autograd function: what was given decides the dtype, also of a gradient.

    A gradient may be asked for under another autocast than the result was.
    """

    @wraps(method)
    def wrapped(ctx: Any, first: Tensor, *others: Any) -> Any:
        device = first.device.type
        if autocast_dtype(device) is None:
            return method(ctx, first, *others)
        with torch.autocast(device, enabled=False):
            return method(ctx, first, *others)

    return wrapped  # type: ignore[return-value]
