"""From a file to its mask: the mask lies exactly on its image, however the image lies."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.orientations import apply_orientation, inv_ornt_aff

from pipelines.medical.data.files import read_volume
from pipelines.medical.segment.run import segment
from tests.pipelines.medical.segment.made import Threshold, noise, predictor_of, threshold_plan, volume

ALL_48 = [
    np.array([[axis, flip] for axis, flip in zip(order, flips, strict=True)], float)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]
REAL = {
    "hippocampus": "medical/hippocampus/imagesTr/hippocampus_001.nii.gz",
    "posterior-superior-right": "medical/sct/t2/t2.nii.gz",
    "anisotropic": "medical/sct/t2s/t2s.nii.gz",
}


@pytest.mark.parametrize("turn", ALL_48[1::5], ids=lambda turn: "".join(str(int(n)) for n in turn.ravel()))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.4, 1.1)])
def test_the_mask_of_a_turned_volume_is_the_turned_mask(
    turn: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    array = noise((13, 17, 11))
    affine = np.array([[0.9, 0.1, 0, -7], [-0.1, 0.9, 0.2, 3], [0, -0.2, 1.8, 5], [0, 0, 0, 1]])
    predictor = predictor_of(threshold_plan(0.3, spacing=spacing), Threshold(0.3))
    mask = predictor.predict([volume(array, affine)]).labels
    turned = volume(
        np.asfortranarray(apply_orientation(array, turn)), affine @ inv_ornt_aff(turn, array.shape)
    )
    found = predictor.predict([turned]).labels
    assert 0 < mask.sum() < mask.size
    expected = apply_orientation(mask, turn)
    if spacing == (1.0, 1.0, 1.0):
        assert (found == expected).mean() > 0.999  # sums in another order turn a voxel on the threshold
    else:
        assert (found == expected).mean() > 0.99


@pytest.mark.parametrize("name", REAL)
def test_masks_of_real_volumes_lie_on_them(name: str, shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / REAL[name]
    image = nib.load(source)
    level = float(np.percentile(image.get_fdata(), 80))
    turned = []
    for number, turn in enumerate((ALL_48[0], ALL_48[13], ALL_48[38])):
        data = apply_orientation(np.asarray(image.dataobj), turn)
        path = tmp_path / f"turned_{number}.nii.gz"
        nib.save(nib.Nifti1Image(data, image.affine @ inv_ornt_aff(turn, image.shape)), path)
        turned.append((turn, path))
    spacing = tuple(float(side) for side in read_volume(source).spacing)
    plan = threshold_plan(level, patch=32, spacing=spacing)
    predictor = predictor_of(plan, Threshold(level))
    summary = segment([path for _, path in turned], predictor=predictor, out=tmp_path / "run")
    assert summary.counts["ok"] == 3
    masks = []
    for turn, path in turned:
        mask = tmp_path / "run" / "masks" / path.name
        same = nib.load(path), nib.load(mask)
        assert same[0].shape == same[1].shape
        assert np.array_equal(same[0].affine, same[1].affine)
        assert same[1].get_data_dtype() == np.uint8
        one, two = sitk.ReadImage(path), sitk.ReadImage(mask)  # a second implementation
        assert one.GetSize() == two.GetSize() and one.GetSpacing() == two.GetSpacing()
        assert one.GetOrigin() == two.GetOrigin() and one.GetDirection() == two.GetDirection()
        expected = np.asarray(same[0].dataobj, np.float32) > np.float32(level)
        found = np.asarray(same[1].dataobj) == 1
        assert (expected == found).mean() > 0.99  # all but voxels that are resampled across the threshold
        masks.append((turn, found))
    first = masks[0][1]
    for turn, found in masks[1:]:
        assert (apply_orientation(first, turn) == found).mean() > 0.999
