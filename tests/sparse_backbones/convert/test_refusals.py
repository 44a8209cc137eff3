"""What cannot be converted is refused by name and reason, and nothing is half done."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sparse_backbones.blocks import PooledRows
from sparse_backbones.convert import load_dense, to_dense
from sparse_backbones.engines import native as ME
from sparse_backbones.engines.native import mean
from tests.sparse_backbones.full_grid import same_bits


class Doubled(nn.Module):
    """Made a layer's subclass below, since the layer depends on the engine."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) + super().forward(x)


def convolution(engine: Any, **arguments: Any) -> Any:
    return engine.MinkowskiConvolution(1, 2, **{"kernel_size": 3, "dimension": 2, **arguments})


def hooked(engine: Any) -> nn.Module:
    layer: nn.Module = convolution(engine)
    layer.register_forward_hook(lambda module, arguments, output: output)
    return layer


def of_region(engine: Any, layer: str, region: str, offsets: Any = None, **arguments: Any) -> nn.Module:
    generator = engine.KernelGenerator(
        3 if offsets is None else -1,
        region_type=engine.RegionType[region],
        region_offsets=offsets,
        dimension=2,
    )
    made: nn.Module = getattr(engine, layer)(kernel_generator=generator, dimension=2, **arguments)
    return made


def tied(engine: Any) -> nn.Module:
    layers = convolution(engine), convolution(engine)
    layers[1].kernel = layers[0].kernel
    return nn.Sequential(*layers)


