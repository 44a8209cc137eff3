"""Every real file, against SimpleITK: the same numbers at the same places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.medical.data import find_volumes, read_volume
from pipelines.medical.data.files import VolumeFile
from tests.pipelines.medical.data.made import assert_as_itk, sitk

FILES = [
    "hippocampus/imagesTr/hippocampus_001.nii.gz",
    "hippocampus/labelsTr/hippocampus_001.nii.gz",
    "totalseg/example_ct.nii.gz",
    "totalseg/example_ct_sm.nii.gz",
    "totalseg/example_mr_sm.nii.gz",
    "totalseg/example_seg.nii.gz",
    "sct/t1/t1w.nii.gz",
    "sct/t2/t2.nii.gz",
    "sct/t2/t2_seg-manual_labeled.nii.gz",
    "sct/t2s/t2s.nii.gz",
    "anisotropic/brain1_image.nrrd",
    "anisotropic/brain1_label.nrrd",
    "brats2013/brats_2013_pat0002_1/Flair_subtrMeanDivStd.nii.gz",
    "brats2013/brats_2013_pat0002_1/OTMultiClass.nii.gz",
    "brats2013/brats_2013_pat0002_1/brainmask.nii.gz",
]


@pytest.mark.parametrize("name", FILES)
def test_a_file_as_simpleitk_reads_it(shared_data: Path, name: str) -> None:
    path = shared_data / "medical" / name
    volume = read_volume(path)
    assert_as_itk(volume, sitk.ReadImage(str(path)))
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("name", "letters", "spacing"),
    [("sct/t2/t2.nii.gz", "PSR", (1, 1, 1)), ("sct/t2s/t2s.nii.gz", "LAS", (0.5, 0.5, 7.5))],
)
def test_the_orientation_that_a_file_states(
    shared_data: Path, name: str, letters: str, spacing: tuple[float, ...]
) -> None:
    volume = read_volume(shared_data / "medical" / name)
    for axis, letter in enumerate(letters):
        step = volume.affine[:3, axis]
        along = int(np.abs(step).argmax())
        assert ("LR", "PA", "IS")[along][int(step[along] > 0)] == letter
    np.testing.assert_allclose(volume.spacing, spacing, atol=1e-4)


@pytest.mark.slow
def test_a_dicom_series_as_simpleitk_reads_it(shared_data: Path) -> None:
    folder = shared_data / "medical" / "totalseg" / "example_ct_dicom"
    volume = read_volume(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    assert_as_itk(volume, reader.Execute())
    assert (volume.name, volume.modality, volume.array.dtype.name) == ("example_ct_dicom", "CT", "int16")
    assert volume.notes == ()


def test_everything_there_is_found_once(shared_data: Path) -> None:
    found = list(find_volumes([shared_data / "medical"]))
    assert all(isinstance(one, VolumeFile) for one in found)
    formats = [one.format for one in found if isinstance(one, VolumeFile)]
    assert (formats.count("NRRD"), formats.count("DICOM")) == (2, 1)
    assert len({one.path for one in found}) == len(found) > 400
