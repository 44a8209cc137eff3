"""Views, sites and the networks on them: what is seen and what is not, and that sizes are learnt."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.polyp.aggregate import spread
from pipelines.polyp.config import NetworkPlan
from pipelines.polyp.data.record import Box, Camera
from pipelines.polyp.model.distribution import expected_mm, loss_of
from pipelines.polyp.model.gates import gates_of
from pipelines.polyp.model.network import Seen, Sizer, build_network
from pipelines.polyp.model.routing import make_optimisers, step
from pipelines.polyp.model.sites import sites_of
from pipelines.polyp.model.views import MEASURED, NUMBERS, around, cut, numbers_of, views
from pipelines.polyp.size_bins import BINS, bin_middles
from sparse_backbones import engines

NATIVE = engines.load("native")
PLANS: dict[str, dict[str, Any]] = {
    "resnet18": {"backbone": "resnet18", "side": 32},
    "vit-tiny": {"backbone": "vit-tiny", "side": 32},
    "sparse-resnet": {"backbone": "sparse-resnet", "side": 64, "widths": (8, 16, 16), "blocks": (1, 1, 1)},
}
CAMERA = Camera(120, 80, 70.0, 70.0, 60.0, 40.0, -0.3)


def frame(diameter: float = 24.0, seed: int = 0) -> Seen:
    """80 x 120 px of noise with a bright disc in the middle."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (80, 120, 3)).astype(np.uint8)
    row, column = np.mgrid[:80, :120] + 0.5
    mask = (row - 40) ** 2 + (column - 60) ** 2 < (diameter / 2) ** 2
    pixels[mask] = 220
    half = diameter / 2
    return Seen(pixels, (60 - half, 40 - half, 60 + half, 40 + half), mask, camera=CAMERA)


def build(name: str, **changes: Any) -> Sizer:
    torch.manual_seed(0)
    return build_network(NetworkPlan.model_validate({**PLANS[name], **changes}), NATIVE)


def test_the_crop_is_not_stretched_and_has_half_a_box_around_it() -> None:
    assert around((10, 20, 30, 30), 0.5) == (0, 5, 40, 45)
    seen = frame()
    crop = views(seen.pixels, seen.box, 48).crop
    rows, columns = np.nonzero(crop.min(2) > 150)
    assert np.ptp(rows) + 1 == pytest.approx(24, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(24, abs=1)


def test_the_whole_frame_shows_the_lesion_alone_at_its_apparent_size() -> None:
    seen = frame()
    whole = views(seen.pixels, seen.box, 120).frame
    assert (whole[80:] == 0).all()  # below the frame, which is wider than high
    assert (whole[:20] == 0).all()
    assert (whole[:, :40] == 0).all()
    assert int((whole.min(2) > 150).sum()) == pytest.approx(np.pi * 12**2, rel=0.05)


@pytest.mark.parametrize(
    "box", [(-30.0, -30.0, 5.0, 5.0), (118.0, 78.0, 140.0, 90.0), (50.0, 40.0, 50.0, 40.0)]
)
def test_boxes_at_and_beyond_the_edge_are_cut(box: Box) -> None:
    seen = frame()
    found = views(seen.pixels, box, 32, camera=CAMERA)
    assert found.crop.shape == found.frame.shape == (32, 32, 3)
    assert np.isfinite(found.numbers).all()


def test_what_lies_outside_the_image_is_black() -> None:
    white = np.full((10, 10), 255, np.uint8)
    found = cut(white, (-5.0, -5.0, 5.0, 5.0), 10)
    assert (found[:4, :] == 0).all()
    assert (found[6:, 6:] == 255).all()


def test_depths_are_relative_to_the_lesion() -> None:
    seen = frame()
    depth = np.full((80, 120), 30.0, np.float32)
    depth[seen.mask] = 20.0
    depth[0, 0] = np.nan
    found = views(seen.pixels, seen.box, 48, depth=depth).depth
    assert found is not None
    assert found[24, 24] == pytest.approx(0)
    assert found[1, 1] == pytest.approx(0.5, abs=0.02)
    twice = views(seen.pixels, seen.box, 48, depth=2 * depth).depth
    assert twice == pytest.approx(found, abs=1e-6)


def test_numbers_of_a_known_camera_do_not_change_with_the_resolution() -> None:
    box = (40.0, 20.0, 70.0, 44.0)
    one = numbers_of(box, 120, 80, CAMERA)
    other = numbers_of((80.0, 40.0, 140.0, 88.0), 240, 160, CAMERA)
    assert one == pytest.approx(other, abs=1e-6)
    assert len(one) == NUMBERS
    assert (numbers_of(box, 120, 80, None)[4:] == 0).all()
    depth = np.full((80, 120), 25.0, np.float32)
    known = numbers_of(box, 120, 80, CAMERA, depth)
    assert (known[:9] == one[:9]).all()
    assert known[9] == 1
    assert known[10] == pytest.approx(np.log(25 * np.exp(max(one[5:7]))), abs=1e-5)
    assert (numbers_of(box, 120, 80, None, depth)[4:] == 0).all(), "depths alone give no width"
    assert (numbers_of(box, 120, 80, CAMERA, np.full_like(depth, np.nan))[9:] == 0).all()


def test_sites_are_the_lesion_and_its_rim() -> None:
    seen = frame(24)
    found = sites_of(seen.pixels, seen.box, 120, rim=0.25, mask=seen.mask)
    inside = found.features[:, 3] > 0
    assert int(inside.sum()) == int(seen.mask.sum())  # type: ignore[union-attr]
    away = np.hypot(*(found.places + 0.5 - [40, 60]).T)
    assert away.max() == pytest.approx(12 + 6, abs=1)
    assert len(found.places) == pytest.approx(np.pi * 18**2, rel=0.05)
    box_alone = sites_of(seen.pixels, seen.box, 120, rim=0.25)
    assert len(box_alone.places) == pytest.approx(len(found.places), rel=0.05)


def test_a_lesion_smaller_than_a_pixel_is_a_site() -> None:
    found = sites_of(frame().pixels, (60.0, 40.0, 60.1, 40.1), 32, rim=0.0)
    assert len(found.places) == 1


@pytest.mark.parametrize("name", list(PLANS))
@pytest.mark.parametrize("gated", [True, False])
def test_each_network_gives_a_distribution_for_each_frame(name: str, gated: bool) -> None:
    network = build(name, gated=gated).eval()
    batch = [network.encode(frame(size)) for size in (6, 30, 50)]
    with torch.inference_mode():
        together = network(batch)
        alone = torch.cat([network([one]) for one in batch])
    assert together.shape == (3, BINS)
    assert torch.allclose(together, alone, atol=1e-4)


def test_a_sparse_network_does_not_see_what_lies_beyond_the_rim() -> None:
    network = build("sparse-resnet").eval()
    seen = frame(20)
    changed = seen.pixels.copy()
    changed[:15] = 255
    changed[:, :30] = 255
    with torch.inference_mode():
        one = network([network.encode(seen)])
        other = network([network.encode(Seen(changed, seen.box, seen.mask, camera=CAMERA))])
    assert torch.equal(one, other)


def test_a_sparse_network_has_a_gate_after_each_stage() -> None:
    plain, gated = build("sparse-resnet", gated=False).eval(), build("sparse-resnet").eval()
    gates = gates_of(gated)
    assert [gate.score.shape[1] for gate in gates.values()] == [16, 16, 128 + 128, 128]
    assert not gates_of(plain)
    own = plain.state_dict()
    for name, value in gated.state_dict().items():
        # A stage that is gated lies one level deeper.
        within = re.sub(r"(backbone\.stages\.\d+)\.0", r"\1", name)
        if within in own:
            value.copy_(own.pop(within))
    assert not own, "every weight of the plain network has its place in the gated one"
    batch = [gated.encode(frame())]
    with torch.inference_mode():
        for gate in gates.values():
            gate.score.fill_(40.0)
        assert torch.allclose(gated(batch), plain(batch), atol=1e-5), "open gates change nothing"
        last = list(gates.values())[1]
        last.score.fill_(-40.0)
        shut = gated(batch)
        dark = replace(frame(), pixels=np.zeros_like(frame().pixels))
        assert torch.allclose(gated([gated.encode(dark)]), shut), "shut gates let nothing through"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("resnet18", 40), ("vit-tiny", 180), ("sparse-resnet", 100)])
