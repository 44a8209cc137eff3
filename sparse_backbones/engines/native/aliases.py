"""MinkowskiEngine's module names, for projects that import them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

from sparse_backbones.engines.native import (
    MinkowskiFunctional,
    MinkowskiOps,
    common,
    enums,
    field,
    gpu,
    keys,
    manager,
    modes,
    modules,
    network,
    regions,
    tensor,
    utils,
)
from sparse_backbones.engines.native.base import FeaturesOnCoordinates
from sparse_backbones.engines.native.modules import (
    broadcast,
    channelwise,
    convolution,
    global_pooling,
    normalization,
    pointwise,
    pooling,
    resnet_block,
    senet_block,
    sites,
    sparse_matrix,
)
from sparse_backbones.engines.native.utils import collation, gradcheck, init, quantization

_NATIVE = "sparse_backbones.engines.native"

_FILES: dict[str, Sequence[ModuleType]] = {
    "MinkowskiBroadcast": [broadcast],
    "MinkowskiChannelwiseConvolution": [channelwise],
    "MinkowskiCommon": [common],
    "MinkowskiConvolution": [convolution],
    "MinkowskiCoordinateManager": [manager, gpu],
    "MinkowskiFunctional": [MinkowskiFunctional],
    "MinkowskiInterpolation": [sites],
    "MinkowskiKernelGenerator": [regions],
    "MinkowskiNetwork": [network],
    "MinkowskiNonlinearity": [pointwise],
    "MinkowskiNormalization": [normalization],
    "MinkowskiOps": [MinkowskiOps],
    "MinkowskiPooling": [pooling, global_pooling],
    "MinkowskiPruning": [sites],
    "MinkowskiSparseTensor": [tensor],
    "MinkowskiTensor": [enums, modes],
    "MinkowskiTensorField": [field],
    "MinkowskiUnion": [sites],
    "diagnostics": [gpu],
    "sparse_matrix_functions": [sparse_matrix],
}

# MinkowskiEngine puts its own folder at the end of sys.path, and its tests import these.
_FOLDERS: dict[str, ModuleType] = {
    "diagnostics": gpu,
    "modules": modules,
    "modules.resnet_block": resnet_block,
    "modules.senet_block": senet_block,
    "utils": utils,
    "utils.collation": collation,
    "utils.gradcheck": gradcheck,
    "utils.init": init,
    "utils.quantization": quantization,
    # The package has a function of this name.
    "utils.summary": import_module(f"{_NATIVE}.utils.summary"),
}


class _LastResort(MetaPathFinder, Loader):
    """Finds `utils` and its like where nothing else does, so that a project's own go first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FOLDERS or path:
            return None
        return spec_from_loader(fullname, self, is_package=hasattr(_FOLDERS[fullname], "__path__"))

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_own_names(_FOLDERS[module.__name__]))


def install() -> None:
    """See `install_as_minkowski` of the package."""
    native = sys.modules[_NATIVE]
    if sys.modules.get("MinkowskiEngine", native) is not native:
        raise RuntimeError("MinkowskiEngine itself is loaded already; call install_as_minkowski() before")
    for name, module in list(sys.modules.items()):
        if name == _NATIVE or name.startswith(f"{_NATIVE}."):
            sys.modules["MinkowskiEngine" + name.removeprefix(_NATIVE)] = module
    for name, sources in _FILES.items():
        made = _module(name, sources)
        sys.modules[f"MinkowskiEngine.{name}"] = made
        # Some files are called as the class in them, which stays what the attribute gives.
        if not hasattr(native, name):
            setattr(native, name, made)
        if name not in _FOLDERS:
            sys.modules.setdefault(name, made)
    vars(sys.modules["MinkowskiEngine.MinkowskiTensor"])["Tensor"] = FeaturesOnCoordinates
    backend = _module("MinkowskiEngineBackend", [])
    vars(backend)["_C"] = compiled = _module("MinkowskiEngineBackend._C", [enums, gpu, keys])
    compiled.__dict__.update(
        RegionType=regions.RegionType, quantize_np=quantization.quantize, quantize_th=quantization.quantize
    )
    sys.modules["MinkowskiEngineBackend"] = backend
    sys.modules["MinkowskiEngineBackend._C"] = compiled
    if not any(isinstance(finder, _LastResort) for finder in sys.meta_path):
        sys.meta_path.append(_LastResort())


def _module(name: str, sources: Sequence[ModuleType]) -> ModuleType:
    made = ModuleType(name, f"MinkowskiEngine's names of {name}.")
    for source in sources:
        vars(made).update(_own_names(source))
    return made


def _own_names(source: ModuleType) -> dict[str, object]:
    """Public names of a module, without what it imports from elsewhere."""
    return {
        name: value
        for name, value in vars(source).items()
        if name in getattr(source, "__all__", [])
        or (not name.startswith("_") and getattr(value, "__module__", "").startswith(_NATIVE))
    }
