"""Whole networks as dense ones: equal on full grids, unlike on others, saved, exported, taken back."""

from __future__ import annotations

import copy
import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pipelines.common.models import find_model
from pipelines.wafer.model.trained import load_trained
from sparse_backbones.blocks import ConvBlock, ResidualBlock
from sparse_backbones.convert import load_dense, to_dense
from sparse_backbones.minkunet import MinkowskiResNet, MinkowskiUNet
from sparse_backbones.resnet import SparseResNet
from tests.sparse_backbones.full_grid import (
    Make,
    as_grid,
    as_sparse,
    assert_equal_on_a_full_grid,
    assert_near,
    random_grid,
    randomise,
    same_bits,
)

NETWORKS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "ConvBlock": (lambda ME: ConvBlock(ME, 2, 3, kernel_size=3, stride=2, dilation=2), (7, 6)),
    "ResidualBlock": (lambda ME: ResidualBlock(ME, 2, 3, dimension=3), (3, 4, 5)),
    "BasicBlock": (lambda ME: resnet_block(ME).BasicBlock(2, 2, dimension=2), (5, 6)),
    "Bottleneck": (
        lambda ME: resnet_block(ME).Bottleneck(
            2, 2, stride=2, downsample=ME.MinkowskiConvolution(2, 8, 1, 2, dimension=2), dimension=2
        ),
        (5, 6),
    ),
    "MinkowskiResNet": (
        lambda ME: MinkowskiResNet(ME, 2, 3, variant="14", dimension=2, planes=(3, 4, 4, 5)),
        (200, 5),
    ),
    "MinkowskiUNet": (lambda ME: MinkowskiUNet(ME, 2, 3, variant="14A", dimension=2), (16, 32)),
}


def resnet_block(engine: Any) -> Any:
    return importlib.import_module(f"{engine.modules.__name__}.resnet_block")


@pytest.mark.parametrize("name", NETWORKS)
def test_network(engine: ModuleType, name: str) -> None:
    make, shape = NETWORKS[name]
    # Dropout draws anew.
    assert_equal_on_a_full_grid(engine, make, random_grid(2, 2, *shape), training=name != "MinkowskiResNet")


