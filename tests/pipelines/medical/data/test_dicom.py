from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import MPEG2MPML, JPEGLosslessSV1

from pipelines.medical.data import SkippedFile, VolumeError, VolumeFile, find_volumes, read_volume
from tests.pipelines.medical.data.made import (
    LPS,
    assert_as_itk,
    ct_series,
    ct_slice,
    enhanced_ct,
    save,
    sitk,
)

HEIGHTS = [100.0, 102.5, 105.0, 107.5]


def itk_series(folder: Path) -> Any:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def test_a_series_as_simpleitk_reads_it(tmp_path: Path) -> None:
    pixels = ct_series(tmp_path / "scan", HEIGHTS)
    volume = read_volume(tmp_path / "scan")
    assert_as_itk(volume, itk_series(tmp_path / "scan"))
    np.testing.assert_array_equal(volume.array, pixels.transpose(2, 1, 0).astype(int) - 1024)
    assert (volume.name, volume.modality, volume.array.dtype.name) == ("scan", "CT", "int16")
    np.testing.assert_allclose(volume.spacing, (0.7, 0.8, 2.5))


@pytest.mark.parametrize(
    "directions", [[0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1], [0.8, 0.6, 0, -0.6, 0.8, 0]]
)
def test_other_planes_as_simpleitk_reads_them(tmp_path: Path, directions: list[float]) -> None:
    normal = np.cross(directions[:3], directions[3:])
    for number in range(4):
        pixels = np.full((5, 7), number, np.uint16)
        position = np.array([5.0, 6.0, 7.0]) + number * 3 * normal
        save(ct_slice(position, pixels, ImageOrientationPatient=directions), tmp_path / f"{9 - number}.dcm")
    assert_as_itk(read_volume(tmp_path), itk_series(tmp_path))


def test_a_file_stands_for_its_series(tmp_path: Path) -> None:
    ct_series(tmp_path / "scan", HEIGHTS)
    file = sorted((tmp_path / "scan").iterdir())[1]
    assert read_volume(file).shape == (7, 5, 4)
    found = list(find_volumes([*(tmp_path / "scan").iterdir(), tmp_path / "scan"]))
    assert [one.path for one in found] == [tmp_path / "scan"]


def test_a_tilted_gantry_shears_the_grid(tmp_path: Path) -> None:
    ct_series(tmp_path / "scan", HEIGHTS, shift=(0.0, 0.9))
    volume = read_volume(tmp_path / "scan")
    for k, height in enumerate(HEIGHTS):
        expected = LPS @ np.array([-20, -15 + 0.9 * k, height])
        np.testing.assert_allclose((volume.affine @ [0, 0, k, 1])[:3], expected)
    assert volume.voxel_ml == pytest.approx(0.7 * 0.8 * 2.5 / 1000)


def test_each_slice_has_its_own_scaling(tmp_path: Path) -> None:
    pixels = np.arange(35, dtype=np.uint16).reshape(5, 7)
    for number, slope in enumerate((0.5, 2.0, 1.0)):
        changes = {"RescaleSlope": slope, "RescaleIntercept": -number, "Modality": "PT"}
        save(ct_slice((0, 0, 3.0 * number), pixels, **changes), tmp_path / f"{number}")
    volume = read_volume(tmp_path)
    for number, slope in enumerate((0.5, 2.0, 1.0)):
        np.testing.assert_array_equal(volume.array[..., number], pixels.T * slope - number)
    assert volume.modality == "PT" and volume.array.dtype == np.float32


def test_signed_and_unsigned_slices_together(tmp_path: Path) -> None:
    unsigned, signed = np.full((5, 7), 60_000, np.uint16), np.full((5, 7), -7, np.int16)
    for number, pixels in enumerate((unsigned, signed, unsigned)):
        save(ct_slice((0, 0, number), pixels, RescaleIntercept=0), tmp_path / f"{number}")
    assert read_volume(tmp_path).array[0, 0].tolist() == [60_000, -7, 60_000]


