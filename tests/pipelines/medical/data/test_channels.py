from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.medical.data import FoundCase, SkippedFile, find_cases
from pipelines.medical.data.channels import matches, plain_name
from tests.pipelines.medical.data.made import ct_series
from tests.pipelines.medical.data.test_files import put


def cases(paths: list[Path], channels: list[str]) -> dict[str, list[str]]:
    found = [one for one in find_cases(paths, channels) if isinstance(one, FoundCase)]
    assert len({one.name for one in found}) == len(found)
    return {one.name: [image.path.name for image in one.images] for one in found}


def problems(paths: list[Path], channels: list[str]) -> list[str]:
    found = list(find_cases(paths, channels))
    return [one.reason for one in found if isinstance(one, SkippedFile) and one.named]


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("t1", "patient_t1", True),
        ("T1", "patient-t1.1", True),
        ("t1", "patient_t1ce", False),
        ("t1 c", "a_t1-C_b", True),
        ("t1 c", "t1_b_c", False),
        ("Flair*", "flair_normalised", True),
        ("Flair*", "my_flair", False),
        ("*.MR_T1c.*", "VSD.Brain.XX.O.MR_T1c.5", True),
        ("t[12]", "T2", True),
    ],
)
def test_patterns(pattern: str, name: str, found: bool) -> None:
    assert matches(pattern, name) is found


def test_plain_names() -> None:
    assert [plain_name(one) for one in ("Flair*", "*_t1.*", "CT", "*")] == ["Flair", "t1", "CT", "*"]


def test_with_one_channel_each_volume_is_a_case(tmp_path: Path) -> None:
    put(tmp_path / "a_0000.nii")
    put(tmp_path / "b.nrrd")
    assert cases([tmp_path], ["CT"]) == {"a_0000": ["a_0000.nii"], "b": ["b.nrrd"]}


def test_numbered_channels(tmp_path: Path) -> None:
    for name in ("a_0001", "a_0000", "b_0000", "b_0001", "c_0001", "d_0000", "d_0001", "d_0002"):
        put(tmp_path / f"{name}.nii.gz")
    assert cases([tmp_path], ["T1", "T2"]) == {
        "a": ["a_0000.nii.gz", "a_0001.nii.gz"],
        "b": ["b_0000.nii.gz", "b_0001.nii.gz"],
    }
    assert problems([tmp_path], ["T1", "T2"]) == [
        "c: _0000 is missing",
        "d: _0002 is one channel more than the 2 needed",
    ]


def test_one_folder_per_case(tmp_path: Path) -> None:
    for name in (
        "p1/Flair_x.nii",
        "p1/T1c_y.nii",
        "p1/mask.nii",
        "p2/T1c.nii",
        "p3/Flair.nii",
        "p3/T1c_1.nii",
    ):
        put(tmp_path / name)
    put(tmp_path / "p3" / "T1c_2.nii")
    assert cases([tmp_path], ["Flair", "T1c"]) == {"p1": ["Flair_x.nii", "T1c_y.nii"]}
    assert problems([tmp_path], ["Flair", "T1c"]) == [
        "p2: no file is called Flair",
        "p3: 2 files are called T1c: T1c_1, T1c_2",
    ]


def test_several_cases_in_one_folder(tmp_path: Path) -> None:
    for case in ("BraTS_001", "BraTS_002"):
        for channel in ("t1", "t1ce", "flair", "seg"):
            put(tmp_path / f"{case}_{channel}.nii.gz")
    assert cases([tmp_path], ["flair", "t1ce", "t1"]) == {
        case: [f"{case}_{one}.nii.gz" for one in ("flair", "t1ce", "t1")]
        for case in ("BraTS_001", "BraTS_002")
    }


def test_the_longest_pattern_wins(tmp_path: Path) -> None:
    for name in ("T1_a", "T1c_a"):
        put(tmp_path / "p" / f"{name}.nii")
    assert cases([tmp_path], ["T1*", "T1c*"]) == {"p": ["T1_a.nii", "T1c_a.nii"]}


def test_dicom_folders_are_channels(tmp_path: Path) -> None:
    for channel in ("T1", "T2"):
        ct_series(tmp_path / "patient" / channel, [0, 1, 2])
    assert cases([tmp_path], ["T2", "T1"]) == {"patient": ["T2", "T1"]}


def test_real_cases(shared_data: Path) -> None:
    found = cases([shared_data / "medical" / "brats2013"], ["Flair", "T1c"])
    assert list(found) == [f"brats_2013_pat000{number}_1" for number in (1, 2, 3, 4)]
    assert set(map(tuple, found.values())) == {("Flair_subtrMeanDivStd.nii.gz", "T1c_subtrMeanDivStd.nii.gz")}
