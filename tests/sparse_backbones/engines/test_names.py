"""Every public name of MinkowskiEngine 0.5.4 against the native engine: parameters, defaults, members."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from types import MemberDescriptorType, ModuleType
from typing import Any

import pytest
import torch
from torch import nn

# What differs, and why. Everything else must be the same, and nothing here may be the same.
NOT_THERE = {
    "MinkowskiNetwork.init": "calls methods that no longer exist",
    "SparseTensor.initialize_coordinates": "a step of the constructor",
}
OTHER_PARAMETERS = {
    "KernelRegion": "its constructor fails for any arguments",
    "MinkowskiAdaptiveLogSoftmaxWithLoss.forward": "takes no target, without which it fails",
    "MinkowskiMaxPooling": "the native kernel_size may be left out, as for MinkowskiAvgPooling",
    "MinkowskiStableInstanceNorm.forward": "it fails, and calls the input x",
    "MinkowskiSumPooling": "the native kernel_size may be left out, as for MinkowskiAvgPooling",
}
# Objects of the Function classes, which the layers hold there, and layers of the one that fails.
HELPERS = {"broadcast", "conv", "inst_norm", "interp", "pooling", "pruning", "union"}
HELPERS |= {"mean_in", "glob_mean", "glob_sum", "glob_sum2", "glob_times"}

# What `import` leaves in MinkowskiEngine's namespace.
IMPORTED = {"file_dir", "os", "sys", "torch", "warnings"}


def members(owner: Any) -> Iterator[str]:
    """Public names of the engine's own, without those of torch's and Python's classes, and without slots."""
    inherited = set()
    if isinstance(owner, type):
        for base in (nn.Module, torch.autograd.Function, enum.Enum, enum.IntEnum, tuple):
            inherited |= set(dir(base)) - {"forward"}
    for name in dir(owner):
        value = inspect.getattr_static(owner, name, None)
        if not name.startswith("_") and name not in inherited and not isinstance(value, MemberDescriptorType):
            yield name


def everything(engine: Any) -> dict[str, Any]:
    """By dotted name: the engine's names, and those of its classes, `utils` and MinkowskiFunctional."""
    found = {}
    for name in members(engine):
        value = found[name] = getattr(engine, name)
        if isinstance(value, type) or name in ("utils", "MinkowskiFunctional"):
            for member in members(value):
                found[f"{name}.{member}"] = getattr(value, member)
    return found


def wanted(engine: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in everything(engine).items()
        if name not in IMPORTED
        # An option's number, and how PyTorch runs a class that it differentiates itself.
        and not name.endswith((".value", "Function.forward", "Function.backward"))
        # What MinkowskiFunctional and utils import themselves.
        and not isinstance(value, ModuleType)
        and name not in ("MinkowskiFunctional.SparseTensor", "MinkowskiFunctional.TensorField")
    }


def parameters(value: Any) -> list[tuple[str, object]] | None:
    """Names and defaults, or None for what tells none: compiled code, options, and what calls through."""
    if isinstance(value, type) and issubclass(value, (enum.Enum, torch.autograd.Function)):
        return None
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in found):
        return None
    # For "not given" one engine has -1 where the other has None. Neither is a dimension.
    return [
        (p.name, None if p.name == "dimension" and p.default in (None, -1) else str(p.default)) for p in found
    ]


def test_no_name_is_missing(native: ModuleType, minkowski: ModuleType) -> None:
    ours = everything(native)
    # Names that a class keeps in its instances are compared below.
    missing = {name for name in wanted(minkowski) if name not in ours}
    assert missing == set(NOT_THERE)


def test_parameters_have_the_same_names_order_and_defaults(native: ModuleType, minkowski: ModuleType) -> None:
    ours = everything(native)
    compared, differing = 0, set()
    for name, value in wanted(minkowski).items():
        theirs = parameters(value) if callable(value) and name in ours else None
        # Where theirs takes whatever comes and ours does not, or the other way round, calls still fit.
        if theirs is None or parameters(ours[name]) is None or name.startswith("MinkowskiFunctional."):
            continue
        compared += 1
        if parameters(ours[name]) != theirs:
            differing.add(name)
    assert differing == set(OTHER_PARAMETERS)
    assert compared > 150


