from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipelines.medical.data import VolumeError, read_volume
from pipelines.medical.data.files import read_grid
from tests.pipelines.medical.data.made import (
    AFFINE,
    SHAPE,
    affine_of,
    assert_as_itk,
    itk_image,
    noise,
    rotation,
    signed_permutations,
    sitk,
)

DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]


def stored(path: Path, array: Any, affine: Any = AFFINE, kind: Any = nib.Nifti1Image, **header: Any) -> Path:
    """A file that nibabel writes, with these fields of the header changed."""
    image = kind(array, affine, dtype=array.dtype)
    image.header.set_sform(affine, 1)
    image.header.set_qform(affine, 1)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def patched(path: Path, offset: int, code: str, *values: float) -> Path:
    """A file with bytes of its header changed in place."""
    content = bytearray(path.read_bytes())
    struct.pack_into(code, content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".hdr", ".img"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_stay_what_they_are(tmp_path: Path, dtype: str, ending: str) -> None:
    array = np.clip(noise(), 0, 100).astype(dtype)
    kind = nib.Nifti1Pair if ending in (".hdr", ".img") else nib.Nifti1Image
    volume = read_volume(stored(tmp_path / f"case{ending}", array, kind=kind))
    assert volume.array.dtype == (np.float32 if dtype == "float64" else dtype)
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert (volume.name, volume.notes) == ("case", ())


def test_second_version_and_other_byte_order(tmp_path: Path) -> None:
    array = noise()
    kinds: list[tuple[Any, str]] = [(nib.Nifti2Image, "second"), (nib.Nifti1Image, "first")]
    for kind, name in kinds:
        header = kind.header_class(endianness=">")
        header.set_data_dtype(">i2")
        nib.save(kind(array.astype(">i2"), AFFINE, header), tmp_path / f"{name}.nii")
        volume = read_volume(tmp_path / f"{name}.nii")
        assert volume.array.dtype == np.int16 and volume.array.dtype.isnative
        np.testing.assert_array_equal(volume.array, array)
        np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_every_orientation_is_read_as_simpleitk_reads_it(tmp_path: Path) -> None:
    for number, axes in enumerate([*signed_permutations(), rotation(1), rotation(2) * [1, -1, 1]]):
        affine = affine_of(axes, (0.7, 0.8, 2.5), (-20, 15, 100))
        path = stored(tmp_path / f"{number}.nii", noise(), affine)
        assert_as_itk(read_volume(path), sitk.ReadImage(str(path)))


def test_what_simpleitk_writes(tmp_path: Path) -> None:
    affine = affine_of(rotation(3), (1, 2, 3), (4, 5, 6))
    image = itk_image(noise(), affine)
    sitk.WriteImage(image, str(tmp_path / "case.nii.gz"))
    assert_as_itk(read_volume(tmp_path / "case.nii.gz"), image)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(1.0, -1024.0, "int16"), (2.0, 0.0, "int16"), (100.0, 5.0, "int32"), (0.5, 0.25, "float32")],
)
def test_scaling(tmp_path: Path, slope: float, intercept: float, dtype: str) -> None:
    array = noise()
    path = patched(stored(tmp_path / "case.nii", array), 112, "<2f", slope, intercept)
    volume = read_volume(path)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, (array * np.float64(slope) + intercept).astype(dtype))
    np.testing.assert_allclose(volume.array, nib.load(path).get_fdata())  # type: ignore[attr-defined]


@pytest.mark.parametrize("slope", [0.0, float("nan")])
def test_a_slope_that_means_none(tmp_path: Path, slope: float) -> None:
    array = noise()
    path = patched(stored(tmp_path / "case.nii", array), 112, "<2f", slope, 7.0)
    np.testing.assert_array_equal(read_volume(path).array, array)


def test_the_sform_goes_before_the_qform_and_their_difference_is_noted(tmp_path: Path) -> None:
    other = affine_of(rotation(0), (0.7, 0.8, 2.5), (0, 0, 0))
    image = nib.Nifti1Image(noise(), AFFINE)
    image.header.set_qform(other, 1)
    image.header.set_sform(AFFINE, 2)
    nib.save(image, tmp_path / "both.nii")
    volume = read_volume(tmp_path / "both.nii")
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert "apart; the sform was taken" in volume.notes[0]
    image.header["sform_code"] = 0
    nib.save(nib.Nifti1Image(noise(), None, image.header), tmp_path / "qform.nii")
    volume = read_volume(tmp_path / "qform.nii")
    np.testing.assert_allclose(volume.affine, other, atol=1e-4)
    assert volume.notes == ()


def test_an_unusable_sform_gives_way_to_the_qform(tmp_path: Path) -> None:
    path = patched(stored(tmp_path / "case.nii", noise()), 280, "<12f", *([0.0] * 12))
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert "the qform was taken" in volume.notes[0]


def test_without_codes_the_spacing_alone_is_taken(tmp_path: Path) -> None:
    path = patched(stored(tmp_path / "case.nii", noise()), 252, "<2h", 0, 0)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, np.diag([0.7, 0.8, 2.5, 1]), atol=1e-6)
    assert "does not say how it lies" in volume.notes[0]


@pytest.mark.parametrize(("unit", "scale"), [(1, 1000.0), (3, 0.001)])
def test_other_units_become_mm(tmp_path: Path, unit: int, scale: float) -> None:
    affine = AFFINE.copy()
    affine[:3] /= scale
    path = patched(stored(tmp_path / "case.nii", noise(), affine), 123, "<B", unit)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-5)
    assert "turned to mm" in volume.notes[0]


def test_a_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    path = stored(tmp_path / "case.nii.gz", noise((*SHAPE, 1, 1)))
    assert read_volume(path).shape == SHAPE


def test_an_extension_of_the_header_is_passed_over(tmp_path: Path) -> None:
    image = nib.Nifti1Image(noise(), AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"words " * 500))
    nib.save(image, tmp_path / "case.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "case.nii.gz").array, noise())


def test_several_gzip_members_are_one_stream(tmp_path: Path) -> None:
    content = stored(tmp_path / "case.nii", noise()).read_bytes()
    path = tmp_path / "parts.nii.gz"
    path.write_bytes(gzip.compress(content[:300]) + gzip.compress(content[300:]))
    np.testing.assert_array_equal(read_volume(path).array, noise())


def test_the_content_tells_and_not_the_name(tmp_path: Path) -> None:
    path = stored(tmp_path / "case.nii.gz", noise()).rename(tmp_path / "scan")
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, noise())
    assert volume.name == "scan"


def test_the_grid_is_read_from_the_header_alone(tmp_path: Path) -> None:
    path = stored(tmp_path / "case.nii", noise())
    path.write_bytes(path.read_bytes()[:400])
    grid = read_grid(path)
    assert grid is not None and grid[0] == SHAPE
    np.testing.assert_allclose(grid[1], AFFINE, atol=1e-5)


def test_a_missing_half_of_a_pair_is_named(tmp_path: Path) -> None:
    stored(tmp_path / "case.img", noise(), kind=nib.Nifti1Pair)
    (tmp_path / "case.img").unlink()
    with pytest.raises(VolumeError, match=r"there is no case\.img beside it"):
        read_volume(tmp_path / "case.hdr")