REFUSED: dict[str, tuple[Callable[[Any], nn.Module], str]] = {
    "pruning": (lambda ME: ME.MinkowskiPruning(), r"'0' \(MinkowskiPruning\): which sites .* run time"),
    "interpolation": (lambda ME: ME.MinkowskiInterpolation(), "between the sites"),
    "loss": (
        lambda ME: ME.MinkowskiAdaptiveLogSoftmaxWithLoss(4, 10, cutoffs=[2]),
        "it is a loss",
    ),
    "softmax over sites": (lambda ME: ME.MinkowskiSoftmax(dim=0), r"sites of all items \(dim=0\)"),
    "expanding": (lambda ME: convolution(ME, expand_coordinates=True), "larger than the grid"),
    "odd generative": (
        lambda ME: ME.MinkowskiGenerativeConvolutionTranspose(1, 2, kernel_size=3, stride=2, dimension=2),
        "no grid without gaps that begins at 0",
    ),
    "gaps of a generative": (
        lambda ME: ME.MinkowskiGenerativeConvolutionTranspose(1, 2, kernel_size=2, stride=3, dimension=2),
        "no grid without gaps",
    ),
    "expanding pooling": (
        lambda ME: ME.MinkowskiPoolingTranspose(3, 2, expand_coordinates=True, dimension=2),
        "no grid without gaps",
    ),
    "pooling over a cross": (
        lambda ME: of_region(ME, "MinkowskiSumPooling", "HYPER_CROSS"),
        "pooling over the region HYPER_CROSS",
    ),
    "offset twice": (
        lambda ME: of_region(
            ME,
            "MinkowskiConvolution",
            "CUSTOM",
            torch.tensor([[0, 1], [0, 1]]),
            in_channels=1,
            out_channels=1,
        ),
        "the same offset more than once",
    ),
    "remove_zeros": (lambda ME: ME.MinkowskiToSparseTensor(), "remove_zeros"),
    "shape": (lambda ME: ME.MinkowskiToDenseTensor(torch.Size([1, 1, 4, 4])), "shape of its output"),
    "forward of its own": (
        lambda ME: type("Own", (Doubled, ME.MinkowskiReLU), {})(),
        r"'0' \(Own\): it has a forward of its own, other than MinkowskiReLU's",
    ),
    "hook": (hooked, "hooks"),
    "parametrized": (lambda ME: parametrizations.weight_norm(convolution(ME), "kernel"), "parametriz"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layer_is_refused_by_name(native: ModuleType, name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"cannot convert .*{message}"):
        to_dense(nn.Sequential(make(native)), dimension=2)


def test_tied_weights(native: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"'0\.kernel' and '1\.kernel' are one parameter"):
        to_dense(tied(native))


def test_stride_that_minkowski_ignores(minkowski: ModuleType) -> None:
    layer = minkowski.MinkowskiConvolution(1, 2, kernel_size=1, stride=2, dimension=1)
    with pytest.raises(ValueError, match="MinkowskiEngine ignores the stride"):
        to_dense(layer)


def test_numbers_of_dimensions(native: ModuleType) -> None:
    four = nn.Sequential(native.MinkowskiConvolution(1, 2, kernel_size=3, dimension=4))
    with pytest.raises(ValueError, match="dense layers of 1 to 3 dimensions, and '0' says 4"):
        to_dense(four)
    norm = native.MinkowskiBatchNorm(2)
    with pytest.raises(ValueError, match=r"\(MinkowskiBatchNorm\): no layer says .* give dimension="):
        to_dense(norm)
    assert isinstance(to_dense(norm, dimension=3), nn.BatchNorm3d)
    with pytest.raises(ValueError, match="'0' has 2 spatial dimensions, but the argument dimension says 3"):
        to_dense(nn.Sequential(convolution(native)), dimension=3)


def test_weights_that_do_not_fit(native: ModuleType) -> None:
    network = nn.Sequential(convolution(native), native.MinkowskiBatchNorm(2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = to_dense(network).state_dict()
    short = {name: value + 1 for name, value in state.items() if name != "1.running_mean"}
    with pytest.raises(ValueError, match=r"lack '1\.running_mean', from which '1\.bn\.running_mean' is made"):
        load_dense(network, short)
    with pytest.raises(ValueError, match="no place for 'more'"):
        load_dense(network, {**state, "more": torch.ones(1)})
    with pytest.raises(ValueError, match=r"'0.weight' must have the shape \(2, 1, 3, 3\), not \(9, 1, 2\)"):
        load_dense(network, {**state, "0.weight": network.get_parameter("0.kernel")})
    assert same_bits(network.state_dict(), before)


def test_misuse_of_dense_layers(native: ModuleType) -> None:
    with pytest.raises(ValueError, match="a grid of 3 items, but the batch size is 2"):
        to_dense(PooledRows())(torch.ones(3, 1, 2, 2), 2)
    with pytest.raises(ValueError, match=r"one cell per item, not \[2, 2\]"):
        to_dense(native.MinkowskiBroadcastAddition())(torch.ones(3, 1, 2, 2), torch.ones(3, 1, 2, 2))
    with pytest.raises(ValueError, match=r"different sizes: \[\[2, 2\], \[2, 3\]\]"):
        to_dense(native.MinkowskiUnion())(torch.ones(3, 1, 2, 2), torch.ones(3, 1, 2, 3))


class Joining(nn.Module):
    """As code written for MinkowskiEngine does it."""

    def forward(self, x: Any) -> Any:
        return ME.cat(x, x)


class JoiningByName(nn.Module):
    def forward(self, x: Any) -> Any:
        return mean(x, x)


@pytest.mark.parametrize(("network", "name"), [(Joining(), "cat"), (JoiningByName(), "mean")])
def test_functions_of_the_engine_in_a_forward(network: nn.Module, name: str) -> None:
    message = rf"'0' \(Joining.*forward calls the engine's function '{name}'; .* self.{name} = ME.{name}"
    with pytest.raises(ValueError, match=message):
        to_dense(nn.Sequential(network))


def test_a_forward_that_needs_sparse_tensors_fails_loudly() -> None:
    class Reading(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.F

    with pytest.raises(AttributeError, match="'F'"):
        to_dense(Reading())(torch.ones(1, 1, 2, 2))
