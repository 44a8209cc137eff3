"""All networks through the one door: sizes, costs, shapes, padding, and that they learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.crowd.config import NetworkPlan
from pipelines.crowd.model.cost import dense_macs, macs, parameters
from pipelines.crowd.model.hmode import HMoDE
from pipelines.crowd.model.msegnet import MSegNet
from pipelines.crowd.model.msfanet import MSFANet
from pipelines.crowd.model.network import CrowdNetwork, as_input, filled_up
from pipelines.crowd.model.networks import NETWORKS, build_network, start_from
from pipelines.crowd.model.sparse_counter import SparseCounter
from sparse_backbones import engines
from tests.pipelines.crowd.scenes import batch, scene
from tests.pipelines.crowd.train.builders import scene as discs

NATIVE = engines.load("native")
SMALL = {
    "widths": (8, 8, 16, 16, 16),
    "blocks": (1, 1, 1, 1),
    "decoder": (16, 16, 16),
    "decoder_blocks": (1, 1, 1),
}


@cache
def ready(name: str) -> CrowdNetwork:
    """In evaluation mode; many tests share one, as the weights of VGG16 take long to draw."""
    return build(name).eval()


def build(name: str) -> CrowdNetwork:
    torch.manual_seed(0)
    if name == "hmode":
        return HMoDE(width=1 / 16)
    return build_network(NetworkPlan.model_validate({"name": name, **SMALL}), NATIVE)


def on_meta(name: str) -> CrowdNetwork:
    with torch.device("meta"):
        return build_network(NetworkPlan.model_validate({"name": name}), NATIVE)


def test_every_name_of_a_plan_is_a_network() -> None:
    names = NetworkPlan.model_json_schema()["properties"]["name"]["enum"]
    assert list(NETWORKS) == names


@pytest.mark.parametrize(
    ("name", "numbers", "published"),
    [("m-segnet", 9_747_524, 9.75e6), ("m-sfanet", 22_904_388, 22.89e6), ("hmode", 82_621_261, 82.6e6)],
)
def test_parameters_are_as_published(name: str, numbers: int, published: float) -> None:
    network = on_meta(name)
    assert parameters(network) == numbers
    assert numbers == pytest.approx(published, rel=1e-3)


def test_msfanets_published_number_leaves_batch_norms_out() -> None:
    network = on_meta("m-sfanet")
    norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert parameters(network) - sum(parameters(one) for one in norms) == 22_889_154


def test_parameters_of_the_small_ones() -> None:
    assert parameters(on_meta("mcnn")) == 133_705
    assert parameters(on_meta("dense-counter")) == parameters(on_meta("sparse-counter"))
    assert 0.8e6 < parameters(on_meta("sparse-counter")) < 3e6


@pytest.mark.parametrize(("name", "published"), [("m-segnet", 95), ("m-sfanet", 115)])
def test_the_published_multiply_adds_are_those_of_512_px(name: str, published: int) -> None:
    images = torch.empty(1, 3, 512, 512, device="meta")
    assert round(dense_macs(on_meta(name), images) / 1e9) == published


def test_multiply_adds_by_hand() -> None:
    network = on_meta("mcnn")
    pixels, kernels = 0, ((9, 7), (7, 5), (5, 3))
    widths = ((16, 32, 16, 8), (20, 40, 20, 10), (24, 48, 24, 12))
    for (first, other), (a, b, c, d) in zip(kernels, widths, strict=True):
        pixels += 64 * 3 * a * first**2 + 16 * a * b * other**2 + 4 * (b * c + c * d) * other**2
    assert dense_macs(network, torch.empty(1, 3, 8, 8, device="meta")) == pixels + 4 * 30


class OneConvolution(CrowdNetwork):
    """A convolution of 3 x 3 on the pixels that are not 0."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.convolution = NATIVE.MinkowskiConvolution(3, 5, kernel_size=kernel_size, dimension=2)

    def forward(self, images: Tensor) -> Tensor:
        batch, row, column = (images[:, 0] != 0).nonzero().unbind(1)
        places = torch.stack([batch, row, column], 1).int()
        found: Tensor = self.convolution(NATIVE.SparseTensor(images[batch, :, row, column], places)).F
        return found


def test_multiply_adds_of_sites_are_those_of_pairs_that_touch() -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[:, :, 2, 2] = image[:, :, 3, 3] = image[:, :, 7, 0] = 1
    # Each of three sites with itself, and two of them with each other.
    assert macs(OneConvolution(3), image) == (3 + 2) * 3 * 5
    assert macs(OneConvolution(1), image) == 3 * 3 * 5


