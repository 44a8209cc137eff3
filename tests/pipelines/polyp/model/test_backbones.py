"""ResNet-18 and ViT-T/16: names, numbers of parameters, users' weights, and what gates leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.polyp.model.gates import gates_of
from pipelines.polyp.model.resnet import ResNet18, load_resnet18
from pipelines.polyp.model.vit import Attention, ViT, load_vit


def numbers(network: torch.nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def torchvision_names() -> set[str]:
    """The names of torchvision's resnet18, written out from its structure."""

    def norm(name: str) -> set[str]:
        parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return {f"{name}.{part}" for part in parts}

    names = {"conv1.weight", "fc.weight", "fc.bias"} | norm("bn1")
    for layer in range(1, 5):
        for block in range(2):
            here = f"layer{layer}.{block}"
            names |= {f"{here}.conv1.weight", f"{here}.conv2.weight"}
            names |= norm(f"{here}.bn1") | norm(f"{here}.bn2")
        if layer > 1:
            here = f"layer{layer}.0.downsample"
            names |= {f"{here}.0.weight"} | norm(f"{here}.1")
    return names


def test_resnet18_has_torchvisions_names_and_parameters() -> None:
    network = ResNet18()
    assert set(network.state_dict()) == torchvision_names() - {"fc.weight", "fc.bias"}
    assert numbers(network) == 11_689_512 - (512 * 1000 + 1000)  # without the classifier of 1,000 classes


def test_vit_tiny_has_timms_names_and_parameters() -> None:
    network = ViT(224)
    assert numbers(network) == 5_717_416 - (192 * 1000 + 1000)
    names = set(network.state_dict())
    assert {
        "cls_token",
        "pos_embed",
        "patch_embed.proj.weight",
        "blocks.11.mlp.fc2.bias",
        "norm.bias",
    } <= names
    assert {"blocks.0.norm1.weight", "blocks.0.attn.qkv.bias", "blocks.0.attn.proj.weight"} <= names
    assert len(names) == 4 + 12 * 12 + 2


@pytest.mark.parametrize(("gated", "gates"), [(True, 5), (False, 0)])
def test_gates_of_resnet18(gated: bool, gates: int) -> None:
    network = ResNet18(gated=gated).eval()
    assert len(gates_of(network)) == gates
    assert network(torch.zeros(2, 3, 64, 96)).shape == (2, 512)


def test_gates_of_vit() -> None:
    network = ViT(32, gated=True, depth=3)
    assert len(gates_of(network)) == 2 * 3 + 1
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 192)
    with pytest.raises(ValueError, match="32 x 32"):
        network(torch.zeros(2, 3, 48, 32))


@pytest.mark.parametrize("make", [lambda gated: ResNet18(gated=gated), lambda gated: ViT(32, gated=gated)])
def test_open_gates_change_nothing(make) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    plain = make(False).eval()
    gated = make(True).eval()
    gated.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for gate in gates_of(gated).values():
            gate.score.fill_(40.0)
    images = torch.randn(2, 3, 32, 32)
    assert torch.allclose(plain(images), gated(images), atol=1e-5)


def test_attention_is_that_of_torchs_own_module() -> None:
    torch.manual_seed(0)
    attention = Attention(192, 3)
    other = torch.nn.MultiheadAttention(192, 3, batch_first=True)
    other.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.proj.weight,
            "out_proj.bias": attention.proj.bias,
        }
    )
    x = torch.randn(2, 5, 192)
    assert torch.allclose(attention(x), other(x, x, x)[0], atol=1e-5)


def stored(weights: dict[str, Tensor], path: Path) -> Path:
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    return path


def test_users_weights_are_taken_and_gates_are_left(tmp_path: Path) -> None:
    torch.manual_seed(1)
    given = ResNet18().state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    network = ResNet18(gated=True)
    scores = {name: gate.score.detach().clone() for name, gate in gates_of(network).items()}
    load_resnet18(network, stored(given, tmp_path / "r.safetensors"))
    assert torch.equal(network.state_dict()["layer3.1.conv2.weight"], given["layer3.1.conv2.weight"])
    assert torch.equal(network.state_dict()["bn1.running_var"], given["bn1.running_var"])
    assert all(torch.equal(gate.score, scores[name]) for name, gate in gates_of(network).items())


def test_positions_of_another_size_are_resampled(tmp_path: Path) -> None:
    torch.manual_seed(2)
    given = ViT(64).state_dict() | {"head.weight": torch.zeros(1000, 192), "head.bias": torch.zeros(1000)}
    ramp = torch.arange(4.0)[:, None].expand(4, 4).flatten()[None, :, None].expand(1, 16, 192)
    given["pos_embed"] = torch.cat([torch.full((1, 1, 192), 9.0), ramp], 1)
    network = ViT(128, gated=True)
    load_vit(network, stored(given, tmp_path / "v.safetensors"))
    positions = network.pos_embed.detach()[0]
    grid = positions[1:].reshape(8, 8, 192)
    assert float(positions[0, 0]) == 9.0
    assert torch.allclose(grid[:, 0], grid[:, 5])  # it varies from row to row alone
    assert (grid[1:, 0, 0] > grid[:-1, 0, 0]).all()
    assert float(grid.mean()) == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("layer1.0.conv1.weight"), "lacks layer1.0.conv1.weight"),
        (lambda w: w.update({"more": torch.zeros(1)}), "has more besides"),
        (lambda w: w.update({"conv1.weight": torch.zeros(64, 3, 3, 3)}), r"must have the shape"),
        (lambda w: w.update({"bn1.weight": torch.full((64,), torch.nan)}), "finite"),
    ],
)
def test_other_weights_are_refused_and_change_nothing(tmp_path: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    weights = dict(ResNet18().state_dict())
    change(weights)
    network = ResNet18()
    before = network.conv1.weight.detach().clone()
    with pytest.raises(UserError, match=said):
        load_resnet18(network, stored(weights, tmp_path / "r.safetensors"))
    assert torch.equal(network.conv1.weight, before)
    with pytest.raises(UserError, match="pickle"):
        load_resnet18(network, tmp_path / "resnet18.pth")
