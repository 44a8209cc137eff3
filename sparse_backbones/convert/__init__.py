"""Sparse networks as dense ones with equal outputs on a full grid, and their weights back.

`to_dense` makes the dense network, `load_dense` takes its weights back. See docs/convert.md.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sparse_backbones.blocks import PooledRows
from sparse_backbones.convert.boxes import Refusal
from sparse_backbones.convert.grid import PooledGrid, Stacked
from sparse_backbones.convert.leaves import BASES, FUNCTIONS, REASONS, RULES, STACKS, Leaf, Setting, Slot
from sparse_backbones.engines import native

__all__ = ["load_dense", "to_dense"]

# What goes back to the finer grid that was there on the way down.
_UPWARD = ("MinkowskiConvolutionTranspose", "MinkowskiPoolingTranspose")

Network = TypeVar("Network", bound=nn.Module)


def to_dense(network: nn.Module, *, dimension: int | None = None) -> nn.Module:
    """A copy of the network whose layers act on dense tensors (B, C, *spatial).

    On a full grid, one with a site at every cell, outputs, gradients and batch statistics are those of the
    sparse network. Every sparse layer becomes one of torch.nn, or of `sparse_backbones.convert.grid` where
    torch has none. All other modules are copied as they are, so a `forward` that calls layers and operators
    alone keeps working; an engine's `cat`, `sum`, `mean` or `var` kept as an attribute is replaced too.
    Nothing is shared with the network given. Its mode, dtype, device and frozen parameters are kept.

    dimension: number of spatial dimensions, for a network in which no layer says it.

    Raises ValueError, naming the layer and the reason, where there is no dense counterpart.
    """
    layers, leaves = _leaves(network, dimension)
    memo: dict[int, Any] = {}
    # Inner modules first, so that a stack finds its layers.
    for path, module in reversed(list(network.named_modules())):
        if path in leaves:
            memo[id(module)] = _filled(leaves[path], module)
        elif layers.get(path) in STACKS:
            inner = {name: copy.deepcopy(child, memo) for name, child in module.named_children()}
            memo[id(module)] = Stacked(STACKS[layers[path]], inner).train(module.training)
    dense: nn.Module = copy.deepcopy(network, memo)
    functions = [(getattr(engine, name), made) for engine in _engines() for name, made in FUNCTIONS.items()]
    for module in dense.modules():
        for name, value in list(vars(module).items()):
            for function, made in functions:
                if value is function:
                    setattr(module, name, made)
    return dense


def load_dense(
    network: Network, dense: nn.Module | Mapping[str, Tensor], *, dimension: int | None = None
) -> Network:
    """Puts the weights of a dense network into the sparse network that it was made from, and returns that.

    dense: what `to_dense(network)` gave, or its `state_dict`.

    Raises ValueError, and changes nothing, if names or shapes do not match, or if a kernel has weights other
    than 0 at places that the sparse kernel lacks.
    """
    state = dict(dense.state_dict() if isinstance(dense, nn.Module) else dense)
    _, leaves = _leaves(network, dimension)
    paths = {id(module): path for path, module in network.named_modules()}
    slots: dict[str, tuple[str, Slot]] = {}
    for path, module in network.named_modules(remove_duplicate=False):
        first = paths[id(module)]
        if first in leaves:
            prefix = f"{path}." if path else ""
            for slot in leaves[first].slots:
                slots[prefix + slot.sparse] = prefix + slot.dense, slot
    made = {}
    for name, value in network.state_dict().items():
        key, slot = slots.get(name, (name, Slot(name, name)))
        if key not in state:
            raise ValueError(f"the dense weights lack {key!r}, from which {name!r} is made")
        given = state.pop(key)
        shape = slot.there(value).shape
        if given.shape != shape:
            raise ValueError(f"{key!r} must have the shape {tuple(shape)}, not {tuple(given.shape)}")
        try:
            made[name] = slot.back(given)
        except Refusal as refusal:
            raise ValueError(f"cannot convert {key!r}: {refusal}") from None
    if state:
        raise ValueError(f"the sparse network has no place for {', '.join(map(repr, state))}")
    network.load_state_dict(made)
    return network


def _engines() -> Iterator[ModuleType]:
    yield native
    # A network can hold MinkowskiEngine's layers only if that has been imported.
    if "MinkowskiEngine" in sys.modules:
        yield sys.modules["MinkowskiEngine"]


def _engine_class(module: nn.Module) -> type[nn.Module] | None:
    """The engine's layer that the module is, or is made from."""
    for kind in type(module).__mro__:
        for engine in _engines():
            if getattr(engine, kind.__name__, None) is kind and kind.__name__ not in BASES:
                layer: type[nn.Module] = kind
                return layer
    return None


