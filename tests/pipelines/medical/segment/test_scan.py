"""Tiles against the whole, sparse blocks against the whole, and what is skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.common.errors import UserError
from pipelines.medical.config import Foreground, Plan
from pipelines.medical.flips import EVERY
from pipelines.medical.prepare import prepare
from pipelines.medical.segment import scan as scan_module
from pipelines.medical.segment.blocks import Blocks, plan_blocks
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.predict import Predictor
from pipelines.medical.segment.scan import Answer, Scan, scan
from pipelines.medical.segment.scores import Scorer
from tests.pipelines.medical.segment.made import (
    CPU,
    Threshold,
    lively_unet,
    noise,
    predictor_of,
    save_tiny,
    threshold_plan,
    unet_plan,
    volume,
)

ABOVE = Foreground(rule="above", threshold=1.2, halo=1)


def run(plan: Plan, *members: Any, shape: tuple[int, int, int] = (37, 30, 41), **how: Any) -> Answer:
    scorer = Scorer(members, CPU, mirror=how.pop("mirror", ()))
    classes = 1 + len(plan.labels)
    prepared = prepare([volume(noise(shape))], plan)
    return scan(prepared, scorer, Scan(plan.network, classes, plan.patch, **how))


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_of_a_threshold_are_the_threshold(overlap: float, batch: int) -> None:
    plan = threshold_plan(0.0, 1.0)
    answer = run(plan, Threshold(0.0, 1.0), overlap=overlap, batch=batch)
    image = noise((37, 30, 41))
    assert np.array_equal(answer.classes, (image > 0).astype(int) + (image > 1))
    assert answer.computed == 1.0


def test_one_tile_over_all_is_the_network_itself() -> None:
    plan = unet_plan("dense-unet", patch=(40, 32, 44))
    network = lively_unet(plan)
    answer = run(plan, network)
    image = torch.zeros(1, 1, 40, 32, 44)
    image[0, 0, 1:38, 1:31, 1:42] = torch.from_numpy(noise((37, 30, 41)))
    with torch.inference_mode():
        best, labels = torch.softmax(network(image)[0][0], 0).max(0)
    inner = slice(1, 38), slice(1, 31), slice(1, 42)
    assert len(np.unique(answer.classes)) == 3
    assert np.array_equal(answer.classes, labels[inner].numpy())
    assert np.abs(answer.doubt / 255 - (1 - best[inner].numpy())).max() < 0.003


def test_flips_are_those_of_the_training(tmp_path: Path) -> None:
    asked = SegmentConfig(model=str(save_tiny(tmp_path / "sideways", mirror=("x",))), mirror=True)
    assert Predictor.load(asked).scorer.flips == ((), (0,))
    asked = SegmentConfig(model=str(save_tiny(tmp_path / "silent")), mirror=True)
    assert len(Predictor.load(asked).scorer.flips) == 8
    asked = SegmentConfig(model=str(save_tiny(tmp_path / "upright", mirror=())), mirror=True)
    with pytest.raises(UserError, match="was not trained on mirrored images"):
        Predictor.load(asked)


def test_members_and_flips_are_averaged() -> None:
    plan = unet_plan("dense-unet", patch=(40, 32, 44))
    members = [lively_unet(plan, seed) for seed in (0, 1)]
    image = torch.from_numpy(noise((40, 32, 44)))[None, None]
    found = Scorer(members, CPU, mirror=EVERY).grids(image, None)
    expected = torch.zeros_like(found)
    with torch.inference_mode():
        for axes in ([], [2], [3], [4], [2, 3], [2, 4], [3, 4], [2, 3, 4]):
            for member in members:
                expected += torch.softmax(member(image.flip(axes))[0], 1).flip(axes) / 16
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("mirror", "rule"), [((), Foreground()), ((), ABOVE), (EVERY, ABOVE), (("y",), ABOVE)]
)
def test_sparse_blocks_give_what_the_whole_gives(
    mirror: tuple[str, ...], rule: Foreground, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = unet_plan(foreground=rule)
    network = lively_unet(plan)
    shape = (14, 13, 70)
    whole = run(plan, network, shape=shape, mirror=mirror)
    used: list[Blocks] = []

    def in_blocks(*args: Any, **kwargs: Any) -> Blocks | None:
        blocks = plan_blocks(*args, **{**kwargs, "most_planes": 8, "most_work": 100.0})
        assert blocks is not None
        used.append(blocks)
        return blocks

    monkeypatch.setattr(scan_module, "plan_blocks", in_blocks)
    parts = run(plan, network, shape=shape, mirror=mirror)
    assert used[0].sides[2] == 8 and used[0].shape == shape
    assert len(np.unique(whole.classes)) == 3
    assert (parts.classes == whole.classes).mean() > 0.9999
    assert np.abs(parts.doubt.astype(int) - whole.doubt).max() <= 1
    assert parts.computed == whole.computed


def test_sparse_and_dense_agree_on_a_full_grid() -> None:
    dense = lively_unet(unet_plan("dense-unet"))
    plan = unet_plan("dense-unet", patch=(32, 32, 32))
    sparse = lively_unet(unet_plan("sparse-unet"), seed=1)
    sparse.load_shared(dense.shared_weights())
    one = run(plan, dense, shape=(32, 32, 32))
    two = run(unet_plan("sparse-unet", patch=(32, 32, 32)), sparse, shape=(32, 32, 32))
    assert (one.classes == two.classes).mean() > 0.999
    assert np.abs(one.doubt.astype(int) - two.doubt).max() <= 1


@pytest.mark.parametrize("name", ["dense-unet", "sparse-unet"])
def test_a_model_runs_as_the_other_network(name: str) -> None:
    plan = unet_plan(name, patch=(32, 32, 32))
    other = "sparse-unet" if name == "dense-unet" else "dense-unet"
    member = lively_unet(plan)
    case = [volume(noise((32, 32, 32)))]
    same = predictor_of(plan, member).predict(case)
    turned = predictor_of(plan, member, network=other)
    assert turned.plan.network.name == other
    assert turned.scorer.sparse == (other == "sparse-unet")
    assert (same.labels == turned.predict(case).labels).mean() > 0.999


def test_work_that_tiles_do_with_less_is_left_to_tiles() -> None:
    active = torch.ones(64, 64, 64, dtype=torch.bool)
    common: dict[str, Any] = {"reach": (30, 30, 30), "stride": (8, 8, 8), "slow": 2, "most_planes": 64}
    assert plan_blocks(active, (64, 64, 64), most_sites=9_000, most_work=8.0, **common) is None
    blocks = plan_blocks(active, (64, 64, 64), most_sites=64**3, most_work=8.0, **common)
    assert blocks is not None and blocks.sides == (64, 64, 64)


def test_a_sparse_network_may_go_by_tiles_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "plan_blocks", lambda *args, **kwargs: None)
    plan = unet_plan(foreground=ABOVE)
    answer = run(plan, lively_unet(plan))
    prepared = prepare([volume(noise((37, 30, 41)))], plan)
    assert prepared.active is not None
    assert not answer.classes[~prepared.active.numpy()].any()
    assert answer.classes.any()


def test_tiles_without_foreground_are_not_asked_and_are_background() -> None:
    image = np.zeros((64, 16, 16), np.float32)
    image[:10] = 5.0
    image[40:, :, :] = 0.5  # above the network's threshold, but not above the rule's
    plan = threshold_plan(0.25, foreground=Foreground(rule="above", threshold=1.0, halo=0))
    network = Threshold(0.25)
    prepared = prepare([volume(image)], plan)
    answer = scan(prepared, Scorer([network], CPU), Scan(plan.network, 2, plan.patch, overlap=0.0))
    assert network.asked == 1 and answer.computed == 0.25
    assert answer.classes[:10].all() and not answer.classes[10:].any()
    assert (answer.doubt[40:] == 0).all()


@pytest.mark.parametrize(("rule", "asked"), [("none", 4), ("auto", 1), ("nonzero", 3), ("above:0.4", 3)])
def test_the_rule_can_be_overruled(rule: str, asked: int) -> None:
    image = np.zeros((64, 16, 16), np.float32)
    image[:10] = 5.0
    image[40:, :, :] = 0.5
    plan = threshold_plan(0.25, foreground=Foreground(rule="above", threshold=1.0, halo=0))
    network = Threshold(0.25)
    predictor_of(plan, network, foreground=rule, overlap=0.0).predict([volume(image)])
    assert network.asked == asked


def test_progress_goes_up_to_one() -> None:
    for name in ("dense-unet", "sparse-unet"):
        plan = unet_plan(name)
        told: list[float] = []
        prepared = prepare([volume(noise((37, 30, 41)))], plan)
        scan(prepared, Scorer([lively_unet(plan)], CPU), Scan(plan.network, 3, plan.patch), told.append)
        assert told == sorted(told) and told[-1] == 1.0
