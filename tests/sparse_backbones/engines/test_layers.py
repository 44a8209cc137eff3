"""Layers of the native engine by other means than MinkowskiEngine, and that all of them copy and save."""

from __future__ import annotations

import copy
import io
import pickle
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from sparse_backbones.engines.native.modules import senet_block
from tests.sparse_backbones.oracle import (
    Kernel,
    assert_close,
    assert_same,
    convolution,
    outcome,
    random_sites,
    run,
)

FUNCTIONS = [
    ("relu", ()),
    ("leaky_relu", (0.2,)),
    ("softmax", (1,)),
    ("normalize", ()),
    ("hardswish", ()),
    ("threshold", (0.1, 2.0)),
    ("glu", ()),
]


@pytest.mark.parametrize(("name", "arguments"), FUNCTIONS)
def test_functions_act_on_the_features(native: ModuleType, name: str, arguments: tuple[Any, ...]) -> None:
    sites = random_sites(30, 2, -6, 7)
    x = native.SparseTensor(torch.randn(len(sites), 4), sites)
    result = getattr(native.MinkowskiFunctional, name)(x, *arguments)
    assert result.coordinate_map_key == x.coordinate_map_key
    assert torch.equal(result.F, getattr(functional, name)(x.F, *arguments))


def test_losses_are_plain_tensors(native: ModuleType) -> None:
    sites = random_sites(30, 2, -6, 7)
    x = native.SparseTensor(torch.randn(len(sites), 4), sites)
    target = torch.randint(4, (len(sites),))
    loss = native.MinkowskiFunctional.cross_entropy(x, target)
    assert torch.equal(loss, functional.cross_entropy(x.F, target))


def test_the_functions_are_those_of_minkowski(native: ModuleType, minkowski: ModuleType) -> None:
    def public(module: Any) -> set[str]:
        return {name for name, value in vars(module).items() if callable(value) and name.islower()}

    ours = {name for name in public(native.MinkowskiFunctional) if not name.startswith("_")}
    theirs = {name for name in public(minkowski.MinkowskiFunctional) if not name.startswith("_")}
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "eps"), [("MinkowskiInstanceNorm", 1e-8), ("MinkowskiStableInstanceNorm", 1e-6)]
)
def test_instance_norm_is_that_of_each_batch_item(native: ModuleType, name: str, eps: float) -> None:
    sites = random_sites(60, 2, -6, 7, batch=(0, 1, 3))
    features = torch.randn(len(sites), 4, dtype=torch.float64)
    result = getattr(native, name)(4).double()(native.SparseTensor(features, sites)).F
    for item in (0, 1, 3):
        rows = sites[:, 0] == item
        dense = functional.instance_norm(features[rows].T[None], eps=eps)[0].T
        assert_close(result[rows], dense)


def test_batch_norm_is_converted_in_place_with_its_parameters(native: ModuleType) -> None:
    network: Any = nn.Sequential(
        native.MinkowskiConvolution(2, 4, kernel_size=3, dimension=2),
        nn.Sequential(native.MinkowskiBatchNorm(4, momentum=0.3), native.MinkowskiReLU()),
    )
    state = {name: value.clone() for name, value in network.state_dict().items()}
    weight = network[1][0].bn.weight
    made = native.MinkowskiSyncBatchNorm.convert_sync_batchnorm(network.eval())
    assert isinstance(made[1][0], native.MinkowskiSyncBatchNorm)
    assert made[1][0].bn.weight is weight
    assert made[1][0].bn.momentum == 0.3
    assert not made[1][0].bn.training
    assert state.keys() == made.state_dict().keys()
    for name, value in made.state_dict().items():
        assert torch.equal(value, state[name])


