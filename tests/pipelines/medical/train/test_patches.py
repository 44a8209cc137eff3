from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.medical.config import Foreground
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.train.cases import TrainingCase, prepare_cases
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.loss import DeepSupervision
from pipelines.medical.train.patches import Patches, cut
from tests.pipelines.medical.builders import small_plan, write_dataset

STILL = TrainConfig(turn_degrees=0, scale=0, intensity=0, mirror=())


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingCase]:
    folder = tmp_path_factory.mktemp("cases")
    data = read_dataset(write_dataset(folder / "data", 2))
    return prepare_cases(data.cases, small_plan(), folder / "prepared", lambda text: None)[0]


def test_the_same_seed_draws_the_same_batch(cases: list[TrainingCase]) -> None:
    patches = Patches(cases, small_plan(), TrainConfig())
    images, labels, active = patches.batch(np.random.default_rng(7))
    again, labels_again, _ = patches.batch(np.random.default_rng(7))
    other, _, _ = patches.batch(np.random.default_rng(8))
    assert torch.equal(images, again) and torch.equal(labels, labels_again)
    assert not torch.equal(images, other)
    assert images.shape == (2, 1, 16, 16, 16) and images.dtype == torch.float32
    assert labels.shape == (2, 16, 16, 16) and labels.dtype == torch.int64 and active is None


def test_a_patch_that_nothing_changes_is_part_of_its_case(cases: list[TrainingCase]) -> None:
    plan = small_plan(batch_size=1)
    images, labels, _ = Patches(cases[:1], plan, STILL).batch(np.random.default_rng(0))
    whole = np.array(cases[0].images[0])
    middle = np.argwhere(whole == images[0, 0, 8, 8, 8].item())[0]
    assert np.array_equal(cut(whole[None], middle, plan.patch), images[0].numpy())
    assert np.array_equal(cut(np.array(cases[0].labels)[None], middle, plan.patch)[0], labels[0].numpy())


def test_turned_patches_keep_image_and_labels_together(cases: list[TrainingCase]) -> None:
    config = TrainConfig(turn_degrees=30, scale=0.2, intensity=0, mirror=("x", "y", "z"))
    patches = Patches(cases, small_plan(), config)
    rng = np.random.default_rng(1)
    bright, rest = [], []
    for _ in range(6):
        images, labels, _ = patches.batch(rng)
        bright.append(images[:, 0][labels == 2])
        rest.append(images[:, 0][labels == 0])
    assert torch.cat(bright).mean() > torch.cat(rest).mean() + 1.5


def test_labelled_places_are_in_the_middle_as_often_as_asked(cases: list[TrainingCase]) -> None:
    always = STILL.model_copy(update={"foreground_share": 1.0})
    rng = np.random.default_rng(2)
    patches = Patches(cases, small_plan(), always)
    middles = [patches.batch(rng)[1][:, 8, 8, 8] for _ in range(10)]
    assert (torch.cat(middles) > 0).all()
    assert set(torch.cat(middles).tolist()) == {1, 2}


def test_active_voxels_travel_with_the_patch(tmp_path: Path) -> None:
    data = read_dataset(write_dataset(tmp_path / "data", 1))
    plan = small_plan(foreground=Foreground(rule="above", threshold=2.5, halo=0))
    cases, _ = prepare_cases(data.cases, plan, tmp_path / "prepared", lambda text: None)
    images, _, active = Patches(cases, plan, STILL).batch(np.random.default_rng(0))
    assert active is not None and active.dtype == torch.bool and 0 < active.float().mean() < 0.5
    raw = images[:, 0]
    assert raw[active].min() > raw[~active].max()


def test_a_box_that_leaves_the_array_is_filled_with_zeros() -> None:
    array = np.arange(1, 28, dtype=np.float32).reshape(1, 3, 3, 3)
    assert np.array_equal(cut(array, (1, 1, 1), (3, 3, 3)), array)
    corner = cut(array, (0, 0, 0), (4, 4, 4))
    assert corner.shape == (1, 4, 4, 4)
    assert np.array_equal(corner[:, 2:, 2:, 2:], array[:, :2, :2, :2])
    assert (corner[:, :2] == 0).all()
    assert (cut(array, (50, 1, 1), (3, 3, 3)) == 0).all()


def test_the_loss_is_small_for_the_truth_and_large_for_its_opposite() -> None:
    labels = torch.randint(0, 3, (2, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    right = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float() * 40 - 20
    coarse = right[:, :, ::2, ::2, ::2]
    loss = DeepSupervision()
    assert loss([right, coarse], labels) < 0.01
    assert loss([-right, -coarse], labels) > 1.0
    # The coarser head counts half of the finer one.
    mixed = loss([right, -coarse], labels)
    wrong = loss([-coarse], labels[:, ::2, ::2, ::2])
    assert mixed == pytest.approx(float(wrong) / 3, rel=0.05)
