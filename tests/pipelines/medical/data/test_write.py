from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.medical.data import Volume, VolumeError, read_volume, write_labels, write_map
from tests.pipelines.medical.data.made import (
    AFFINE,
    affine_of,
    ct_series,
    itk_image,
    noise,
    rotation,
    signed_permutations,
    sitk,
    volume,
)

CODES = list(itertools.product((0, 1, 2, 4), repeat=2))
SOURCES = [
    "sct/t2/t2.nii.gz",
    "sct/t2s/t2s.nii.gz",
    "totalseg/example_ct_sm.nii.gz",
    "anisotropic/brain1_image.nrrd",
]


def labels_of(like: Volume) -> NDArray[np.uint8]:
    return np.where(like.array > np.median(like.array), 3, 0).astype(np.uint8)


def header_of(path: Path) -> Any:
    image: Any = nib.load(path)
    return image.header


def assert_same_grid(path: Path, source: Path) -> None:
    """SimpleITK puts the label map exactly where it puts the image."""
    mask, image = sitk.ReadImage(str(path)), sitk.ReadImage(str(source))
    assert mask.GetSize() == image.GetSize()
    for name in ("GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(mask, name)(), getattr(image, name)(), atol=2e-5)
    array = sitk.GetArrayFromImage(image)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask) == 3, array > np.median(array))


@pytest.mark.parametrize("name", SOURCES)
def test_labels_lie_on_a_real_image(shared_data: Path, tmp_path: Path, name: str) -> None:
    source = shared_data / "medical" / name
    like = read_volume(source)
    path = tmp_path / "labels.nii.gz"
    write_labels(path, labels_of(like), like)
    assert_same_grid(path, source)
    back = read_volume(path)
    np.testing.assert_array_equal(back.array, labels_of(like))
    assert back.array.dtype == np.uint8
    np.testing.assert_allclose(back.affine, like.affine, atol=1e-5)


@pytest.mark.parametrize("codes", CODES, ids=str)
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_codes_and_matrices_of_a_nifti_are_kept_to_the_bit(tmp_path: Path, codes: Any, kind: Any) -> None:
    image = kind(noise(), affine_of(rotation(4), (0.7, 0.8, 2.5), (1, 2, 3)))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "case.nii")
    # In place: nibabel itself would lay an affine of its own into the header.
    content = bytearray((tmp_path / "case.nii").read_bytes())
    header: Any = kind.header_class(bytes(content[: kind.header_class.template_dtype.itemsize]))
    header["qform_code"], header["sform_code"] = codes
    header["srow_x"] += 0.125  # so that the two do not agree
    content[: len(header.binaryblock)] = header.binaryblock
    (tmp_path / "case.nii").write_bytes(content)
    like = read_volume(tmp_path / "case.nii")
    write_labels(tmp_path / "labels.nii.gz", labels_of(like), like)
    written = header_of(tmp_path / "labels.nii.gz")
    assert type(written) is kind.header_class
    names = ["pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "srow_x", "srow_y"]
    for name in [*names, "srow_z", "qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units", "dim"]:
        np.testing.assert_array_equal(written[name], header[name], err_msg=name)
    np.testing.assert_array_equal(read_volume(tmp_path / "labels.nii.gz").affine, like.affine)


def test_labels_lie_on_images_of_other_formats_in_every_orientation(tmp_path: Path) -> None:
    for number, axes in enumerate([*signed_permutations(), rotation(5), rotation(6) * [1, 1, -1]]):
        source = tmp_path / f"{number}.mha"
        sitk.WriteImage(itk_image(noise(), affine_of(axes, (0.7, 0.8, 2.5), (-20, 15, 100))), str(source))
        like = read_volume(source)
        write_labels(tmp_path / "labels.nii.gz", labels_of(like), like)
        assert_same_grid(tmp_path / "labels.nii.gz", source)
        header = header_of(tmp_path / "labels.nii.gz")
        assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)


def test_a_sheared_grid_has_no_qform(tmp_path: Path) -> None:
    ct_series(tmp_path / "scan", [0, 2, 4], shift=(0, 0.7))
    like = read_volume(tmp_path / "scan")
    write_labels(tmp_path / "labels.nii.gz", labels_of(like), like)
    header = header_of(tmp_path / "labels.nii.gz")
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 1)
    np.testing.assert_allclose(read_volume(tmp_path / "labels.nii.gz").affine, like.affine, atol=1e-5)


def test_a_fourth_axis_of_the_source_is_not_repeated(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(noise((3, 4, 5, 1)), AFFINE), tmp_path / "case.nii")
    like = read_volume(tmp_path / "case.nii")
    write_labels(tmp_path / "labels.nii.gz", labels_of(like), like)
    assert header_of(tmp_path / "labels.nii.gz").get_data_shape() == (3, 4, 5)


def test_large_labels_and_long_sides(tmp_path: Path) -> None:
    labels = np.zeros((40_000, 1, 2), np.uint16)
    labels[-1] = 65_535
    like = volume(labels)
    write_labels(tmp_path / "labels.nii.gz", labels, like)
    back = read_volume(tmp_path / "labels.nii.gz")
    assert back.header["version"] == 2
    np.testing.assert_array_equal(back.array, labels)


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    like = volume(noise())
    write_labels(tmp_path / "labels.nii.gz", labels_of(like), like)
    write_map(tmp_path / "map.nii.gz", np.full(like.shape, 0.5), like)
    labels, shares = header_of(tmp_path / "labels.nii.gz"), header_of(tmp_path / "map.nii.gz")
    assert labels.get_intent()[0] == "label" and shares.get_intent()[0] == "estimate"
    assert labels.get_xyzt_units()[0] == "mm"


def test_the_same_labels_give_the_same_bytes(tmp_path: Path) -> None:
    like = volume(noise())
    for name in ("one", "two"):
        write_labels(tmp_path / f"{name}.nii.gz", labels_of(like), like)
    one, two = ((tmp_path / f"{name}.nii.gz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert gzip.decompress(one)[344:348] == b"n+1\0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.nii.gz", "two.nii.gz"]


def test_a_map_of_shares(tmp_path: Path) -> None:
    like = volume(noise())
    values = np.random.default_rng(0).random(like.shape).astype(np.float32)
    values[0, 0, :2] = 0, 1
    write_map(tmp_path / "map.nii.gz", values, like)
    back = read_volume(tmp_path / "map.nii.gz")
    assert back.array.dtype == np.float32 and back.array.min() == 0 and back.array.max() == 1
    np.testing.assert_allclose(back.array, values, atol=0.5 / 255 + 1e-6)
    seen = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "map.nii.gz"))).transpose(2, 1, 0)
    np.testing.assert_allclose(seen, back.array, atol=1e-6)
    with pytest.raises(ValueError, match="between 0 and 1"):
        write_map(tmp_path / "bad.nii.gz", values * 2, like)


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    like = volume(noise())
    with pytest.raises(TypeError, match="uint8 or uint16"):
        write_labels(tmp_path / "a.nii.gz", labels_of(like).astype(np.float32), like)
    with pytest.raises(ValueError, match="the map has the shape"):
        write_labels(tmp_path / "a.nii.gz", labels_of(like)[1:], like)
    with pytest.raises(VolumeError, match=r"written as \.nii\.gz"):
        write_labels(tmp_path / "a.nrrd", labels_of(like), like)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    like = volume(noise())
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_labels(path, labels_of(like), like)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a.nii.gz", b"old")]