def test_apparent_size_is_learnt(name: str, steps: int) -> None:
    network = build(name, streams=("frame",)).train()
    sizes = torch.tensor([2.0, 4.0, 7.0, 12.0])
    batch = [network.encode(frame(4 * float(size), seed)) for seed, size in enumerate(sizes)]
    optimisers = make_optimisers(network, 1e-3, 0.0, gate_rate=1e-3, routed=True)
    known = torch.zeros(4, dtype=torch.bool)
    for _ in range(steps):
        step(lambda: loss_of(network(batch), sizes, known), optimisers)
    with torch.no_grad():
        found = expected_mm(network(batch))
    assert found.tolist() == sorted(found.tolist())
    assert found.tolist() == pytest.approx(sizes.tolist(), rel=0.5)


@pytest.mark.parametrize("name", PLANS)
def test_an_untrained_network_of_depths_says_about_what_was_measured(name: str) -> None:
    network = build(name, depth=True).eval()
    depth = np.full((80, 120), 25.0, np.float32)
    known = replace(frame(), depth=depth)
    further = replace(known, depth=2 * depth)
    with torch.inference_mode():
        found, double, unknown = (
            float(expected_mm(network([network.encode(one)]))) for one in (known, further, frame())
        )
    measured = float(np.exp(network.encode(known).numbers[MEASURED + 1]))
    assert found == pytest.approx(measured, rel=0.25)
    assert double == pytest.approx(2 * measured, rel=0.25)
    assert unknown == pytest.approx(float(bin_middles().mean()), rel=0.1), "all sizes alike"


def test_a_map_of_depths_can_be_trusted_more_than_an_estimate() -> None:
    network = build("sparse-resnet", depth=True).eval()
    known = replace(frame(), depth=np.full((80, 120), 25.0, np.float32))
    guessed = replace(known, estimated=True)
    views = [network.encode(known), network.encode(guessed)]
    assert views[1].numbers[MEASURED:].tolist() == [-1.0, views[0].numbers[MEASURED + 1]]
    with torch.no_grad():
        network.get_parameter("hidden.measured.log_deviations").copy_(torch.tensor([0.05, 0.4]).log())
        spreads = [spread(row) for row in network(views).softmax(1)]
    assert spreads == pytest.approx([0.05, 0.4], rel=0.25)
