from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.medical.data import VolumeError, read_volume
from pipelines.medical.data.dicom_seg import write_dicom_seg
from tests.pipelines.medical.data.made import ct_series, enhanced_ct, noise, volume, with_identifiers

NAMES = {"liver": 7, "box": 2}


def labels_for(shape: tuple[int, ...]) -> Any:
    labels = np.zeros(shape, np.uint8)
    labels[1:4, 2:, 1:] = 7
    labels[5, 1, 0] = 2
    labels[0, 0, 0] = 9  # has no name, and is left out
    return labels


@pytest.mark.filterwarnings("ignore")  # of the reader that it is checked with
@pytest.mark.parametrize("enhanced", [False, True])
def test_a_segmentation_lies_on_its_series(tmp_path: Path, enhanced: bool) -> None:
    highdicom = pytest.importorskip("highdicom")
    folder = tmp_path / "scan"
    folder.mkdir()
    if enhanced:
        enhanced_ct(folder / "scan.dcm", [3.0, 1.0, 2.0, 4.0], [0] * 4)
    else:
        ct_series(folder, [0, 2.5, 5, 7.5])
    like = read_volume(folder)
    labels = labels_for(like.shape)
    path = tmp_path / "seg.dcm"
    write_dicom_seg(path, labels, like, NAMES, "test model")
    written = highdicom.seg.segread(path)
    assert [one.segment_label for one in (written.get_segment_description(n) for n in (1, 2))] == [
        "liver",
        "box",
    ]
    assert (written.SeriesNumber, str(written.PatientName)) == (900, "Doe^Jane")
    found = written.get_volume(combine_segments=True)
    to_ours = np.linalg.inv(like.affine) @ np.diag([-1, -1, 1, 1]) @ found.affine
    expected = np.where(labels == 7, 1, np.where(labels == 2, 2, 0))
    seen = np.zeros_like(expected)
    for index in np.argwhere(found.array):
        place = np.rint((to_ours @ [*index, 1])[:3]).astype(int)
        seen[tuple(place)] = found.array[tuple(index)]
    np.testing.assert_array_equal(seen, expected)
    write_dicom_seg(tmp_path / "again.dcm", labels, like, NAMES, "test model")
    again = highdicom.seg.segread(tmp_path / "again.dcm")
    assert again.SOPInstanceUID == written.SOPInstanceUID


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_real_series(shared_data: Path, tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    source = shared_data / "medical" / "totalseg" / "example_ct_dicom"
    bare = read_volume(source)
    labels = (bare.array > 300).astype(np.uint8)
    with pytest.raises(VolumeError, match="lacks SeriesInstanceUID, StudyInstanceUID"):
        write_dicom_seg(tmp_path / "seg.dcm", labels, bare, {"bone": 1}, "test model")
    with_identifiers(source, tmp_path / "scan")
    write_dicom_seg(tmp_path / "seg.dcm", labels, read_volume(tmp_path / "scan"), {"bone": 1}, "test model")
    found = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    assert int(found.array.sum()) == int(labels.sum()) > 10_000


def test_what_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("highdicom")
    ct_series(tmp_path / "scan", [0, 2.5, 5, 7.5])
    like = read_volume(tmp_path / "scan")
    path = tmp_path / "seg.dcm"
    with pytest.raises(VolumeError, match="nothing is labelled"):
        write_dicom_seg(path, np.zeros(like.shape, np.uint8), like, NAMES, "test model")
    other = volume(noise())
    with pytest.raises(VolumeError, match="not from DICOM"):
        write_dicom_seg(path, labels_for(other.shape), other, NAMES, "test model")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(VolumeError, match=r"pip install 'sparse-suite\[dicom-seg\]'"):
        write_dicom_seg(path, labels_for(like.shape), like, NAMES, "test model")
    assert not path.exists()


def test_a_source_that_breaks_the_standard_is_said_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    highdicom = pytest.importorskip("highdicom")
    ct_series(tmp_path / "scan", [0, 2.5, 5, 7.5])
    like = read_volume(tmp_path / "scan")

    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("Doe^Jane is no name")

    monkeypatch.setattr(highdicom.seg, "Segmentation", refuse)
    with pytest.raises(VolumeError, match=r"break the DICOM standard \(ValueError\)") as raised:
        write_dicom_seg(tmp_path / "seg.dcm", labels_for(like.shape), like, NAMES, "test model")
    assert "Doe" not in str(raised.value)
    assert not (tmp_path / "seg.dcm").exists()
