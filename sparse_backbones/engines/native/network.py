"""The base class of networks on sparse tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import nn


class MinkowskiNetwork(nn.Module, ABC):
    """A network over `D` spatial dimensions. A subclass defines `forward`."""

    def __init__(self, D: int) -> None:
        super().__init__()
        self.D = D

    @abstractmethod
    def forward(self, x: Any) -> Any: ...