@pytest.mark.parametrize(
    "name",
    [
        "BroadcastMode",
        "CoordinateMapType",
        "GPUMemoryAllocatorType",
        "MinkowskiAlgorithm",
        "PoolingMode",
        "RegionType",
        "SparseTensorOperationMode",
        "SparseTensorQuantizationMode",
    ],
)
def test_options_have_the_same_members(native: ModuleType, minkowski: ModuleType, name: str) -> None:
    ours, theirs = getattr(native, name), getattr(minkowski, name)
    assert {key: value.value for key, value in ours.__members__.items()} == {
        key: value.value for key, value in theirs.__members__.items()
    }
    first, second = next(iter(ours)), next(iter(theirs.__members__.values()))
    assert str(first) == str(second)
    assert (first == first.value) == (second == second.value)


def instances(engine: Any) -> dict[str, Any]:
    """One of each kind of layer, and of what layers work on."""
    sites = torch.tensor([[0, 0, 0], [0, 1, 2], [1, 2, 2]], dtype=torch.int32)
    tensor = engine.SparseTensor(torch.rand(3, 2), sites)
    made = [
        engine.MinkowskiConvolution(1, 2, 3, dimension=2),
        engine.MinkowskiConvolutionTranspose(1, 2, 3, bias=True, dimension=2),
        engine.MinkowskiGenerativeConvolutionTranspose(1, 2, 2, 2, dimension=2),
        engine.MinkowskiChannelwiseConvolution(1, 3, bias=True, dimension=2),
        engine.MinkowskiAvgPooling(3, dimension=2),
        engine.MinkowskiMaxPooling(3, dimension=2),
        engine.MinkowskiSumPooling(3, dimension=2),
        engine.MinkowskiPoolingTranspose(2, 2, dimension=2),
        engine.MinkowskiGlobalMaxPooling(),
        engine.MinkowskiBatchNorm(3),
        engine.MinkowskiSyncBatchNorm(3),
        engine.MinkowskiInstanceNorm(3),
        engine.MinkowskiStableInstanceNorm(3),
        engine.MinkowskiLinear(1, 2),
        engine.MinkowskiPReLU(),
        engine.MinkowskiSinusoidal(1, 2),
        engine.MinkowskiPruning(),
        engine.MinkowskiUnion(),
        engine.MinkowskiInterpolation(),
        engine.MinkowskiBroadcastAddition(),
        engine.MinkowskiBroadcastConcatenation(),
        engine.MinkowskiToSparseTensor(),
        engine.MinkowskiToDenseTensor(),
        engine.MinkowskiToFeature(),
        engine.KernelGenerator(3, dimension=2),
        engine.TensorField(torch.rand(3, 2), sites.float()),
        tensor,
        tensor.coordinate_manager,
        tensor.coordinate_map_key,
    ]
    return {type(item).__name__: item for item in made}


def test_instances_have_the_same_members(native: ModuleType, minkowski: ModuleType) -> None:
    ours, theirs = instances(native), instances(minkowski)
    assert ours.keys() == theirs.keys()
    missing = {
        f"{kind}.{name}"
        for kind, item in theirs.items()
        for name in dir(item)
        if not name.startswith("_") and hasattr(item, name) and not hasattr(ours[kind], name)
    }
    assert {name for name in missing if name.split(".")[1] not in HELPERS} == {
        "SparseTensor.initialize_coordinates",
        # What `get_kernel` gave before.
        "KernelGenerator.cache",
    }


def test_layers_have_the_same_state_and_base(native: ModuleType, minkowski: ModuleType) -> None:
    ours, theirs = instances(native), instances(minkowski)
    for kind, item in theirs.items():
        if isinstance(item, nn.Module):
            shapes = {key: value.shape for key, value in item.state_dict().items()}
            assert {key: value.shape for key, value in ours[kind].state_dict().items()} == shapes, kind
            based = isinstance(item, minkowski.MinkowskiModuleBase)
            assert isinstance(ours[kind], native.MinkowskiModuleBase) == based, kind


def test_the_release_is_named(native: ModuleType, minkowski: ModuleType) -> None:
    assert native.__version__ == minkowski.__version__


def test_every_name_is_exported(native: ModuleType, minkowski: ModuleType) -> None:
    names = {name for name in wanted(minkowski) if "." not in name}
    assert names - set(native.__all__) == set()
