"""Volumes as they are found, prepared and cropped."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.medical.config import Foreground
from pipelines.medical.pretrain.inputs import find_images
from pipelines.medical.pretrain.simple_plan import fit_patch, simple_plan
from pipelines.medical.pretrain.volumes import Prepared, batch, crop, cut, middle, prepare_volumes
from tests.pipelines.medical.builders import small_plan, write_dataset


def silent(text: str) -> None:
    """Says nothing."""


def save(path: Path, array: NDArray[np.generic], spacing: tuple[float, float, float] = (1, 1, 1)) -> Path:
    nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), path)
    return path


def prepared(shape: tuple[int, int, int], active: bool = False) -> Prepared:
    """A volume whose voxels say where they are: 1 + their number."""
    images = 1 + np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
    if not active:
        return Prepared("one", images, None, None)
    inside = np.zeros(shape, np.bool_)
    inside[0, :2, -1] = True
    return Prepared("one", images, inside, np.argwhere(inside).astype(np.int32))


def test_label_maps_are_not_learnt_from(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 2)
    (data / "README.txt").write_text("about")
    cases, left_out = find_images([data], ("image",))
    assert [case.name for case in cases] == ["case_00", "case_01"] and not left_out
    cases, _ = find_images([data / "imagesTr", data / "labelsTr"], ("image",))
    found, left_out = prepare_volumes(cases, small_plan(), tmp_path / "made", silent)
    assert len(found) == 2 and len(left_out) == 2
    assert all("label map" in one.reason and not one.failed for one in left_out)


def test_a_damaged_volume_is_left_out_with_its_reason(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", 2)
    whole = (data / "imagesTr" / "case_00.nii.gz").read_bytes()
    (data / "imagesTr" / "case_00.nii.gz").write_bytes(whole[: len(whole) // 2])
    save(data / "imagesTr" / "nan.nii.gz", np.full((8, 8, 8), np.nan, np.float32))
    save(data / "imagesTr" / "flat.nii.gz", np.zeros((8, 8, 8), np.float32))
    cases, _ = find_images([data], ("image",))
    found, left_out = prepare_volumes(cases, small_plan(), tmp_path / "made", silent)
    assert [one.name for one in found] == ["case_01"]
    assert {one.name: one.failed for one in left_out} == {"case_00": True, "flat": False, "nan": True}


def test_nothing_to_learn_from_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no volume to learn from: .*has no files"):
        find_images([tmp_path], ("image",))
    path = save(tmp_path / "flat.nii.gz", np.ones((8, 8, 8), np.float32))
    with pytest.raises(UserError, match="flat: all its voxels are the same"):
        prepare_volumes(find_images([path], ("image",))[0], small_plan(), tmp_path / "made", silent)
    with pytest.raises(UserError, match="from one folder"):
        find_images([path], ("T1", "T2"))


def test_prepared_volumes_are_used_again_until_file_or_plan_changes(tmp_path: Path) -> None:
    path = save(tmp_path / "one.nii.gz", np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32))
    cases, _ = find_images([path], ("image",))

    def again(side: float = 1.0) -> tuple[float, tuple[int, ...]]:
        plan = small_plan().model_copy(update={"spacing": (side, 1.0, 1.0)})
        found, _ = prepare_volumes(cases, plan, tmp_path / "made", silent)
        return (tmp_path / "made" / "000000-images.npy").stat().st_mtime_ns, found[0].images.shape

    first = again()
    assert again() == first
    finer = again(0.5)
    assert finer[0] != first[0] and finer[1] == (1, 16, 9, 10)
    save(path, np.random.default_rng(1).normal(size=(8, 9, 12)).astype(np.float32))
    assert again(0.5)[1] == (1, 16, 9, 12)


def test_a_crop_is_a_box_of_the_volume_and_says_what_is_beside_it() -> None:
    volume, rng = prepared((6, 12, 5)), np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        one = crop(volume, (8, 8, 4), rng)
        assert one.images.shape == (1, 8, 8, 4)
        assert np.array_equal(one.valid, one.images[0] > 0)
        assert one.valid.sum() == 6 * 8 * 4, "the crop leaves voxels out that would fit"
        values = one.images[0][one.valid].reshape(6, 8, 4)
        at = np.unravel_index(int(values.min()) - 1, (6, 12, 5))
        box = tuple(slice(a, a + side) for a, side in zip(at, (6, 8, 4), strict=True))
        assert np.array_equal(values, volume.images[0][box])
        seen.add((int(one.valid.any((1, 2)).argmax()), *(int(a) for a in at)))
    assert len({place[0] for place in seen}) == 3 and len({place[2] for place in seen}) == 5


def test_with_a_foreground_every_crop_holds_some_of_it() -> None:
    volume, rng = prepared((30, 20, 25), active=True), np.random.default_rng(0)
    for _ in range(40):
        assert crop(volume, (8, 8, 8), rng).valid.any()
    one = middle(volume, (8, 8, 8))
    assert one.valid.sum() == 2 and (one.images[0] > 0).all()


def test_a_batch_follows_from_the_seed_and_is_flipped_with_its_valid_voxels() -> None:
    volumes = [prepared((6, 12, 5)), prepared((9, 9, 9), active=True)]
    one = batch(volumes, (8, 8, 8), 16, ("x", "y", "z"), np.random.default_rng(3))
    other = batch(volumes, (8, 8, 8), 16, ("x", "y", "z"), np.random.default_rng(3))
    assert all(bool((a == b).all()) for a, b in zip(one, other, strict=True))
    images, valid = one
    assert images.shape == (16, 1, 8, 8, 8) and valid.shape == (16, 8, 8, 8)
    assert bool((images[:, 0][valid] > 0).all())
    slopes = {bool(image[v].diff()[0] > 0) for image, v in zip(images[:, 0], valid, strict=True)}
    assert slopes == {True, False}


def test_a_corner_outside_is_padding() -> None:
    one = cut(prepared((4, 4, 4)), (3, 3, 3), (-1, 2, 3))
    assert one.valid.sum() == 2 * 2 * 1 and one.images[0, 1, 0, 0] == 1 + 2 * 4 + 3


def test_the_simple_plan_follows_the_volumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.normal(100, 5, (40, 44, 9)).astype(np.float32)
        save(tmp_path / f"thick{number}.nii.gz", image, (1.0, 1.0, 5.0))
    cases, _ = find_images([tmp_path], ("image",))
    plan = simple_plan(cases, ("image",), silent)
    assert plan.spacing == (1.0, 1.0, 5.0) and plan.foreground.rule == "all"
    assert plan.network.strides[:2] == ((2, 2, 1), (2, 2, 1)), "thick slices are not merged first"
    assert plan.normalisation[0].scheme == "zscore" and plan.patch[0] in (40, 48)


def test_the_simple_plan_of_ct_and_of_heads_cut_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    save(tmp_path / "ct.nii.gz", rng.integers(-1000, 1000, (32, 32, 32)).astype(np.int16))
    plan = simple_plan(find_images([tmp_path / "ct.nii.gz"], ("image",))[0], ("image",), silent)
    assert plan.modality == "CT" and plan.normalisation[0].scheme == "fixed"
    head = np.zeros((32, 32, 32), np.float32)
    head[8:24, 8:24, 8:24] = rng.normal(0, 1, (16, 16, 16))
    save(tmp_path / "mr.nii.gz", head)
    plan = simple_plan(find_images([tmp_path / "mr.nii.gz"], ("image",))[0], ("image",), silent)
    assert plan.foreground == Foreground(rule="nonzero", occupancy=0.125)
    assert plan.normalisation[0].scheme == "zscore"
    save(tmp_path / "mr.nii.gz", head - np.float32(3.2))
    lifted = simple_plan(find_images([tmp_path / "mr.nii.gz"], ("image",))[0], ("image",), silent)
    assert lifted.foreground == plan.foreground and lifted.normalisation[0].scheme == "lifted"


def test_a_large_patch_is_shortened_by_whole_strides() -> None:
    assert fit_patch((240, 240, 155), small_plan().network) == (112, 112, 112)
