"""Sparse-convolution engines, all under MinkowskiEngine's names."""

from __future__ import annotations

import importlib
from types import ModuleType

ENGINES = {
    "native": "sparse_backbones.engines.native",
    "minkowski": "sparse_backbones.engines.minkowski",
}


def load(name: str = "auto") -> ModuleType:
    """The engine's namespace (`SparseTensor`, `MinkowskiConvolution`, ...).

    name: `native` (our own, always there), `minkowski` (MinkowskiEngine, if installed) or `auto`,
        which is native.
    """
    if name == "auto":
        name = "native"
    if name not in ENGINES:
        raise ValueError(f"unknown engine {name!r}; choose auto, {', '.join(ENGINES)}")
    return importlib.import_module(ENGINES[name])
