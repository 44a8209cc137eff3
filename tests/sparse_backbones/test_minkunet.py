"""MinkowskiUNet and MinkowskiResNet: the same names, shapes, numbers and gradients in both engines."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import pytest
import torch

from sparse_backbones.minkunet import RESNETS, UNETS, MinkowskiResNet, MinkowskiUNet
from tests.sparse_backbones.oracle import assert_same, random_sites, run


@pytest.mark.parametrize("variant", ["14A", "18D", "34C", "50"])
def test_unet_has_the_parameters_of_the_examples(engine: ModuleType, variant: str) -> None:
    network = MinkowskiUNet(engine, 3, 5, variant=variant, dimension=3)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    planes, expansion = UNETS[variant].planes, 4 if variant == "50" else 1
    assert shapes["conv0p1s1.kernel"] == (125, 3, 32)
    assert shapes["conv1p1s2.kernel"] == (8, 32, 32)
    assert shapes["conv4p8s2.kernel"] == (8, planes[2] * expansion, planes[2] * expansion)
    assert shapes["convtr4p16s2.kernel"] == (8, planes[3] * expansion, planes[4])
    assert shapes["convtr7p2s2.kernel"] == (8, planes[6] * expansion, planes[7])
    assert shapes["bntr5.bn.weight"] == (planes[5],)
    assert shapes["block5.0.conv1.kernel"][-2:] == (planes[4] + planes[2] * expansion, planes[4])
    assert shapes["block8.0.conv1.kernel"][-2:] == (planes[7] + 32, planes[7])
    assert shapes["block8.0.downsample.0.kernel"] == (planes[7] + 32, planes[7] * expansion)
    assert shapes["final.kernel"] == (planes[7] * expansion, 5)
    assert shapes["final.bias"] == (1, 5)
    assert (
        len([name for name in shapes if name.startswith("block4.") and name.endswith("conv1.kernel")])
        == (UNETS[variant].layers[3])
    )


@pytest.mark.parametrize("variant", ["14", "34B"])
def test_unet_is_the_same_in_both_engines(native: ModuleType, minkowski: ModuleType, variant: str) -> None:
    ours, theirs = (
        MinkowskiUNet(engine, 2, 3, variant=variant, dimension=2).double() for engine in (native, minkowski)
    )
    ours.load_state_dict(theirs.state_dict())
    sites = random_sites(200, 2, 0, 30)
    features = torch.randn(len(sites), 2, dtype=torch.float64)
    assert_same(run(native, ours, sites, features), run(minkowski, theirs, sites, features))


@pytest.mark.parametrize("variant", ["14", "50"])
def test_resnet_is_the_same_in_both_engines(native: ModuleType, minkowski: ModuleType, variant: str) -> None:
    # Narrow, and in evaluation mode, since dropout draws anew.
    def network(engine: ModuleType) -> Any:
        made = MinkowskiResNet(engine, 2, 3, variant=variant, dimension=2, planes=(4, 8, 8, 16))
        return made.double().eval()

    ours, theirs = network(native), network(minkowski)
    ours.load_state_dict(theirs.state_dict())
    sites = random_sites(900, 2, 0, 300)
    features = torch.randn(len(sites), 2, dtype=torch.float64)
    assert_same(run(native, ours, sites, features), run(minkowski, theirs, sites, features))


def test_unet_copies_and_saves(native: ModuleType, tmp_path: Any) -> None:
    network = MinkowskiUNet(native, 1, 2, variant="14A", dimension=2).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = MinkowskiUNet(native, 1, 2, variant="14A", dimension=2).eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    sites = random_sites(60, 2, 0, 20)
    tensors = [native.SparseTensor(torch.ones(len(sites), 1), sites) for _ in range(3)]
    results = [net(x).F for net, x in zip((network, other, copy.deepcopy(network)), tensors, strict=True)]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(("network", "table"), [(MinkowskiUNet, UNETS), (MinkowskiResNet, RESNETS)])
def test_an_unknown_variant_lists_the_known_ones(native: ModuleType, network: Any, table: Any) -> None:
    with pytest.raises(ValueError, match=f"unknown variant '7'; choose {', '.join(table)}"):
        network(native, 1, 2, variant="7")
