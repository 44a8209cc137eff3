"""MinkowskiUNet and MinkowskiResNet: the same names, shapes, numbers and gradients in both engines."""

from __future__ import annotations

import copy
import hashlib
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from sparse_backbones.minkunet import RESNETS, UNETS, MinkowskiResNet, MinkowskiUNet
from tests.sparse_backbones.oracle import assert_same, random_sites, run

# What the classes of MinkowskiEngine's examples (examples/minkunet.py and examples/resnet.py) have, built for
# 3 channels in, 5 out and 3 dimensions: the number of parameters, and the first digits of the SHA-256 of the
# sorted lines "name:shape" of the state_dict.
PUBLISHED_UNETS = {
    "14": (11_579_397, "50f5452e17d7f7bd"),
    "18": (21_702_789, "649f06dcb3b10ccc"),
    "34": (37_854_597, "306b5482512f72fb"),
    "50": (31_757_669, "727cc6cb5fe18eeb"),
    "101": (70_803_813, "30710a80756cc1d2"),
    "14A": (8_023_045, "45d48f8632bdc921"),
    "14B": (8_959_653, "6c074383620b1b6b"),
    "14C": (11_917_989, "2ea38b167fba5834"),
    "14D": (43_309_989, "0d34e013616604bc"),
    "18A": (15_491_717, "5b0c6183a5ee71b8"),
    "18B": (17_202_725, "edd275194fa2070a"),
    "18D": (79_868_709, "100f6ffc73461f64"),
    "34A": (36_606_437, "4ed6fb26a106a8b8"),
    "34B": (36_225_989, "2f679728a4065b81"),
    "34C": (37_854_597, "306b5482512f72fb"),
}
PUBLISHED_RESNETS = {
    "14": (21_424_453, "8c2b9b27fab410ff"),
    "18": (40_228_933, "e425481dc6cc6820"),
    "34": (70_538_565, "080eeac478ca12d0"),
    "50": (159_398_853, "f43f195583055f46"),
    "101": (198_444_997, "fac39f91409365c6"),
}


def fingerprint(network: nn.Module) -> tuple[int, str]:
    lines = sorted(f"{name}:{tuple(value.shape)}" for name, value in network.state_dict().items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return sum(parameter.numel() for parameter in network.parameters()), digest[:16]


@pytest.mark.parametrize(
    ("network", "table", "published"),
    [(MinkowskiUNet, UNETS, PUBLISHED_UNETS), (MinkowskiResNet, RESNETS, PUBLISHED_RESNETS)],
)
def test_every_variant_has_the_parameters_of_the_examples(
    native: ModuleType, network: Any, table: Any, published: Any
) -> None:
    # On the device meta, since the numbers themselves, hundreds of millions, do not matter.
    with torch.device("meta"):
        made = {variant: fingerprint(network(native, 3, 5, variant=variant)) for variant in table}
    assert made == published


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
