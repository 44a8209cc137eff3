from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest

from pipelines.medical.data import VolumeError, read_volume
from tests.pipelines.medical.data.made import (
    AFFINE,
    affine_of,
    assert_as_itk,
    itk_image,
    noise,
    rotation,
    signed_permutations,
    sitk,
)

TO_RAS = {"right-anterior-superior": (1, 1), "LAS": (-1, 1), "left-posterior-superior": (-1, -1)}
ARRAY = noise((3, 4, 5))


def nrrd(data: bytes | None = None, /, **changes: str | None) -> bytes:
    """A file as text and voxels; a field that is None is left out."""
    fields: dict[str, str | None] = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "3 4 5",
        "space directions": "(1,0,0) (0,2,0) (0,0,3)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(10,20,30)",
    }
    fields |= {name.replace("_", " "): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    content = ARRAY.astype("<i2").tobytes(order="F") if data is None else data
    return "\n".join(["NRRD0004", "# a comment", *lines, "", ""]).encode() + content


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_what_simpleitk_writes(tmp_path: Path, dtype: str, packed: bool, ending: str) -> None:
    image = itk_image(np.clip(noise(), 0, 200).astype(dtype), affine_of(rotation(1), (1, 2, 3), (4, 5, 6)))
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(image, str(path), packed)
    volume = read_volume(path)
    assert_as_itk(volume, image)
    assert volume.array.dtype == (np.float32 if dtype == "float64" else dtype)
    assert (volume.name, volume.notes) == ("case", ())


def test_every_orientation_is_read_as_simpleitk_reads_it(tmp_path: Path) -> None:
    for number, axes in enumerate(signed_permutations()):
        image = itk_image(noise(), affine_of(axes, (0.7, 0.8, 2.5), (-20, 15, 100)))
        path = tmp_path / f"{number}.nrrd"
        sitk.WriteImage(image, str(path))
        assert_as_itk(read_volume(path), image)


@pytest.mark.parametrize("space", TO_RAS)
def test_spaces_become_ras(tmp_path: Path, space: str) -> None:
    path = saved(tmp_path / "case.nrrd", nrrd(space=space))
    volume = read_volume(path)
    x, y = TO_RAS[space]
    expected = np.array([[x, 0, 0, 10 * x], [0, 2 * y, 0, 20 * y], [0, 0, 3, 30], [0, 0, 0, 1]])
    np.testing.assert_array_equal(volume.affine, expected)
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert_as_itk(volume, sitk.ReadImage(str(path)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": None}, "names no space"),
        ({"space": "scanner-xyz"}, "does not tell left from right"),
        ({"space_directions": None, "spacings": "1 2 3"}, "spacings and no directions"),
    ],
)
def test_what_is_assumed_is_noted(tmp_path: Path, changes: dict[str, str | None], words: str) -> None:
    volume = read_volume(saved(tmp_path / "case.nrrd", nrrd(**changes)))
    np.testing.assert_array_equal(volume.affine[:3, :3], np.diag([-1, -2, 3]))
    assert any(words in note for note in volume.notes)


def test_other_units_and_byte_orders(tmp_path: Path) -> None:
    data = ARRAY.astype(">i2").tobytes(order="F")
    content = nrrd(data, endian="big", space_units='"cm" "cm" "cm"')
    volume = read_volume(saved(tmp_path / "case.nrrd", content))
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine[:3, 3], (-100, -200, 300))
    assert "turned to mm" in volume.notes[0]


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    data = ARRAY.astype("<i2").tobytes(order="F")
    packed = gzip.compress(data) if encoding == "gzip" else bz2.compress(data)
    volume = read_volume(saved(tmp_path / "case.nrrd", nrrd(packed, encoding=encoding)))
    np.testing.assert_array_equal(volume.array, ARRAY)
    with pytest.raises(VolumeError, match="cut short"):
        read_volume(saved(tmp_path / "cut.nrrd", nrrd(packed[:-40], encoding=encoding)))


def test_an_axis_of_one_that_is_not_in_space_is_dropped(tmp_path: Path) -> None:
    changes = {
        "dimension": "4",
        "sizes": "1 3 4 5",
        "space_directions": "none (1,0,0) (0,2,0) (0,0,3)",
        "kinds": "vector domain domain domain",
    }
    volume = read_volume(saved(tmp_path / "case.nrrd", nrrd(**changes)))
    np.testing.assert_array_equal(volume.array, ARRAY)


@pytest.mark.parametrize("skip", ["byte skip: -1", "line skip: 2", "byte skip: 12"])
def test_what_lies_before_the_voxels_is_skipped(tmp_path: Path, skip: str) -> None:
    name, value = skip.split(": ")
    saved(tmp_path / "voxels.raw", b"first\nsecnd\n" + ARRAY.astype("<i2").tobytes(order="F"))
    header = nrrd(b"", **{name.replace(" ", "_"): value, "data_file": "voxels.raw"})
    np.testing.assert_array_equal(read_volume(saved(tmp_path / "case.nhdr", header)).array, ARRAY)


def test_a_header_without_a_last_blank_line(tmp_path: Path) -> None:
    saved(tmp_path / "voxels.raw", ARRAY.astype("<i2").tobytes(order="F"))
    header = nrrd(b"", data_file="voxels.raw").rstrip(b"\n")
    np.testing.assert_array_equal(read_volume(saved(tmp_path / "case.nhdr", header)).array, ARRAY)


def test_the_affine_is_that_of_the_header(tmp_path: Path) -> None:
    image = itk_image(noise(), AFFINE)
    sitk.WriteImage(image, str(tmp_path / "case.nrrd"))
    np.testing.assert_allclose(read_volume(tmp_path / "case.nrrd").affine, AFFINE, atol=1e-12)
