from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch.nn import functional

from pipelines.medical.data import read_volume, write_labels
from pipelines.medical.geometry import Turn, resample, resample_labels, resampled_shape
from tests.pipelines.medical.data.made import (
    affine_of,
    itk_image,
    noise,
    rotation,
    signed_permutations,
    sitk,
)

AXES = list(signed_permutations())


def restored(
    array: np.ndarray, affine: np.ndarray, order: list[int], flips: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The same volume with its axes stored in another order and direction. Plain index arithmetic."""
    turned = array.transpose(order)
    step = np.eye(4)
    step[:3, :3] = np.eye(3)[:, order]
    for axis in flips:
        flip = np.eye(4)
        flip[axis, axis], flip[axis, 3] = -1, turned.shape[axis] - 1
        step = step @ flip
        turned = np.flip(turned, axis)
    return turned, affine @ step


@pytest.mark.parametrize("tilt", [None, 0], ids=["straight", "oblique"])
def test_one_volume_in_48_orientations(shared_data: Path, tmp_path: Path, tilt: int | None) -> None:
    """Whatever the stored order, the canonical volume is the same, and the mask comes back onto the image."""
    real = read_volume(shared_data / "medical" / "hippocampus" / "imagesTr" / "hippocampus_001.nii.gz")
    array, affine = real.array, affine_of(np.eye(3), (0.7, 0.8, 2.5), (-20, 15, 100))
    if tilt is not None:
        lean = np.array([[1, 0, 0], [0, np.cos(0.4), -np.sin(0.4)], [0, np.sin(0.4), np.cos(0.4)]])
        affine[:3, :3] = lean @ affine[:3, :3]
    inside = array > np.percentile(array, 70)
    seen = set()
    for axes in AXES:
        order = [int(np.abs(axes[:, column]).argmax()) for column in range(3)]
        flips = [column for column in range(3) if axes[:, column].sum() < 0]
        stored, stored_affine = restored(array, affine, order, flips)
        path = tmp_path / "image.nii"
        nib.save(nib.Nifti1Image(np.ascontiguousarray(stored), stored_affine), path)
        volume = read_volume(path)
        seen.add("".join(nib.aff2axcodes(volume.affine)))
        turn = Turn.of(volume.affine, volume.shape)
        canonical = turn.to_canonical(volume.array)
        np.testing.assert_array_equal(canonical, array)
        np.testing.assert_allclose(turn.affine(volume.affine), affine, atol=1e-4)
        np.testing.assert_array_equal(turn.from_canonical(canonical), volume.array)
        mask = turn.from_canonical((canonical > np.percentile(array, 70)).astype(np.uint8))
        write_labels(tmp_path / "mask.nii.gz", mask, volume)
        written, image = sitk.ReadImage(str(tmp_path / "mask.nii.gz")), sitk.ReadImage(str(path))
        for name in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
            np.testing.assert_array_equal(getattr(written, name)(), getattr(image, name)())
        pixels = sitk.GetArrayFromImage(image)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written) == 1, pixels > np.percentile(array, 70))
        assert int(mask.sum()) == int(inside.sum())
    assert len(seen) == 48


def test_turns_agree_with_nibabel_and_simpleitk() -> None:
    for number, axes in enumerate([*AXES, *(rotation(seed) for seed in range(20))]):
        affine = affine_of(axes, (0.7, 0.8, 2.5), (number, -3, 5))
        array = noise()
        turn = Turn.of(affine, (7, 5, 4))
        other = nib.as_closest_canonical(nib.Nifti1Image(array, affine))
        np.testing.assert_array_equal(turn.to_canonical(array), np.asanyarray(other.dataobj))
        np.testing.assert_allclose(turn.affine(affine), other.affine)
        if (
            number < 48
        ):  # SimpleITK calls RAS, where axes run to, LPS with two flips: DICOMOrient takes where to
            oriented = sitk.DICOMOrient(itk_image(array, affine), "RAS")
            np.testing.assert_array_equal(
                turn.to_canonical(array), sitk.GetArrayFromImage(oriented).transpose(2, 1, 0)
            )


def test_psr_becomes_ras(shared_data: Path) -> None:
    volume = read_volume(shared_data / "medical" / "sct" / "t2" / "t2.nii.gz")
    turn = Turn.of(volume.affine, volume.shape)
    oriented = sitk.DICOMOrient(sitk.ReadImage(str(volume.source)), "RAS")
    np.testing.assert_array_equal(
        turn.to_canonical(volume.array), sitk.GetArrayFromImage(oriented).transpose(2, 1, 0)
    )


def test_resampled_shapes_cover_the_same_field() -> None:
    assert resampled_shape((100, 50, 9), (0.5, 0.5, 7.5), (1.0, 0.5, 2.5)) == (50, 50, 27)
    assert resampled_shape((3, 3, 1), (0.1, 1, 1), (5, 1, 9)) == (1, 3, 1)


@pytest.mark.parametrize(
    ("shape", "voxels"), [((24, 20, 36), 1e-4), ((6, 10, 9), 1e-4), ((7, 9, 11), 0.1), ((12, 20, 18), 0.0)]
)
def test_resampling_leaves_things_where_they_are(shape: tuple[int, int, int], voxels: float) -> None:
    """Images of where each voxel is, in voxels, say the same after; to a tenth if they fall unevenly."""
    old = (12, 20, 18)
    places = torch.stack(torch.meshgrid(*(torch.arange(side) + 0.5 for side in old), indexing="ij"))
    found = resample(places, shape)
    steps = [(torch.arange(new) + 0.5) * side / new for new, side in zip(shape, old, strict=True)]
    expected = torch.stack(torch.meshgrid(*steps, indexing="ij"))
    inner = (slice(None), *(slice(side // 6, -(side // 6)) for side in shape))
    torch.testing.assert_close(found[inner], expected[inner], atol=voxels, rtol=0)


def test_growing_is_trilinear_interpolation() -> None:
    image = torch.rand(2, 6, 7, 8, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(image[None], size=(6, 14, 20), mode="trilinear", align_corners=False)[0]
    torch.testing.assert_close(resample(image, (6, 14, 20)), expected)


@pytest.mark.parametrize("shape", [(6, 6, 6), (7, 5, 9), (25, 25, 10)])
def test_small_things_do_not_vanish_where_an_axis_shrinks(shape: tuple[int, int, int]) -> None:
    """One bright voxel, wherever it lies, keeps about its share of the image."""
    share = np.prod(shape) / 25**3
    for place in ((12, 12, 12), (5, 6, 7), (9, 16, 11), (18, 13, 6)):
        image = torch.zeros(1, 25, 25, 25)
        image[0][place] = 1.0
        assert float(resample(image, shape).sum()) == pytest.approx(share, rel=0.15)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_stay_labels(dtype: type[np.unsignedinteger]) -> None:
    labels = np.zeros((8, 8, 8), dtype)
    labels[:4] = 3
    labels[4:, :4] = 200
    finer = resample_labels(labels, (16, 16, 16))
    assert finer.dtype == dtype and set(np.unique(finer).tolist()) == {0, 3, 200}
    np.testing.assert_array_equal(finer, labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    np.testing.assert_array_equal(resample_labels(finer, (8, 8, 8)), labels)


@pytest.mark.parametrize(
    "shape", [(6, 9, 1), (6, 1, 9), (1, 6, 9), (9, 1, 1), (1, 9, 1), (1, 1, 9), (1, 1, 1)]
)
def test_a_single_slice_is_resampled_as_one_of_many(shape: tuple[int, int, int]) -> None:
    image = torch.randn(2, 12, 7, 8, generator=torch.Generator().manual_seed(0))
    rows = [weights(side, new) for side, new in zip(image.shape[1:], shape, strict=True)]
    expected = torch.einsum("cxyz,ax,by,dz->cabd", image, *rows)
    torch.testing.assert_close(resample(image, shape), expected, rtol=1e-4, atol=1e-5)


def weights(side: int, new: int) -> torch.Tensor:
    """What each voxel of a line counts in each of the new ones, (new, side)."""
    lines = torch.eye(side)[None, :, None].expand(1, side, 4, side)
    found = functional.interpolate(lines, (4, new), mode="bilinear", align_corners=False, antialias=True)
    return found[0, :, 0].T
