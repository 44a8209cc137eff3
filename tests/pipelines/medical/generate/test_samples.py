from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from pipelines.medical.data.files import VolumeFile, find_volumes, read_volume
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.data.walk import SkippedFile
from pipelines.medical.generate.phantom import LABELS
from pipelines.medical.generate.samples import GRIDS, SERIES, bad_files, write_samples

sitk: Any = SimpleITK  # it has no types
MOST_BYTES = 1_000_000
BAD = {"cut-off": "cut short", "four-axes": "fourth axis", "lies-nowhere": "place", "not-really": "no NIfTI"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("samples")
    write_samples(out)
    return out


@pytest.fixture(scope="module")
def volumes(folder: Path) -> dict[str, Volume]:
    """What can be read, by the name of the case."""
    found = {}
    for item in find_volumes([folder / "volumes"]):
        if isinstance(item, VolumeFile) and item.path.parent.name != "bad":
            found[item.name] = read_volume(item)
    return found


def test_the_committed_files_are_these(folder: Path, project_root: Path) -> None:
    committed = project_root / "sample_data" / "medical"
    made = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert made == sorted(path.relative_to(committed) for path in committed.rglob("*") if path.is_file())
    for name in made:
        assert (folder / name).read_bytes() == (committed / name).read_bytes(), name
    assert sum((committed / name).stat().st_size for name in made) < MOST_BYTES


def test_another_seed_gives_other_volumes(folder: Path, tmp_path: Path) -> None:
    other = write_samples(tmp_path, seed=1)
    assert other == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    same = [path for path in other if path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes()]
    assert {path.name for path in same} == {"LICENSE.txt", "not-really.nii.gz", "notes.txt"}


def test_every_format_is_there_and_is_read(volumes: dict[str, Volume]) -> None:
    assert set(volumes) == {*GRIDS, *SERIES.values()}
    formats = {one.header["format"] for one in volumes.values()}
    assert formats == {"nifti", "nrrd", "metaimage", "dicom"}
    assert not [one.notes for one in volumes.values() if one.notes]
    assert nibabel.aff2axcodes(volumes["mr-sagittal"].affine) == ("P", "S", "R")
    assert max(volumes["mr-thick-slices"].spacing) > 5 * min(volumes["mr-thick-slices"].spacing)
    tilted = volumes["ct-oblique"].affine[:3, :3] / volumes["ct-oblique"].spacing
    assert 0.9 < np.abs(tilted).max(axis=0).min() < 0.99
    assert {one.modality for name, one in volumes.items() if name.startswith("scan")} == {"CT"}


@pytest.mark.parametrize("name", list(GRIDS))
def test_files_lie_where_their_grid_does(name: str, volumes: dict[str, Volume]) -> None:
    grid = GRIDS[name][1]
    assert volumes[name].shape == grid.shape
    np.testing.assert_allclose(volumes[name].affine, grid.affine, atol=1e-4)


@pytest.mark.parametrize("name", ["mr-sagittal.nrrd", "ct-oblique.mha"])
def test_a_second_reader_sees_the_same(name: str, folder: Path, volumes: dict[str, Volume]) -> None:
    image = sitk.ReadImage(str(folder / "volumes" / name))
    ours = volumes[name.split(".")[0]]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), ours.array)
    corner = [side - 1 for side in ours.shape]
    place = np.array(image.TransformIndexToPhysicalPoint(corner)) * (-1, -1, 1)
    np.testing.assert_allclose((ours.affine @ [*corner, 1])[:3], place, atol=1e-3)


def test_labels_lie_on_their_images_and_fit_them(folder: Path, volumes: dict[str, Volume]) -> None:
    maps = {item.name: item for item in find_volumes([folder / "labels"]) if isinstance(item, VolumeFile)}
    assert set(maps) == set(volumes)
    for name, image in volumes.items():
        labels = read_volume(maps[name])
        assert labels.shape == image.shape
        np.testing.assert_allclose(labels.affine, image.affine, atol=1e-3)
        assert set(np.unique(labels.array)) <= {0, *LABELS.values()}
        inside = {value: image.array[labels.array == value] for value in LABELS.values()}
        assert min(len(inside[LABELS[label]]) for label in ("lobe", "bean", "tube")) > 50
        # By far more than the noise of a mean, even where an MR image is shaded.
        lobe, bean = inside[LABELS["lobe"]].mean(), inside[LABELS["bean"]].mean()
        assert bean > lobe + 15


def test_the_labels_are_of_different_sizes_and_on_their_sides(volumes: dict[str, Volume]) -> None:
    root = Path(__file__).resolve().parents[4] / "sample_data" / "medical" / "labels"
    for name in volumes:
        labels = read_volume(root / f"{name}.nii.gz")
        counts = np.bincount(labels.array.ravel(), minlength=5)
        sizes = [counts[LABELS[label]] for label in ("lobe", "bean", "tube", "nodule")]
        assert sizes[0] > 3 * max(sizes[1:3]) and min(sizes[1:3]) > 3 * sizes[3] > 0
        places = {
            label: (np.argwhere(labels.array == LABELS[label]).mean(0) @ labels.affine[:3, :3].T)
            + labels.affine[:3, 3]
            for label in ("lobe", "bean")
        }
        assert places["lobe"][0] > places["bean"][0] + 20  # the lobe is on the right


def test_dicom_files_name_no_patient_and_one_study(folder: Path) -> None:
    read = [pydicom.dcmread(path) for path in sorted((folder / "volumes" / "scan").iterdir())]
    assert {(str(one.PatientName), str(one.PatientID), str(one.PatientIdentityRemoved)) for one in read} == {
        ("", "", "YES")
    }
    assert len({one.SOPInstanceUID for one in read}) == len(read)
    assert (len({one.StudyInstanceUID for one in read}), len({one.SeriesInstanceUID for one in read})) == (
        1,
        2,
    )
    assert {one.file_meta.TransferSyntaxUID.is_compressed for one in read} == {False}


def test_bad_files_are_refused_with_their_reason(folder: Path) -> None:
    items = list(find_volumes([folder / "volumes" / "bad"]))
    assert [item.path.name for item in items if isinstance(item, SkippedFile)] == ["notes.txt"]
    refused = [item for item in items if isinstance(item, VolumeFile)]
    assert {item.name for item in refused} == set(BAD)
    assert len(items) == len(bad_files())
    for item in refused:
        with pytest.raises(VolumeError, match=BAD[item.name]):
            read_volume(item)
