from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipelines.medical.config import Foreground, Normalisation, Plan
from pipelines.medical.data import Volume, VolumeError, read_volume
from pipelines.medical.prepare import (
    active_voxels,
    check_same_grid,
    normalise,
    prepare,
    prepare_labels,
    spacing_of,
)
from tests.pipelines.medical.data.made import affine_of, noise, rotation, signed_permutations, volume

RAW = Normalisation(scheme="none")
AXES = list(signed_permutations())


def plan(**changes: Any) -> Plan:
    settings: dict[str, Any] = {"labels": {"front": 1, "back": 5}, "normalisation": (RAW,)}
    return Plan(**(settings | changes))


def at(array: NDArray[Any], *, axes: NDArray[Any] | None = None, name: str = "case") -> Volume:
    return volume(array, affine_of(np.eye(3) if axes is None else axes, (1, 1, 1), (3, 4, 5)), name)


@pytest.mark.parametrize("axes", AXES[::5])
def test_a_case_comes_back_to_its_own_grid(axes: NDArray[np.float64]) -> None:
    stored = at(noise(), axes=axes)
    prepared = prepare([stored], plan())
    assert prepared.images.shape == (1, *prepared.canonical_shape) and prepared.images.dtype == torch.float32
    np.testing.assert_array_equal(prepared.from_canonical(prepared.images[0].numpy()), stored.array)
    assert prepared.active is None


def test_the_axes_run_to_the_right_front_and_head() -> None:
    array = np.zeros((4, 5, 6), np.int16)
    array[1, 2, 3] = 7
    stored = at(array, axes=np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]))
    image = prepare([stored], plan()).images[0]
    place = (stored.affine @ [1, 2, 3, 1])[:3]
    low = np.min([(stored.affine @ [i * 3, j * 4, k * 5, 1])[:3] for i, j, k in np.ndindex(2, 2, 2)], axis=0)
    assert image.shape == (6, 4, 5)
    assert np.argwhere(image.numpy() == 7).tolist() == [np.rint(place - low).astype(int).tolist()]


def test_oblique_volumes_keep_their_axes() -> None:
    lean = rotation(3)
    stored = at(noise(), axes=lean)
    image = prepare([stored], plan()).images[0].numpy()
    assert sorted(image.shape) == sorted(stored.shape)
    np.testing.assert_array_equal(np.sort(image.ravel()), np.sort(stored.array.ravel()))


def test_the_spacing_is_that_of_the_plan(shared_data: Path) -> None:
    stored = read_volume(shared_data / "medical" / "sct" / "t2s" / "t2s.nii.gz")
    prepared = prepare([stored], plan(spacing=(0.7, 0.5, 2.5)))
    assert prepared.canonical_shape == (49, 54, 9)
    assert tuple(prepared.images.shape[1:]) == (35, 54, 27)
    assert prepared.turn.from_canonical(np.zeros(prepared.canonical_shape)).shape == stored.shape


def test_channels_are_normalised_each_in_its_way() -> None:
    one, other = at(noise(seed=1)), at(noise(seed=2))
    fixed = Normalisation(scheme="fixed", low=-100, high=300, mean=50, deviation=20)
    settings = plan(channels=("a", "b"), normalisation=(fixed, Normalisation(scheme="zscore")))
    images = prepare([one, other], settings).images.numpy()
    np.testing.assert_allclose(images[0], (np.clip(one.array, -100, 300) - 50) / 20, rtol=1e-5)
    seen = other.array[other.array != 0].astype(float)
    np.testing.assert_allclose(
        images[1], (other.array - seen.mean()) / seen.std(ddof=1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.0, 1.5)])
def test_a_background_other_than_0_is_lifted(spacing: tuple[float, float, float]) -> None:
    brain = np.zeros((12, 14, 10), np.float32)
    brain[3:9, 4:10, 2:8] = np.random.default_rng(0).normal(size=(6, 6, 6)) + 9
    dark = at(brain - np.float32(2.747435))
    before = dark.array.copy()
    rule = Foreground(rule="nonzero")
    zscore, lifted = (
        plan(spacing=spacing, foreground=rule, normalisation=(Normalisation(scheme=scheme),))
        for scheme in ("zscore", "lifted")
    )
    plain, found = prepare([at(brain)], zscore), prepare([dark], lifted)
    assert plain.active is not None and found.active is not None
    assert torch.equal(plain.active, found.active) and 0 < found.active.float().mean() < 0.5
    torch.testing.assert_close(plain.images, found.images, rtol=1e-4, atol=1e-4)
    assert np.array_equal(dark.array, before)


@pytest.mark.parametrize("image", [torch.zeros(3, 3, 3), torch.full((3, 3, 3), 4.0)])
def test_a_flat_image_normalises_to_zero(image: torch.Tensor) -> None:
    torch.testing.assert_close(normalise(image, Normalisation(scheme="zscore")), torch.zeros(3, 3, 3))