def test_frames_of_one_file(tmp_path: Path) -> None:
    heights, intercepts = [3.0, 1.0, 2.0, 4.0], [-10, -20, -30, -40]
    pixels = enhanced_ct(tmp_path / "scan.dcm", heights, intercepts)
    volume = read_volume(tmp_path / "scan.dcm")
    # Rows run along y, columns down -z, so the normal is -x: the slices come from the largest x.
    for k, frame in enumerate(np.argsort(heights)[::-1]):
        np.testing.assert_array_equal(volume.array[..., k], pixels[frame].T * 2.0 + intercepts[frame])
        point = (volume.affine @ [2, 3, k, 1])[:3]
        np.testing.assert_allclose(LPS @ point, [heights[frame], -30 + 2 * 0.7, 50 - 3 * 0.8])


def test_one_frame_in_each_file(tmp_path: Path) -> None:
    pixels = [enhanced_ct(tmp_path / f"{height}", [height], [-10]) for height in (3.0, 2.0, 1.0)]
    array = read_volume(tmp_path).array
    for k in range(3):
        np.testing.assert_array_equal(array[..., k], pixels[k][0].T * 2.0 - 10)


def test_frames_as_simpleitk_reads_them(tmp_path: Path) -> None:
    enhanced_ct(tmp_path / "scan.dcm", [4.0, 3.0, 2.0, 1.0], [-10] * 4)
    image = sitk.ReadImage(str(tmp_path / "scan.dcm"))
    assert_as_itk(read_volume(tmp_path / "scan.dcm"), image)


def test_several_series_are_several_cases(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    ct_series(folder, HEIGHTS)
    for number, height in enumerate((0, 1, 2)):
        pixels = np.zeros((6, 6), np.uint16)
        changes = {"SeriesInstanceUID": "1.2.99", "SeriesNumber": 4, "PatientName": "Doe^Jane"}
        save(ct_slice((0, 0, height), pixels, **changes), folder / f"other{number}")
    found = [one for one in find_volumes([folder]) if isinstance(one, VolumeFile)]
    assert [one.name.rsplit("_", 1)[0] for one in found] == ["study_series3", "study_series4"]
    assert [read_volume(one).shape for one in found] == [(7, 5, 4), (6, 6, 3)]
    with pytest.raises(VolumeError, match="holds 2 volumes"):
        read_volume(folder)
    assert read_volume(folder / "other1").shape == (6, 6, 3)
    told = " ".join([*(one.name for one in found), *(str(read_volume(one).header) for one in found)])
    assert "Doe" not in told and "12345" not in told


def test_one_series_in_two_directions_is_two_volumes(tmp_path: Path) -> None:
    pixels = np.zeros((5, 7), np.uint16)
    for number in range(3):
        save(ct_slice((0, 0, number), pixels), tmp_path / f"a{number}")
        changes = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
        save(ct_slice((number, 0, 0), pixels, **changes), tmp_path / f"b{number}")
    names = [one.name for one in find_volumes([tmp_path]) if isinstance(one, VolumeFile)]
    assert len(names) == len(set(names)) == 2


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        (
            [0, 2.5, 7.5, 10],
            r"1 slice is missing: 5\.00 mm between IM007 and IM014 \(at 2\.50 and 7\.50 mm\)",
        ),
        ([0, 2.5, 5, 12.5, 15], "2 slices are missing"),
        ([0, 2.5, 5, 8.5, 11, 13.5], "unevenly spaced: 3.50 mm between"),
        ([0, 2.5, 2.5, 5, 7.5], "1 slices lie where others lie"),
        ([0, 0, 2.5, 2.5, 5, 5], "several scans"),
    ],
)
def test_slices_that_are_no_grid(tmp_path: Path, heights: list[float], words: str) -> None:
    ct_series(tmp_path / "scan", heights)
    with pytest.raises(VolumeError, match=words):
        read_volume(tmp_path / "scan")


def test_positions_as_scanners_round_them(tmp_path: Path) -> None:
    ct_series(tmp_path / "scan", [0, 0.6, 1.3, 1.9, 2.5, 3.1, 3.8])
    assert read_volume(tmp_path / "scan").spacing[2] == pytest.approx(3.8 / 6)


def test_a_slice_off_the_line(tmp_path: Path) -> None:
    ct_series(tmp_path, HEIGHTS)
    moved = pydicom.dcmread(tmp_path / "IM007")
    moved.ImagePositionPatient = [-10, -15, 102.5]
    moved.save_as(tmp_path / "IM007")
    with pytest.raises(VolumeError, match=r"do not lie on a line: IM007 is 10\.00 mm off"):
        read_volume(tmp_path)


