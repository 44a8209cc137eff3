"""Crops and their heads, splits, and images made ready."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.crowd.data import Case, read_dataset
from pipelines.crowd.train.config import TrainConfig
from pipelines.crowd.train.crops import Crops, chances, cut, recoloured
from pipelines.crowd.train.images import TrainingImage, fitted, prepare_images
from pipelines.crowd.train.run import new_network
from pipelines.crowd.train.split import split_cases
from tests.pipelines.crowd.train.builders import scene, small, write_scenes


def image(number: int = 20, height: int = 120, width: int = 160) -> TrainingImage:
    pixels, points = scene(number, height, width)
    return TrainingImage("scene", pixels, points)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.7])
def test_heads_stay_on_what_they_mark(factor: float) -> None:
    """Every disc is bright at its middle, before and after the crop is made larger or smaller."""
    seen = 0
    for seed in range(10):
        pixels, points = cut(image(), 64, factor, np.random.default_rng(seed))
        assert pixels.shape == (64, 64, 3)
        inner = points[(points > 3).all(axis=1) & (points < 61).all(axis=1)]
        seen += len(inner)
        for x, y in inner:
            assert pixels[int(y), int(x)].min() > 150
    assert seen


def test_a_flipped_crop_has_flipped_heads() -> None:
    config = small(flip=1.0, gamma=0, noise=0, gray=0, scale=1, batch_size=8)
    crops = Crops([image()], new_network(config), config)
    rng = np.random.default_rng(1)
    for _ in range(4):
        pixels, points = crops._one(rng)
        for x, y in points[(points > 3).all(axis=1) & (points < 61).all(axis=1)]:
            assert pixels[int(y), int(x)].min() > 150


def test_an_image_smaller_than_a_crop_is_filled_up() -> None:
    whole = image(height=40, width=30)
    pixels, points = cut(whole, 64, 1.0, np.random.default_rng(0))
    assert (pixels[:40, :30] == whole.pixels).all()
    assert (pixels[40:, :30] == whole.pixels[-1]).all()
    assert (pixels[:40, 30:] == whole.pixels[:, -1:]).all()
    assert len(points) == len(whole.points)


def test_batches_follow_from_the_generator_and_targets_count_the_heads() -> None:
    config = small(batch_size=5)
    crops = Crops([image()], new_network(config), config)
    images, targets = crops.batch(np.random.default_rng(3))
    again, _ = crops.batch(np.random.default_rng(3))
    assert images.shape == (5, 3, 64, 64)
    assert targets.shape == (5, 8, 8)
    assert (images == again).all()
    assert float(targets.sum()) == round(float(targets.sum())) > 0


def test_colours_change_within_bounds_and_not_without_strengths() -> None:
    pixels = image().pixels
    plain = small(gamma=0, gray=0, noise=0)
    assert (recoloured(pixels, plain, np.random.default_rng(0)) == pixels).all()
    changed = recoloured(pixels, small(gamma=0.5, gray=1.0), np.random.default_rng(0))
    assert changed.dtype == np.uint8
    assert (changed[..., 0] == changed[..., 1]).all()


def test_large_images_are_reduced_with_their_heads(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "scenes", [6])
    (whole,), _ = prepare_images(read_dataset(data).cases, 2048, tmp_path / "a", lambda text: None)
    (half,), _ = prepare_images(read_dataset(data).cases, 64, tmp_path / "b", lambda text: None)
    assert half.pixels.shape == (48, 64, 3)
    assert half.points == pytest.approx(whole.points / 2)
    assert fitted(np.zeros((10, 20, 3), np.uint8), 20).shape == (10, 20, 3)


@pytest.mark.parametrize(
    ("max_side", "enlarge", "width"), [(2048, 1.5, 192), (160, 1.5, 160), (64, 1.5, 64), (0, 2.0, 256)]
)
def test_images_are_enlarged_but_not_beyond_the_largest(max_side: int, enlarge: float, width: int) -> None:
    pixels, _ = scene(5)  # 96 x 128 px
    assert fitted(pixels, max_side, enlarge).shape[1] == width


def test_heads_are_enlarged_with_their_image(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "scenes", [6])
    (whole,), _ = prepare_images(read_dataset(data).cases, 2048, tmp_path / "a", lambda text: None)
    (large,), _ = prepare_images(
        read_dataset(data).cases, 2048, tmp_path / "a", lambda text: None, enlarge=1.5
    )
    assert large.pixels.shape == (144, 192, 3)
    assert large.points == pytest.approx(whole.points * 1.5)


def test_images_above_the_limit_are_left_out_until_it_is_raised(tmp_path: Path) -> None:
    cases, folder = read_dataset(write_scenes(tmp_path / "scenes", [6])).cases, tmp_path / "a"
    with pytest.raises(UserError, match=r"128 x 96 pixels.*raise the limit with --set max_pixels=N"):
        prepare_images(cases, 2048, folder, lambda text: None, max_pixels=128 * 96 - 1)
    images, left_out = prepare_images(cases, 2048, folder, lambda text: None, max_pixels=128 * 96)
    assert len(images) == 1 and not left_out


def test_prepared_images_are_read_again_only_if_their_files_changed(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "scenes", [3, 4])
    prepare_images(read_dataset(data).cases, 2048, tmp_path / "a", lambda text: None)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "a").glob("*.npy")}
    write_scenes(data, [3, 9])
    images, _ = prepare_images(read_dataset(data).cases, 2048, tmp_path / "a", lambda text: None)
    assert [len(one.points) for one in images] == [3, 9]
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "a").glob("*.npy")}
    assert after["000001.npy"] > before["000001.npy"]


def test_a_small_data_set_counts_beside_a_large_one() -> None:
    chance = chances(["large"] * 400 + ["small"] * 25)
    assert chance.sum() == pytest.approx(1)
    assert chance[:400].sum() == pytest.approx(20 / 25)
    assert chance[400:].sum() == pytest.approx(5 / 25)


def cases(names: list[str], split: str = "") -> list[Case]:
    return [Case(name, Path(name), labels=Path(name), split=split) for name in names]


def test_a_split_is_random_but_follows_from_names_and_seed() -> None:
    names = [f"image{number}" for number in range(300)]
    training, held_out = split_cases(cases(names), 0.2, 0)
    assert len(training) == 240
    assert len(held_out) == 60
    again = split_cases(cases(names[::-1]), 0.2, 0)[1]
    assert {one.name for one in again} == {one.name for one in held_out}
    assert {one.name for one in split_cases(cases(names), 0.2, 1)[1]} != {one.name for one in held_out}


def test_named_splits_are_kept_and_test_images_are_not_touched() -> None:
    mixed = [*cases(["a", "b"], "train"), *cases(["c"], "val"), *cases(["d"], "test")]
    training, held_out = split_cases(mixed, 0.2, 0)
    assert [one.name for one in training] == ["a", "b"]
    assert [one.name for one in held_out] == ["c"]
    with pytest.raises(UserError, match="no labelled image"):
        split_cases(cases(["d"], "test"), 0.2, 0)


def test_crops_that_no_network_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        TrainConfig(crop=100)