RESNET: dict[str, Any] = {
    "stem_strides": (3, 2),
    "stem_channels": (3, 4),
    "channels": (4, 5),
    "blocks": (1, 2),
    "latent": 6,
    "extra": 2,
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_sparse_resnet(engine: ModuleType, training: bool) -> None:
    extra = random_grid(3, 2)
    assert_equal_on_a_full_grid(
        engine,
        lambda ME: SparseResNet(ME, 2, 4, **RESNET),
        random_grid(3, 2, 23, 25),
        training=training,
        call=lambda network, x: torch.cat(network(x, 3, extra), dim=1),
    )


def unet(engine: Any) -> nn.Module:
    network = MinkowskiUNet(engine, 1, 2, variant="14A", dimension=2)
    randomise(network)
    return network.eval()


def test_a_grid_that_is_not_full_differs(native: ModuleType) -> None:
    network = unet(native).double()
    grid = random_grid(1, 1, 16, 16)
    mask = torch.rand(1, 16, 16) < 0.7
    with torch.no_grad():
        sparse = network(as_sparse(native, grid, mask)).F
        dense = to_dense(network)(grid * mask[:, None]).movedim(1, -1)[mask]
    assert float((sparse - dense).abs().max()) > 1e-3 * float(sparse.abs().max())


def test_the_copy_shares_nothing(native: ModuleType) -> None:
    network = unet(native)
    network.get_parameter("conv0p1s1.kernel").requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    dense = to_dense(network)
    assert [name for name, p in dense.named_parameters() if not p.requires_grad] == ["conv0p1s1.weight"]
    with torch.no_grad():
        for tensor in dense.state_dict().values():
            tensor.zero_()
    assert same_bits(network.state_dict(), before)
    assert not [tensor for tensor in dense.state_dict().values() if tensor.is_meta]


def test_no_random_numbers_are_drawn(native: ModuleType) -> None:
    network = unet(native)
    state = torch.random.get_rng_state()
    load_dense(network, to_dense(network))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_layer_used_twice_stays_one(native: ModuleType) -> None:
    layer = native.MinkowskiConvolution(2, 2, kernel_size=3, dimension=2)
    network = nn.Sequential(layer, native.MinkowskiReLU(), layer)
    dense = to_dense(network)
    assert dense.get_submodule("0") is dense.get_submodule("2")
    assert len(list(dense.parameters())) == 1
    state = {name: value + 1 for name, value in dense.state_dict().items()}
    load_dense(network, state)
    assert_near(to_dense(network).state_dict()["2.weight"], state["0.weight"], "weight")


def test_weights_trained_dense_go_back(native: ModuleType) -> None:
    network = unet(native).train()
    dense = to_dense(network)
    optimizer = torch.optim.SGD(dense.parameters(), lr=0.01)
    dense(random_grid(1, 1, 32, 32, dtype=torch.float32)).square().mean().backward()
    optimizer.step()
    assert load_dense(network, dense) is network
    grid = random_grid(1, 1, 16, 32, dtype=torch.float32)
    outputs = as_grid(network.eval()(as_sparse(native, grid))), dense.eval()(grid)
    assert_near(outputs[1], outputs[0], "output")


def test_saved_as_safetensors(native: ModuleType, tmp_path: Path) -> None:
    network = unet(native)
    save_file(to_dense(network).state_dict(), tmp_path / "dense.safetensors")
    other = load_dense(unet(native), load_file(tmp_path / "dense.safetensors"))
    assert same_bits(other.state_dict(), network.state_dict())


def test_exported(engine: ModuleType) -> None:
    network = nn.Sequential(
        ConvBlock(engine, 1, 3, kernel_size=2, stride=2, dimension=3),
        resnet_block(engine).BasicBlock(3, 3, dimension=3),
        engine.MinkowskiInstanceNorm(3),
        engine.MinkowskiConvolutionTranspose(3, 2, kernel_size=4, stride=2, bias=True, dimension=3),
        engine.MinkowskiAvgPooling(kernel_size=3, stride=2, dimension=3),
        engine.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=3),
        engine.MinkowskiGlobalAvgPooling(),
        engine.MinkowskiLinear(2, 4),
    )
    dense = to_dense(network.eval())
    grid = random_grid(2, 1, 8, 8, 4, dtype=torch.float32)
    program = torch.export.export(dense, (grid,))
    torch.testing.assert_close(program.module()(grid), dense(grid))


def test_the_example_of_the_page_runs() -> None:
    page = Path(__file__).parents[3] / "docs/convert.md"
    (example,) = re.findall(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    exec(compile(example, page, "exec"), {})


def test_a_grid_that_cannot_be_restored_is_refused(native: ModuleType) -> None:
    dense = to_dense(unet(native))
    with pytest.raises(
        ValueError, match=r"size \[4, 5\] is not a multiple of the stride \[2, 2\]; .* pad its input"
    ):
        dense(random_grid(1, 1, 16, 20, dtype=torch.float32))
    # A network that only goes down takes any size.
    encoder = nn.Sequential(native.MinkowskiConvolution(1, 2, kernel_size=2, stride=2, dimension=2))
    assert to_dense(encoder)(torch.ones(1, 1, 5, 7)).shape == (1, 2, 3, 4)


@pytest.mark.parametrize("name", ["MinkowskiConvolution", "MinkowskiSumPooling", "MinkowskiMaxPooling"])
def test_every_way_down_is_checked(native: ModuleType, name: str) -> None:
    channels = (1, 1) if name == "MinkowskiConvolution" else ()
    down = getattr(native, name)(*channels, kernel_size=3, stride=2, dimension=2)
    dense = to_dense(nn.Sequential(down, native.MinkowskiPoolingTranspose(2, 2, dimension=2)))
    assert dense(torch.ones(1, 1, 4, 6)).shape == (1, 1, 4, 6)
    with pytest.raises(ValueError, match=r"size \[4, 5\] is not a multiple of the stride"):
        dense(torch.ones(1, 1, 4, 5))


def test_a_trained_backbone(native: ModuleType) -> None:
    body = load_trained(find_model("wafer", "wdm-fullres")).network.get_submodule("body").double()
    grid, extra = random_grid(2, 4, 200, 300), random_grid(2, 2)
    expected = body(as_sparse(native, grid), 2, extra)
    for result, wanted in zip(to_dense(body)(grid, 2, extra), expected, strict=True):
        assert_near(result, wanted, "logits or latent")