def test_a_copy_of_a_slice_is_left_out(tmp_path: Path) -> None:
    ct_series(tmp_path, HEIGHTS)
    (tmp_path / "copy").write_bytes((tmp_path / "IM007").read_bytes())
    volume = read_volume(tmp_path)
    assert volume.shape == (7, 5, 4)
    assert volume.notes == ("1 copies of slices were left out",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localizer"),
        ({"Modality": "SEG"}, "modality SEG"),
        ({"SamplesPerPixel": 3}, "a colour image"),
        ({"ImagePositionPatient": None}, "does not say where it lies"),
        ({"ImageOrientationPatient": None}, "does not say how it lies"),
        ({"PixelSpacing": None}, "does not say the size of its pixels"),
        ({"ImagePositionPatient": [1, 2]}, "does not have 3 numbers"),
        ({"Rows": None}, "no image"),
        ({"NumberOfFrames": 3}, "frames without positions"),
        ({"Rows": 65_535, "Columns": 65_535}, "at most 1,073,741,824 are read"),
    ],
)
def test_what_is_no_slice_is_skipped_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    ct_series(tmp_path / "scan", HEIGHTS)
    odd = save(ct_slice((0, 0, 0), np.zeros((5, 7), np.uint16), **changes), tmp_path / "scan" / "odd")
    found = list(find_volumes([tmp_path / "scan"]))
    assert [type(one) for one in found] == [SkippedFile, VolumeFile]
    assert isinstance(found[0], SkippedFile) and found[0].path == odd and words in found[0].reason
    with pytest.raises(VolumeError, match=words):
        read_volume(save(ct_slice((0, 0, 0), np.zeros((5, 7), np.uint16), **changes), tmp_path / "odd.dcm"))


def test_a_single_image_is_no_volume(tmp_path: Path) -> None:
    save(ct_slice((0, 0, 0), np.zeros((5, 7), np.uint16)), tmp_path / "one.dcm")
    with pytest.raises(VolumeError, match="a single image of its kind"):
        read_volume(tmp_path / "one.dcm")


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        (
            JPEGLosslessSV1,
            r"1\.2\.840\.10008\.1\.2\.4\.70\); to read it: pip install pylibjpeg pylibjpeg-libjpeg",
        ),
        (MPEG2MPML, "MPEG2 Main Profile.*which is not read"),
    ],
)
def test_a_compression_without_a_decoder_is_named(tmp_path: Path, syntax: Any, words: str) -> None:
    ct_series(tmp_path, HEIGHTS)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        data["PixelData"].is_undefined_length = True
        data.save_as(path)
    with pytest.raises(VolumeError, match=words):
        read_volume(tmp_path)


def test_lossless_run_lengths_are_decoded(tmp_path: Path) -> None:
    pixels = ct_series(tmp_path, HEIGHTS)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        data.save_as(path)
    np.testing.assert_array_equal(read_volume(tmp_path).array, pixels.transpose(2, 1, 0).astype(int) - 1024)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    ct_series(tmp_path, HEIGHTS)
    content = (tmp_path / "IM021").read_bytes()
    (tmp_path / "IM021").write_bytes(content[:-30])
    with pytest.raises(VolumeError, match="IM021"):
        read_volume(tmp_path)
    (tmp_path / "IM021").write_bytes(content[:140] + bytes(range(256)))
    volume = read_volume(tmp_path)
    assert volume.shape == (7, 5, 3)
    assert any("IM021" in note and "left out" in note for note in volume.notes)


def test_damage_anywhere_ends_no_search(tmp_path: Path) -> None:
    ct_series(tmp_path, HEIGHTS)
    content = bytearray((tmp_path / "IM007").read_bytes())
    random = np.random.default_rng(0)
    for _ in range(60):
        harmed = content.copy()
        for place in random.integers(132, len(content) - 70, 5):
            harmed[place] = random.integers(256)
        (tmp_path / "IM007").write_bytes(harmed)
        for item in find_volumes([tmp_path]):
            if isinstance(item, VolumeFile):
                with contextlib.suppress(VolumeError):
                    read_volume(item)
