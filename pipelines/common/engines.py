"""The engine of sparse convolutions that a user asks for."""

from __future__ import annotations

from types import ModuleType

from pipelines.common.errors import UserError
from sparse_backbones import engines


def load_engine(name: str) -> ModuleType:
    """The engine's namespace. Raises UserError, with what to run, if it is not installed."""
    try:
        return engines.load(name)
    except ImportError as error:
        raise UserError(str(error)) from error
