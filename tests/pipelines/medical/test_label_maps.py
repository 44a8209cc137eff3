"""Finding label maps, naming their values, and refusing what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.common.errors import UserError
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.label_maps import (
    as_labels,
    check_names,
    find_label_maps,
    label_names,
    parse_names,
    read_label_map,
)
from tests.pipelines.medical.masks import label_map, write_maps, write_run


def volume(array: np.ndarray) -> Volume:
    return Volume(array, np.eye(4), Path("a.nii"), "a")


def test_label_maps_are_found_in_folders_files_and_runs(tmp_path: Path) -> None:
    maps = {"b": label_map(0), "a": label_map(1)}
    folder = write_maps(tmp_path / "maps", maps)
    (folder / "notes.txt").write_text("no volume")
    (folder / ".hidden.nii.gz").write_bytes(b"")
    assert sorted(find_label_maps(folder)) == ["a", "b"]
    assert find_label_maps(folder / "a.nii.gz") == {"a": folder / "a.nii.gz"}
    run = write_run(tmp_path / "run", maps, {"front": 1, "back": 2})
    found = find_label_maps(run)
    assert sorted(found) == ["a", "b"]
    np.testing.assert_array_equal(read_label_map(found["a"]).labels, maps["a"])
    assert label_names(run) == {"front": 1, "back": 2}
    assert label_names(folder) == {}


def test_two_files_of_a_case_are_refused(tmp_path: Path) -> None:
    write_maps(tmp_path / "one", {"a": label_map(0)})
    write_maps(tmp_path / "two", {"a": label_map(0)})
    with pytest.raises(UserError, match="both called a"):
        find_label_maps(tmp_path)


def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no label map in"):
        find_label_maps(tmp_path)
    with pytest.raises(UserError, match="there is no file or folder"):
        find_label_maps(tmp_path / "gone")
    run = write_run(tmp_path / "wafers", {}, {}, task="wafer")
    with pytest.raises(UserError, match="is a run of the task wafer"):
        find_label_maps(run)


@pytest.mark.parametrize("labels", [["a"], {"a": "1"}, {"a": 0}, {"a": True}, {"a": 1.5}, {"a": 1, "b": 1}])
def test_a_damaged_record_is_named(tmp_path: Path, labels: object) -> None:
    run = write_run(tmp_path / "run", {"a": label_map(0)}, labels)
    with pytest.raises(UserError, match=r"run\.json names its labels wrongly"):
        label_names(run)


def test_names_on_the_command_line() -> None:
    assert parse_names("liver=1, left kidney = 20") == {"liver": 1, "left kidney": 20}
    assert parse_names("a=b=3") == {"a=b": 3}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "name=value"),
        ("liver", "name=value"),
        ("=1", "name=value"),
        ("liver=", "name=value"),
        ("liver=one", "name=value"),
        ("liver=-1", "name=value"),
        ("liver=²", "name=value"),
        ("liver=1,", "name=value"),
        ("liver=0", "from 1 to 65,535"),
        ("liver=65536", "from 1 to 65,535"),
        ("liver=1,liver=2", "given twice"),
        ("liver=1,spleen=1", "the same value"),
    ],
)
def test_wrong_names_are_refused(text: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        parse_names(text)


def test_names_must_be_a_mapping() -> None:
    with pytest.raises(UserError, match="names with values"):
        check_names([1, 2])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64, np.int64])
def test_whole_numbers_are_labels_in_any_type(dtype: type) -> None:
    small, large = (np.array([[[0, 1, top]]], dtype) for top in (3, 1000 if dtype != np.uint8 else 255))
    assert as_labels(volume(small)).dtype == np.uint8
    np.testing.assert_array_equal(as_labels(volume(small)), small)
    np.testing.assert_array_equal(as_labels(volume(large)), large)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([0.0, 0.5], "no whole numbers"),
        ([0.0, np.nan], "no whole numbers"),
        ([0.0, np.inf], "no whole numbers"),
        ([-1024, 3], "from -1024 to 3"),
        ([0, 70_000], "from 0 to 70000"),
        (list(range(1500)), "1,500 different values"),
    ],
)
def test_images_are_no_label_maps(values: list[float], problem: str) -> None:
    with pytest.raises(VolumeError, match=rf"{problem}.*image rather than a label map"):
        as_labels(volume(np.array(values)[None, None]))


@pytest.mark.parametrize("first", [1, 300])
def test_many_values_are_labels_if_they_have_names(tmp_path: Path, first: int) -> None:
    """Whole-body maps have about 120 values; a file of more that nobody names is taken for an image."""
    few, many = (np.r_[0, first : first + count][None, None].astype(np.uint16) for count in (128, 129))
    write_maps(tmp_path, {"few": few, "many": many})
    np.testing.assert_array_equal(read_label_map(tmp_path / "few.nii.gz", named=False).labels, few)
    np.testing.assert_array_equal(read_label_map(tmp_path / "many.nii.gz").labels, many)
    with pytest.raises(
        VolumeError, match=r"many\.nii\.gz: it holds 129 different labels.*--labels NAME=VALUE"
    ):
        read_label_map(tmp_path / "many.nii.gz", named=False)


def test_a_label_map_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = write_maps(tmp_path, {"a": label_map(0)}) / "a.nii.gz"
    size = label_map(0).size
    assert read_label_map(path, max_voxels=size).labels.size == size
    with pytest.raises(VolumeError, match=r"raise the limit with --set max_voxels=N"):
        read_label_map(path, max_voxels=size - 1)