def _leaves(network: nn.Module, dimension: int | None) -> tuple[dict[str, str], dict[str, Leaf]]:
    """The name of each sparse layer, and the dense counterpart of those that are no stacks, both by path."""
    kinds = {path: kind for path, module in network.named_modules() if (kind := _engine_class(module))}
    names = {path: kind.__name__ for path, kind in kinds.items()}
    setting = Setting(
        _dimension(network, kinds, dimension),
        any(name in _UPWARD and _goes_up(network.get_submodule(path)) for path, name in names.items()),
    )
    _check_sharing(network)
    leaves = {}
    for path, module in network.named_modules():
        try:
            if type(module) is PooledRows:
                leaves[path] = Leaf(PooledGrid())
            elif path in kinds:
                _check_plain(module, kinds[path])
                if names[path] not in STACKS:
                    # On the device meta nothing is computed, and no random numbers are drawn.
                    with torch.device("meta"):
                        leaves[path] = _rule(names[path])(module, setting)
            else:
                _check_forward(module)
        except Refusal as refusal:
            raise ValueError(f"cannot convert {path!r} ({type(module).__name__}): {refusal}") from None
    return names, leaves


def _rule(name: str) -> Any:
    if name not in RULES:
        raise Refusal(REASONS.get(name, "it has no dense counterpart"))
    return RULES[name]


def _dimension(network: nn.Module, kinds: Mapping[str, type[nn.Module]], dimension: int | None) -> int | None:
    source = "the argument dimension"
    for path in kinds:
        said = getattr(network.get_submodule(path), "dimension", None)
        if said is None:
            continue
        if dimension is not None and said != dimension:
            raise ValueError(f"{path!r} has {said} spatial dimensions, but {source} says {dimension}")
        dimension, source = said, repr(path)
    if dimension is not None and dimension not in (1, 2, 3):
        raise ValueError(f"torch has dense layers of 1 to 3 dimensions, and {source} says {dimension}")
    return dimension


def _goes_up(module: Any) -> bool:
    generator = module.kernel_generator
    return max(generator.kernel_stride) > 1 and not generator.expand_coordinates


def _check_plain(module: nn.Module, kind: type[nn.Module]) -> None:
    """Refuses what would change a layer's numbers behind its back."""
    if type(module).forward is not kind.forward:
        raise Refusal(f"it has a forward of its own, other than {kind.__name__}'s")
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        raise Refusal("it has hooks, which the dense layer would lose")
    if hasattr(module, "parametrizations"):
        raise Refusal("its parameters are parametrized; remove the parametrizations first")


def _check_forward(module: nn.Module) -> None:
    """Refuses a forward that joins tensors by an engine's function, which takes sparse tensors only."""
    forward = type(module).forward
    code, scope = getattr(forward, "__code__", None), getattr(forward, "__globals__", {})
    if code is None:
        return
    for engine in _engines():
        for function in FUNCTIONS:
            for name in code.co_names:
                called = scope.get(name)
                if isinstance(called, ModuleType) and function in code.co_names:
                    called = getattr(called, function, None)
                if called is getattr(engine, function):
                    raise Refusal(
                        f"its forward calls the engine's function {function!r}; keep that as an attribute, "
                        f"as in self.{function} = ME.{function}, and it will be replaced"
                    )


def _check_sharing(network: nn.Module) -> None:
    owners: dict[int, str] = {}
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(prefix=path, recurse=False):
            other = owners.setdefault(id(parameter), name)
            if other != name:
                raise ValueError(f"{other!r} and {name!r} are one parameter; convert them untied")


def _filled(leaf: Leaf, module: nn.Module) -> nn.Module:
    """The dense layer with copies of the sparse layer's tensors."""
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    for slot in leaf.slots:
        source = parameters.get(slot.sparse)
        if source is None:
            setattr(leaf.layer, slot.dense, slot.there(buffers[slot.sparse]).detach().clone())
        else:
            value = slot.there(source.detach()).clone(memory_format=torch.contiguous_format)
            setattr(leaf.layer, slot.dense, nn.Parameter(value, source.requires_grad))
    return leaf.layer.train(module.training)