def test_one_voxel_that_is_not_zero() -> None:
    image = torch.zeros(3, 3, 3)
    image[1, 1, 1] = 5.0
    assert torch.isfinite(normalise(image, Normalisation(scheme="zscore"))).all()


def test_where_to_compute() -> None:
    images = torch.zeros(2, 9, 9, 9)
    images[0, 2, 2, 2], images[1, 6, 6, 6] = -3.0, 2.0
    assert active_voxels(images, Foreground(rule="all")) is None
    above = active_voxels(images, Foreground(rule="above", threshold=1.0, halo=0))
    nonzero = active_voxels(images, Foreground(rule="nonzero", halo=0))
    grown = active_voxels(images, Foreground(rule="nonzero", halo=1))
    assert above is not None and nonzero is not None and grown is not None
    assert above.nonzero().tolist() == [[6, 6, 6]]
    assert nonzero.nonzero().tolist() == [[2, 2, 2], [6, 6, 6]]
    assert int(grown.sum()) == 2 * 27 and bool(grown[1:4, 1:4, 1:4].all())


def test_labels_become_numbers_in_the_order_of_the_plan() -> None:
    image = at(noise())
    values = np.random.default_rng(0).choice([0, 1, 5, 9], image.shape)
    indices = prepare_labels(at(values), image, plan())
    assert indices.dtype == torch.uint8
    np.testing.assert_array_equal(indices.numpy(), np.select([values == 1, values == 5], [1, 2], 0))


def test_labels_follow_their_image() -> None:
    for axes in AXES[::7]:
        image = at(noise(), axes=axes)
        labels = at((image.array > 500).astype(np.uint8), axes=axes)
        prepared = prepare([image], plan())
        indices = prepare_labels(labels, image, plan())
        np.testing.assert_array_equal(indices.numpy() == 1, prepared.images[0].numpy() > 500)


def test_labels_stored_with_decimals_are_found(shared_data: Path) -> None:
    folder = shared_data / "medical" / "brats2013" / "brats_2013_pat0002_1"
    labels = read_volume(folder / "OTMultiClass.nii.gz")
    image = read_volume(folder / "Flair_subtrMeanDivStd.nii.gz")
    settings = plan(labels={"a": 1, "b": 2, "c": 3, "d": 4})
    indices = prepare_labels(labels, image, settings)
    assert labels.array.dtype == np.float32
    expected = np.bincount(labels.array.astype(int).ravel(), minlength=5)
    assert torch.bincount(indices.flatten().int(), minlength=5).tolist() == expected.tolist()


def test_labels_a_hair_beside_whole_numbers_are_rounded() -> None:
    image = at(noise())
    values = np.random.default_rng(0).choice([0, 1, 5, 9], image.shape)
    scaled = at(values * np.float32(1.00001))
    assert torch.equal(prepare_labels(scaled, image, plan()), prepare_labels(at(values), image, plan()))


@pytest.mark.parametrize(
    ("value", "message"), [(1.4, "not whole"), (np.nan, "not whole"), (-1, "outside"), (70_000, "outside")]
)
def test_what_are_no_labels_is_said(value: float, message: str) -> None:
    image = at(noise())
    values = np.zeros(image.shape)
    values[1, 1, 1] = value
    with pytest.raises(VolumeError, match=message):
        prepare_labels(at(values), image, plan())


def test_what_cannot_be_prepared_is_said() -> None:
    good = at(noise())
    with pytest.raises(VolumeError, match=r"needs 1 images per case \(image\), here are 2"):
        prepare([good, good], plan())
    holed = noise().astype(np.float32)
    holed[2, 2, 2] = np.nan
    with pytest.raises(VolumeError, match="case holds values that are no finite numbers"):
        prepare([at(holed)], plan())
    settings = plan(channels=("a", "b"), normalisation=(RAW, RAW))
    with pytest.raises(VolumeError, match="other has 7 x 5 x 3 voxels and case 7 x 5 x 4"):
        prepare([good, at(noise((7, 5, 3)), name="other")], settings)


def test_one_grid_to_a_hundredth_of_a_millimetre() -> None:
    array = noise((101, 5, 4))
    good = volume(array, np.eye(4))
    shifted, longer = np.eye(4), np.diag([1.0002, 1, 1, 1])
    shifted[1, 3] = 0.009
    check_same_grid([good, volume(array, shifted)])
    shifted[1, 3] = 0.02
    for affine in (shifted, longer):  # a step that is a little too long adds up to the far corner
        with pytest.raises(VolumeError, match=r"lie 0\.02 mm apart"):
            check_same_grid([good, volume(array, affine)])


def test_spacing_of_a_leaning_grid() -> None:
    affine = affine_of(rotation(1), (0.7, 0.8, 2.5), (0, 0, 0))
    np.testing.assert_allclose(spacing_of(affine), (0.7, 0.8, 2.5))
