"""The same bits every time, copies, saved files, memory that is let go, errors that name what is wrong."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.sparse_backbones.every_layer import BROADCASTS, CONVOLUTIONS, LAYERS, NORMS, POOLING
from tests.sparse_backbones.oracle import random_sites


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, and puts it back in the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is freed meanwhile is freed by counting references alone."""
    gc.disable()
    # What is there already is left out of the collections to come, which would take long to look through it.
    gc.freeze()
    yield
    gc.unfreeze()
    gc.enable()


def given(native: ModuleType, count: int = 60) -> Any:
    sites = random_sites(count, 2, -6, 7, batch=(0, 1))
    return native.SparseTensor(torch.randn(len(sites), 4).requires_grad_(), sites)


def features_of(result: Any) -> Tensor:
    return result if isinstance(result, Tensor) else result.F


def everything(native: ModuleType, layer: nn.Module, sites: Tensor, features: Tensor) -> list[Tensor]:
    """Sites, features and all gradients that a layer gives."""
    leaf = features.clone().requires_grad_()
    result = layer(native.SparseTensor(leaf, sites))
    rows = features_of(result)
    upstream = torch.sin(torch.arange(rows.numel())).reshape(rows.shape)
    gradients = torch.autograd.grad(rows, [leaf, *layer.parameters()], upstream, materialize_grads=True)
    places = [] if isinstance(result, Tensor) else [result.C]
    return [*places, rows.detach(), *gradients]


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_every_time(native: ModuleType, set_threads: Callable[[int], None], name: str) -> None:
    """Rows in the same order, numbers and gradients, for one thread and for two."""
    layer = LAYERS[name](native, 2).eval()
    sites = random_sites(1500, 2, -25, 26, batch=(0, 1))
    features = torch.randn(len(sites), 4)
    for threads in (1, 2):
        set_threads(threads)
        first = everything(native, layer, sites, features)
        for again in (everything(native, layer, sites, features) for _ in range(2)):
            assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_survive_copies_and_files(native: ModuleType, name: str) -> None:
    layer = LAYERS[name](native, 2).eval()
    x = given(native)
    expected = features_of(layer(x))
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = LAYERS[name](native, 2).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    for same in (other, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(features_of(same(x)), expected)
        assert repr(same) == repr(layer)
    for value in layer.state_dict().values():
        assert type(value) is Tensor


def test_a_used_layer_can_be_copied_and_holds_no_input(native: ModuleType, no_collector: None) -> None:
    layer = LAYERS["convolution 3"](native, 2)
    x = given(native)
    held = weakref.ref(x.coordinate_manager)
    torch.autograd.backward(layer(x).F.sum())
    size = len(pickle.dumps(layer))
    del x
    assert held() is None
    assert size == len(pickle.dumps(copy.deepcopy(layer)))


def tensors_in_cycles() -> list[Tensor]:
    """Tensors that nothing reaches any more, and that are still in memory."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [thing for thing in gc.garbage if isinstance(thing, Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("name", LAYERS)
def test_a_manager_goes_with_its_tensors(native: ModuleType, no_collector: None, name: str) -> None:
    """And its maps too, after forward and backward, by counting references alone."""
    layer = LAYERS[name](native, 2)
    x = given(native)
    result = layer(x)
    torch.autograd.backward(features_of(result).sum())
    held = weakref.ref(x.coordinate_manager)
    assert held() is not None
    del x, result
    assert held() is None
    assert not tensors_in_cycles()


def test_the_shared_manager_goes_when_it_is_cleared(native: ModuleType, no_collector: None) -> None:
    try:
        native.set_sparse_tensor_operation_mode(native.SparseTensorOperationMode.SHARE_COORDINATE_MANAGER)
        x = given(native)
        held = weakref.ref(x.coordinate_manager)
        del x
        assert held() is native.global_coordinate_manager()
    finally:
        native.clear_global_coordinate_manager()
        native.set_sparse_tensor_operation_mode(native.SparseTensorOperationMode.SEPARATE_COORDINATE_MANAGER)
    assert held() is None


@pytest.mark.parametrize("name", [name for name in LAYERS if " onto" not in name])
def test_a_second_call_keeps_nothing_more(native: ModuleType, name: str) -> None:
    """Maps are made once for a tensor, however often it passes; a mask makes a new one each time."""
    layer = LAYERS[name](native, 2).eval()
    x = given(native)
    first = features_of(layer(x))
    state = repr(x.coordinate_manager)
    assert torch.equal(features_of(layer(x)), first)
    if name not in ("pruning", "union"):
        assert repr(x.coordinate_manager) == state


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_of_fields_and_managers(native: ModuleType, copied: Callable[[Any], Any]) -> None:
    field = native.TensorField(torch.randn(9, 4), torch.rand(9, 3) * torch.tensor([1.0, 4.0, 4.0]))
    sparse = field.sparse()
    field_copy, sparse_copy = copied((field, sparse))
    assert field_copy.coordinate_manager is sparse_copy.coordinate_manager
    assert field_copy.coordinate_manager is not field.coordinate_manager
    assert torch.equal(sparse_copy.slice(field_copy).F, sparse.slice(field).F)
    manager = copied(sparse.coordinate_manager)
    assert torch.equal(manager.get_coordinates(sparse.coordinate_map_key), sparse.C)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
@pytest.mark.parametrize("name", LAYERS)
def test_a_tensor_without_sites(native: ModuleType, name: str, dimension: int) -> None:
    """Gives a result without rows, and gradients of 0; never an unclear error."""
    layer = LAYERS[name](native, dimension).eval()
    leaf = torch.zeros(0, 4, requires_grad=True)
    result = layer(native.SparseTensor(leaf, torch.zeros(0, dimension + 1, dtype=torch.int32)))
    rows = features_of(result)
    if " onto" not in name:
        assert len(rows) == 0
    torch.autograd.backward(rows.sum())
    assert leaf.grad is None or leaf.grad.shape == (0, 4)
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in layer.parameters())


CHANNELS = [
    *(name for name in LAYERS if name in CONVOLUTIONS or name in NORMS),
    "channelwise 3",
    "linear",
    "sinusoidal",
]


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("name", CHANNELS)
def test_a_wrong_number_of_channels(native: ModuleType, name: str, channels: int) -> None:
    sites = random_sites(20, 2, -6, 7)
    x = native.SparseTensor(torch.ones(len(sites), channels), sites)
    with pytest.raises(ValueError, match=f"expected 4 channels, got {channels}"):
        LAYERS[name](native, 2)(x)


@pytest.mark.parametrize("name", [name for name in LAYERS if name in CONVOLUTIONS or "pooling" in name])
def test_a_wrong_number_of_dimensions(native: ModuleType, name: str) -> None:
    sites = random_sites(20, 2, -6, 7)
    x = native.SparseTensor(torch.ones(len(sites), 4), sites)
    with pytest.raises(ValueError, match="a 3D layer got a tensor of 2 spatial dimensions"):
        LAYERS[name](native, 3)(x)


WEIGHTED = [*CHANNELS, *POOLING, *BROADCASTS, "interpolation"]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("name", WEIGHTED)
def test_features_that_are_no_floats(native: ModuleType, name: str, dtype: torch.dtype) -> None:
    sites = random_sites(20, 2, -6, 7)
    x = native.SparseTensor(torch.ones(len(sites), 4).to(dtype), sites)
    with pytest.raises(TypeError, match=f"floating-point numbers, not {dtype}"):
        LAYERS[name](native, 2)(x)


@pytest.mark.parametrize("name", [*CONVOLUTIONS, "channelwise 3", "instance norm", "Sum pooling 3, stride 2"])
def test_a_field_where_sites_are_needed(native: ModuleType, name: str) -> None:
    field = native.TensorField(torch.ones(3, 4), torch.zeros(3, 3))
    with pytest.raises(TypeError, match="expected a SparseTensor, got a TensorField"):
        LAYERS[name](native, 2)(field)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 2.0**31, -(2.0**31) - 1])
def test_places_that_are_no_coordinates(native: ModuleType, value: float) -> None:
    x = given(native)
    places = torch.tensor([[0.0, 0.0, value]], dtype=torch.float64)
    wrong = "must be finite and fit in 32 bits"
    with pytest.raises(ValueError, match=wrong):
        native.TensorField(torch.ones(1, 1), places)
    with pytest.raises(ValueError, match=wrong):
        LAYERS["convolution 3"](native, 2)(x, places)
    with pytest.raises(ValueError, match=wrong):
        x.coordinate_manager.insert_and_map(places)
    with pytest.raises(ValueError, match=wrong):
        native.MinkowskiInterpolation()(x, places)
    with pytest.raises(ValueError, match=wrong):
        x.features_at_coordinates(places)


def test_targets_are_rounded_down_and_not_cut_off(native: ModuleType) -> None:
    x = given(native)
    layer = LAYERS["convolution 3"](native, 2)
    assert layer(x, torch.tensor([[0.0, -0.5, 0.5]])).C.tolist() == [[0, -1, 0]]
    with pytest.raises(ValueError, match="32 bits"):
        layer(x, torch.tensor([[0, 2**32 + 1, 0]]))


def test_a_splat_at_the_end_of_the_coordinates(native: ModuleType) -> None:
    field = native.TensorField(torch.ones(1, 1), torch.tensor([[0, 2**31 - 0.5]], dtype=torch.float64))
    with pytest.raises(ValueError, match="32 bits"):
        field.splat()


@pytest.mark.parametrize(
    ("places", "message"),
    [(torch.zeros(3), r"\(M, 3\).*not \(3,\)"), (torch.zeros(3, 2), r"\(M, 3\).*not \(3, 2\)")],
    ids=["flat", "narrow"],
)
def test_places_of_another_shape(native: ModuleType, places: Tensor, message: str) -> None:
    x = given(native)
    with pytest.raises(ValueError, match=message):
        native.MinkowskiInterpolation()(x, places)


def test_tensors_of_different_managers(native: ModuleType) -> None:
    x, y = given(native), given(native)
    pooled = native.MinkowskiGlobalSumPooling()(y)
    calls: list[Callable[[], Any]] = [
        lambda: x + y,
        lambda: native.cat(x, y),
        lambda: native.mean(x, y),
        lambda: native.MinkowskiUnion()(x, y),
        lambda: native.MinkowskiBroadcast()(x, pooled),
        lambda: LAYERS["convolution 3"](native, 2)(x, y),
        lambda: native.MinkowskiMaxPooling(2, 2, dimension=2)(x, y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="coordinate manager"):
            call()


def test_masks_that_do_not_fit(native: ModuleType) -> None:
    x = given(native)
    prune = native.MinkowskiPruning()
    for mask in (torch.ones(len(x)), torch.ones(len(x) + 1, dtype=torch.bool), torch.ones(0).bool()):
        with pytest.raises(ValueError, match=rf"keep must be bool \({len(x)},\)"):
            prune(x, mask)


def test_unions_of_different_widths(native: ModuleType) -> None:
    x = given(native)
    with pytest.raises(ValueError, match="same number of channels"):
        native.MinkowskiUnion()(x, x.replace(x.F[:, :2]))
