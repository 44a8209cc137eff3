from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from pipelines.medical.data import (
    SkippedFile,
    VolumeError,
    VolumeFile,
    case_name,
    find_volumes,
    read_volume,
    unique_names,
    write_labels,
)
from tests.pipelines.medical.data.made import AFFINE, ct_series, itk_image, noise, sitk, volume


def put(path: Path) -> Path:
    """A small volume in the format of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(itk_image(noise(), AFFINE), str(path))
    return path


def names(found: list[VolumeFile | SkippedFile]) -> list[str]:
    return [str(one.name if isinstance(one, VolumeFile) else f"-{one.path.name}") for one in found]


def test_a_folder_with_everything(tmp_path: Path) -> None:
    for name in (
        "b.nii.gz",
        "a.mha",
        "c.mhd",
        "d.nhdr",
        "e.nrrd",
        "f.hdr",
        "z/y.nii",
        ".hidden.nii",
        ".git/g.nii",
    ):
        put(tmp_path / name)
    ct_series(tmp_path / "m", [0, 1, 2])
    (tmp_path / "notes.txt").write_text("no volume")
    (tmp_path / "g.nii.gz").write_bytes(b"")
    found = list(find_volumes([tmp_path]))
    assert names(found) == ["a", "b", "c", "-c.raw", "d", "-d.raw", "e", "f", "g", "-notes.txt", "m", "y"]
    formats = {one.name: one.format for one in found if isinstance(one, VolumeFile)}
    others = {"a": "MetaImage", "c": "MetaImage", "d": "NRRD", "e": "NRRD", "m": "DICOM"}
    assert formats == dict.fromkeys("bfgy", "NIfTI") | others
    for one in found:
        if isinstance(one, VolumeFile) and one.name != "g":
            assert read_volume(one).name == one.name


def test_what_the_user_names_is_told_from_what_lies_about(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no volume")
    for paths, named in (([text], True), ([tmp_path], False)):
        (found,) = find_volumes(paths)
        assert isinstance(found, SkippedFile) and found.named is named
        assert found.reason.startswith("no volume in a known format")
    (found,) = find_volumes([tmp_path / "absent"])
    assert found == SkippedFile(tmp_path / "absent", "there is no such file or folder", True)
    empty = tmp_path / "empty"
    empty.mkdir()
    reason = "there is no volume in it: the folder has no files"
    assert list(find_volumes([empty])) == [SkippedFile(empty, reason, True)]


def test_nothing_comes_twice(tmp_path: Path) -> None:
    path = put(tmp_path / "a.nii.gz")
    pair = put(tmp_path / "b.hdr")
    found = list(find_volumes([path, tmp_path, path, pair, tmp_path / "b.img"]))
    assert names(found) == ["a", "b"]


def test_links_lead_neither_out_nor_around(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "o.nii")
    inside = put(tmp_path / "in" / ".store" / "i.nii")
    top = tmp_path / "in"
    (top / "a.nii").symlink_to(outside)
    (top / "b.nii").symlink_to(inside)
    (top / "loop").symlink_to(top)
    (top / "nowhere.nii").symlink_to(top / "absent")
    found = list(find_volumes([top]))
    assert names(found) == ["b", "-a.nii", "-loop", "-nowhere.nii"]
    reasons = [one.reason for one in found if isinstance(one, SkippedFile)]
    assert reasons == [
        "a link that leads out of the folder",
        "a link to a folder, which is not followed",
        "a link that leads nowhere",
    ]
    assert names(list(find_volumes([top / "a.nii"]))) == ["a"], "a link that the user names is followed"


def test_the_masks_of_a_run_are_not_found_as_images(tmp_path: Path) -> None:
    put(tmp_path / "a.nii.gz")
    put(tmp_path / "run" / "masks" / "a.nii.gz")
    (tmp_path / "run" / "run.json").write_text('{"schema_version": 1, "task": "medical"}')
    assert names(list(find_volumes([tmp_path]))) == ["a", "-run"]
    assert names(list(find_volumes([tmp_path / "run"]))) == ["-run.json", "a"], "unless the user names it"


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_other_formats_within_gzip_are_named(tmp_path: Path, name: str) -> None:
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(put(tmp_path / "plain" / name).read_bytes()))
    (found,) = (one for one in find_volumes([tmp_path]) if one.path == packed)
    assert isinstance(found, SkippedFile) and found.named and "within gzip" in found.reason
    with pytest.raises(VolumeError, match="within gzip"):
        read_volume(packed)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    for paths in ([tmp_path], [tmp_path / "pipe.nii"]):
        found = list(find_volumes(paths))
        assert any("neither a file nor a folder" in getattr(one, "reason", "") for one in found)


def test_errors_begin_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"absent\.nii: there is no such file or folder"):
        read_volume(tmp_path / "absent.nii")
    put(tmp_path / "a.nii")
    put(tmp_path / "b.nii")
    with pytest.raises(VolumeError, match=r"it holds 2 volumes \(a, b\); name one of them"):
        read_volume(tmp_path)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.nii.gz", "a"),
        ("a.b.nii", "a.b"),
        ("A.NII.GZ", "A"),
        ("a.nrrd", "a"),
        ("a.mhd", "a"),
        ("a.dcm", "a"),
        ("a.txt", "a.txt"),
        ("scan", "scan"),
        (".nii", ".nii"),
        ("a.gz", "a.gz"),
    ],
)
def test_case_names(file: str, name: str) -> None:
    assert case_name(Path("folder") / file) == name


def test_cases_of_one_name_are_told_apart() -> None:
    named = [
        ("scan", Path("/data/p1/ct")),
        ("scan", Path("/data/p2/ct")),
        ("other", Path("/data/p2/ct")),
        ("Other", Path("/data/p3")),
        ("same", Path("/data")),
        ("same", Path("/data")),
    ]
    assert unique_names(named) == [
        "p1_ct_scan", "p2_ct_scan", "ct_other", "p3_Other", "data_same", "data_same_2"
    ]  # fmt: skip
    assert unique_names([("a", Path("x")), ("b", Path("x"))]) == ["a", "b"]
    assert unique_names([]) == []


def test_a_volume_larger_than_memory_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise MemoryError

    path = tmp_path / "a.nii.gz"
    write_labels(path, np.ones((2, 3, 4), np.uint8), volume(np.ones((2, 3, 4))))
    monkeypatch.setattr("pipelines.medical.data.nifti.read", none_left)
    with pytest.raises(VolumeError, match="not enough memory"):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nhdr", "scan"])
def test_a_volume_above_the_limit_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "scan":
        ct_series(path, [0, 1, 2])
    else:
        put(path)
    voxels = read_volume(path).array.size
    assert read_volume(path, max_voxels=voxels).array.size == voxels
    with pytest.raises(VolumeError, match=rf"at most {voxels - 1:,} are read.*--set max_voxels=N"):
        read_volume(path, max_voxels=voxels - 1)