@pytest.mark.parametrize("block", [senet_block.SEBasicBlock, senet_block.SEBottleneck])
def test_squeeze_and_excitation_scales_what_is_added(native: ModuleType, block: Any) -> None:
    layer = block(16, 16 // block.expansion, D=2, reduction=4).double().eval()
    sites = random_sites(60, 2, -6, 7)
    features = torch.randn(len(sites), 16, dtype=torch.float64)
    x = native.SparseTensor(features, sites)
    last = layer.norm3 if hasattr(layer, "norm3") else layer.norm2
    seen: list[Any] = []
    last.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    result = layer(x).F
    added = seen[0].F
    for item in (0, 2):
        rows = sites[:, 0] == item
        first, second = layer.se.fc[0].linear, layer.se.fc[2].linear
        scale = torch.sigmoid(second(torch.relu(first(added[rows].mean(0)))))
        assert_close(result[rows], torch.relu(features[rows] + added[rows] * scale))


def test_dense_to_sparse_and_back(native: ModuleType) -> None:
    dense = torch.randn(2, 3, 4, 5, dtype=torch.float64) * (torch.rand(2, 1, 4, 5) < 0.4)
    dense[1, :, 3, 4] = 1.0
    leaf = dense.clone().requires_grad_()
    sparse = native.MinkowskiToSparseTensor()(leaf)
    assert len(sparse) == int((dense != 0).any(1).sum())
    back = native.MinkowskiToDenseTensor(dense.shape)(sparse)
    assert torch.equal(back, dense)
    (gradient,) = torch.autograd.grad(back.sum(), leaf)
    assert torch.equal(gradient, (dense != 0).any(1, keepdim=True).expand_as(dense).double())
    whole = native.MinkowskiToSparseTensor(remove_zeros=False)(dense)
    assert torch.equal(whole.C, native.dense_coordinates(dense.shape))
    assert torch.equal(native.MinkowskiToDenseTensor()(whole), dense)
    assert torch.equal(native.MinkowskiToFeature()(whole), whole.F)
    last = native.to_sparse(dense.movedim(1, -1), format="BXXC")
    assert torch.equal(last.F, sparse.F)
    assert torch.equal(last.C, sparse.C)


@pytest.mark.parametrize("format", ["BCX", "CBXX", "BCXY", "BXXX"])
def test_a_wrong_format_is_an_error(native: ModuleType, format: str) -> None:
    with pytest.raises(ValueError, match="format must be B, C and 2 X"):
        native.to_sparse(torch.zeros(1, 2, 3, 3), format=format)


def test_pooling_modes(native: ModuleType) -> None:
    sites = random_sites(40, 2, -6, 7)
    x = native.SparseTensor(torch.randn(len(sites), 3), sites)
    for kind in ("Sum", "Avg", "Max"):
        expected = getattr(native, f"MinkowskiGlobal{kind}Pooling")()(x).F
        for variant in ("DEFAULT", "KERNEL", "PYTORCH_INDEX"):
            mode = native.PoolingMode[f"GLOBAL_{kind.upper()}_POOLING_{variant}"]
            assert torch.equal(native.MinkowskiGlobalPooling(mode)(x).F, expected)
    with pytest.raises(ValueError, match="GLOBAL modes"):
        native.MinkowskiGlobalPooling(native.PoolingMode.LOCAL_MAX_POOLING)


def test_adaptive_softmax(native: ModuleType) -> None:
    sites = random_sites(30, 2, -6, 7)
    x = native.SparseTensor(torch.randn(len(sites), 8), sites)
    layer = native.MinkowskiAdaptiveLogSoftmaxWithLoss(8, 6, [2, 4], div_value=2.0)
    target = torch.randint(6, (len(sites),))
    output, loss = layer(x, target)
    log_prob = layer.module.log_prob(x.F)
    assert_close(output, log_prob.gather(1, target[:, None])[:, 0])
    assert_close(loss, -output.mean())


# Oracles only: in one process with MinkowskiEngine's broadcasts and channelwise convolution, runs of the same
# comparison differed from each other and some ended in a crash of its C++ code.
@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("MinkowskiBroadcast", lambda x, y: y),
        ("MinkowskiBroadcastAddition", torch.add),
        ("MinkowskiBroadcastMultiplication", torch.mul),
        ("MinkowskiBroadcastConcatenation", lambda x, y: torch.cat([x, y], dim=1)),
    ],
)
def test_broadcast(native: ModuleType, name: str, operation: Any) -> None:
    sites = random_sites(40, 2, -6, 7, batch=(0, 1, 3))
    leaf = torch.randn(len(sites), 3, dtype=torch.float64, requires_grad=True)
    x = native.SparseTensor(leaf, sites)
    result = getattr(native, name)()(x, native.MinkowskiGlobalSumPooling()(x)).F
    sums = torch.zeros(4, 3, dtype=torch.float64).index_add(0, sites[:, 0].long(), leaf)
    expected = operation(leaf, sums[sites[:, 0].long()])
    assert_close(result, expected)
    gradients = [torch.autograd.grad(value.square().sum(), leaf)[0] for value in (result, expected)]
    assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize(
    "kernel", [Kernel.of(2, 3), Kernel.of(2, 2, 2), Kernel.of(2, 3, 1, 2), Kernel.of(2, 3, 2)]
)
def test_channelwise_convolution_is_one_with_a_diagonal_kernel(native: ModuleType, kernel: Kernel) -> None:
    layer = native.MinkowskiChannelwiseConvolution(4, bias=True, **kernel.arguments()).double()
    sites = random_sites(60, 2, -6, 7)
    features = torch.randn(len(sites), 4, dtype=torch.float64)
    leaf = features.clone().requires_grad_()
    targets, expected = convolution(sites, leaf, torch.diag_embed(layer.kernel), kernel)
    leaves = {"input": leaf, **dict(layer.named_parameters())}
    assert_same(run(native, layer, sites, features), outcome(targets, expected + layer.bias, leaves))


def test_broadcasting_needs_one_site_per_batch_item(native: ModuleType) -> None:
    sites = random_sites(30, 2, -6, 7)
    x = native.SparseTensor(torch.randn(len(sites), 8), sites)
    with pytest.raises(ValueError, match="one site per batch item"):
        native.MinkowskiBroadcast()(x, x)


def test_layers_copy_pickle_and_save(native: ModuleType) -> None:
    layers = nn.Sequential(
        native.MinkowskiConvolution(2, 4, kernel_size=3, bias=True, dimension=2),
        native.MinkowskiBatchNorm(4),
        native.MinkowskiChannelwiseConvolution(4, kernel_size=2, stride=2, dimension=2),
        native.MinkowskiInstanceNorm(4),
        native.MinkowskiSinusoidal(4, 4),
        native.MinkowskiGenerativeConvolutionTranspose(4, 3, kernel_size=2, stride=2, dimension=2),
        native.MinkowskiGlobalPooling(),
        native.MinkowskiToFeature(),
    ).eval()
    file = io.BytesIO()
    torch.save(layers.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(layers)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(torch.load(file, weights_only=True))
    sites = random_sites(40, 2, -6, 7)
    x = torch.randn(len(sites), 2)
    expected = layers(native.SparseTensor(x, sites))
    for same in (other, copy.deepcopy(layers), pickle.loads(pickle.dumps(layers))):
        assert torch.equal(same(native.SparseTensor(x, sites)), expected)