def test_multiply_adds_of_a_sparse_decoder_follow_the_open_blocks() -> None:
    network = build_network(NetworkPlan(name="sparse-counter"), NATIVE)
    whole = build_network(NetworkPlan(name="dense-counter"), NATIVE)
    assert isinstance(network, SparseCounter)
    image = torch.randn(1, 3, 192, 256, generator=torch.Generator().manual_seed(0))
    network.threshold = 0.0
    every = macs(network, image)
    network.threshold = 1.1
    none = macs(network, image)
    assert none < 0.8 * every
    # A dense convolution multiplies the padding at the border, too.
    assert 0.9 * dense_macs(whole, image) < every < dense_macs(whole, image)


@pytest.mark.parametrize("name", NETWORKS)
def test_images_of_any_size_have_a_block_for_every_part(name: str) -> None:
    network = ready(name)
    with torch.inference_mode():
        found = network.count(torch.randn(2, 3, 37, 50))
    rows, columns = -(-37 // network.stride), -(-50 // network.stride)
    assert found.counts.shape == (2, rows, columns)
    assert found.counts.dtype == torch.float32 and found.counts.isfinite().all()
    assert found.stride == network.stride
    ours = name.endswith("counter")
    assert (found.variance is not None) == ours and (found.gate is not None) == ours


@pytest.mark.parametrize("name", NETWORKS)
def test_filling_up_keeps_the_counts(name: str) -> None:
    """What `count` gives is what the network says of the filled image, read where the image is."""
    network = ready(name)
    images = torch.randn(1, 3, 37, 50)
    with torch.inference_mode():
        part = network.count(images).counts
        whole = network.block_counts(filled_up(images, network.multiple)).counts
    torch.testing.assert_close(part, whole[:, : part.shape[1], : part.shape[2]])


@pytest.mark.parametrize("name", NETWORKS)
def test_targets_hold_the_number_of_heads(name: str) -> None:
    network = ready(name)
    pixels, points = scene(64, 12)
    target = network.target(points, *pixels.shape[:2])
    assert target.dtype == np.float32
    assert target.shape == (64 // network.stride, 64 // network.stride)
    assert target.sum() == pytest.approx(12, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "rate"),
    [(MSegNet, 1e-3), (MSFANet, 1e-3), (partial(HMoDE, width=1 / 16), 1e-2)],
    ids=["m-segnet", "m-sfanet", "hmode"],
)
def test_published_networks_learn_how_many_there_are(make: Callable[[], CrowdNetwork], rate: float) -> None:
    torch.manual_seed(0)
    network = make().train()
    scenes = [discs(number, 64, 64, seed=number) for number in (2, 9)]
    images = as_input(np.stack([pixels for pixels, _ in scenes]))
    target = torch.from_numpy(np.stack([network.target(points, 64, 64) for _, points in scenes]))
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(20):
        loss = network.losses(images, target)["loss"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        counts = network.block_counts(images).counts.sum((1, 2))
    assert counts.tolist() == pytest.approx([2, 9], abs=1.5)


@pytest.mark.parametrize("name", ["sparse-counter", "dense-counter", "mcnn"])
def test_it_learns_two_images(name: str) -> None:
    network = build(name).train()
    images, target = batch(network, 32)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    seen = list[float]()
    for _ in range(12):
        torch.manual_seed(0)  # the same negatives and the same dropped channels in every step
        loss = network.losses(images, target)["loss"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seen.append(loss.item())
    assert np.isfinite(seen).all()
    assert seen[-1] < 0.9 * seen[0], seen
    assert all(one.grad is not None for one in network.parameters() if one.requires_grad)


@pytest.mark.parametrize("name", NETWORKS)
def test_sides_that_are_no_multiples_are_refused_in_training(name: str) -> None:
    network = ready(name)
    side = network.multiple + 2
    with pytest.raises(ValueError, match=rf"fill up to {2 * network.multiple} x {network.multiple}"):
        network.losses(torch.zeros(2, 3, side, network.multiple), torch.zeros(2, 1, 1))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 0, 32)])
def test_other_shapes_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(B, 3, H, W\)"):
        ready("mcnn").count(torch.zeros(shape))


def test_pixels_become_imagenets_numbers() -> None:
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    pixels[0, 0, 1] = (255, 0, 128)
    found: Tensor = as_input(pixels)
    assert found.shape == (1, 3, 2, 2)
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225])
    torch.testing.assert_close(found[0, :, 0, 1], expected)


@pytest.mark.parametrize("pixels", [np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2, 2, 3), np.float32)])
def test_other_pixels_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels must be uint8"):
        as_input(pixels)


@pytest.mark.parametrize("name", ["mcnn", "sparse-counter"])
def test_networks_without_vgg_take_no_encoder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="m-segnet, m-sfanet and hmode"):
        start_from(ready(name), tmp_path / "vgg.safetensors")
