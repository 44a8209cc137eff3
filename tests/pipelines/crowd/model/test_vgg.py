"""The encoder, and state dicts that a user brings for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.common.errors import UserError
from pipelines.crowd.model.vgg import VGG16, load_encoder_weights

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def whole() -> State:
    """As torchvision names them: two stages whole, and some of what lies deeper."""
    torch.manual_seed(0)
    state = {name: value.clone() for name, value in VGG16(2).state_dict().items()}
    deeper = {"features.14.weight": torch.zeros(256, 128, 3, 3), "features.41.bias": torch.zeros(512)}
    return state | deeper | {"classifier.6.weight": torch.zeros(10, 8), "classifier.6.bias": torch.zeros(10)}


def written(path: Path, state: State) -> Path:
    save_file({name: value.contiguous().clone() for name, value in state.items()}, path)
    return path


def test_names_and_shapes_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        state = VGG16().state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["features.0.weight"] == (64, 3, 3, 3)
    assert shapes["features.7.weight"] == (128, 64, 3, 3)
    assert shapes["features.24.weight"] == (512, 256, 3, 3)
    assert shapes["features.40.weight"] == (512, 512, 3, 3)
    assert shapes["features.41.running_var"] == (512,)
    numbers = [value.numel() for name, value in state.items() if "running" not in name and value.ndim]
    assert sum(numbers) == 14_723_136


def test_taps_are_the_outputs_of_the_stages_at_strides_1_to_16() -> None:
    encoder = VGG16().eval()
    with torch.no_grad():
        found = encoder(torch.rand(1, 3, 32, 48))
        plain = torch.rand(1, 3, 16, 16)
        expected = plain
        for layer in encoder.features:
            expected = layer(expected)
        torch.testing.assert_close(encoder(plain)[-1], expected)
    widths = [(64, 1), (128, 2), (256, 4), (512, 8), (512, 16)]
    assert [tuple(one.shape) for one in found] == [(1, w, 32 // s, 48 // s) for w, s in widths]
    assert [type(encoder.features[place]) for place in (6, 13, 23, 33)] == [nn.MaxPool2d] * 4


@pytest.mark.parametrize("stages", [1, 2])
def test_a_state_dict_is_taken_whole(whole: State, tmp_path: Path, stages: int) -> None:
    encoder = VGG16(stages)
    load_encoder_weights(encoder, written(tmp_path / "vgg.safetensors", whole))
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_classifier_and_counters_may_be_left_out(whole: State, tmp_path: Path) -> None:
    less = {
        name: value for name, value in whole.items() if "classifier" not in name and "num_batches" not in name
    }
    encoder = VGG16(2)
    load_encoder_weights(encoder, written(tmp_path / "vgg.safetensors", less))
    assert torch.equal(encoder.state_dict()["features.10.weight"], whole["features.10.weight"])


@pytest.mark.parametrize("stages", [0, 6])
def test_there_are_five_stages(stages: int) -> None:
    with pytest.raises(ValueError, match="1 to 5 stages"):
        VGG16(stages)


BAD: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (
        lambda s: {n: v for n, v in s.items() if n != "features.10.weight"},
        "lacks features.10.weight",
    ),
    "of the network without norms": (
        lambda s: {n: v for n, v in s.items() if "running" not in n},
        "lacks features.1.running_mean",
    ),
    "unexpected": (lambda s: s | {"features.99.weight": torch.zeros(1)}, "features.99.weight besides"),
    "another network": (lambda s: {"conv1.weight": torch.zeros(3)}, "lacks features.0.weight"),
    "misshapen": (
        lambda s: s | {"features.0.weight": torch.zeros(64, 1, 3, 3)},
        r"\(64, 3, 3, 3\), not \(64, 1",
    ),
    "not finite": (lambda s: s | {"features.0.bias": torch.full((64,), torch.nan)}, "finite numbers"),
    "whole numbers": (
        lambda s: s | {"features.0.bias": torch.zeros(64, dtype=torch.int64)},
        "finite numbers",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_does_not_fit_is_refused_and_changes_nothing(whole: State, tmp_path: Path, kind: str) -> None:
    change, message = BAD[kind]
    encoder = VGG16(2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(UserError, match=message):
        load_encoder_weights(encoder, written(tmp_path / "vgg.safetensors", change(whole)))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"no tensors at all", b"\xff" * 64])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vgg.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"vgg.safetensors cannot be read"):
        load_encoder_weights(VGG16(1), path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.safetensors cannot be read"):
        load_encoder_weights(VGG16(1), tmp_path / "nothing.safetensors")


def test_a_pickle_is_not_read_and_the_message_says_how_to_convert_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"weights_only=True\), 'vgg16_bn.safetensors'"):
        load_encoder_weights(VGG16(1), tmp_path / "vgg16_bn.pth")
