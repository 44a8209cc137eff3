from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.medical.data import Dataset, VolumeError, read_dataset
from tests.pipelines.medical.data.made import ct_series
from tests.pipelines.medical.data.test_files import put


def shown(data: Dataset, root: Path) -> dict[str, tuple[list[str], str | None]]:
    return {
        case.name: (
            [path.relative_to(root).as_posix() for path in case.images],
            case.labels.relative_to(root).as_posix() if case.labels else None,
        )
        for case in data.cases
    }


def about(folder: Path, content: Any) -> None:
    (folder / "dataset.json").write_text(json.dumps(content))


def test_the_real_hippocampus(shared_data: Path) -> None:
    data = read_dataset(shared_data / "medical" / "hippocampus")
    assert len(data.cases) == 195 and data.channels == ("image",) and data.notes == ()
    assert all(case.labels and case.labels.name == case.images[0].name for case in data.cases)


def test_the_real_brain_tumours(shared_data: Path) -> None:
    folder = shared_data / "medical" / "brats2013"
    data = read_dataset(folder, labels="OTMultiClass*", channels=["Flair*", "T1c*"])
    assert data.channels == ("Flair", "T1c") and data.notes == ()
    assert [len(case.images) for case in data.cases] == [2] * 4
    assert all(case.labels and case.labels.name == "OTMultiClass.nii.gz" for case in data.cases)


def test_decathlon(tmp_path: Path) -> None:
    for name in (
        "imagesTr/b.nii.gz",
        "imagesTr/a.nii.gz",
        "labelsTr/a.nii.gz",
        "labelsTr/x.nii.gz",
        "imagesTr/._a.nii",
    ):
        put(tmp_path / name)
    about(tmp_path, {"labels": {"0": "background", "1": "front", "2": "back"}, "modality": {"0": "MRI"}})
    data = read_dataset(tmp_path)
    assert shown(data, tmp_path) == {
        "a": (["imagesTr/a.nii.gz"], "labelsTr/a.nii.gz"),
        "b": (["imagesTr/b.nii.gz"], None),
    }
    assert (data.channels, data.label_names) == (("MRI",), {"front": 1, "back": 2})
    assert data.notes == ("the label map x.nii.gz has no image", "1 of 2 cases have no labels: b")


def test_nnunet(tmp_path: Path) -> None:
    for name in ("a_0000", "a_0001", "b_0000", "c_0000", "c_0001"):
        put(tmp_path / "imagesTr" / f"{name}.nii.gz")
    for name in "abc":
        put(tmp_path / "labelsTr" / f"{name}.nii.gz")
    labels = {"background": 0, "tumour": 1, "whole": [1, 2]}
    about(tmp_path, {"labels": labels, "channel_names": {"0": "T1", "1": "T2"}, "file_ending": ".nii.gz"})
    data = read_dataset(tmp_path)
    assert shown(data, tmp_path) == {
        name: ([f"imagesTr/{name}_000{one}.nii.gz" for one in (0, 1)], f"labelsTr/{name}.nii.gz")
        for name in "ac"
    }
    assert (data.channels, data.label_names) == (("T1", "T2"), {"tumour": 1})
    assert any("b is left out: it has 1 images and 2 are needed" in note for note in data.notes)
    assert any("'whole' of several values" in note for note in data.notes)


def test_four_digits_may_be_the_name_of_a_case(tmp_path: Path) -> None:
    for number in ("0001", "0002"):
        put(tmp_path / "imagesTr" / f"case_{number}.nii.gz")
        put(tmp_path / "labelsTr" / f"case_{number}.nii.gz")
    data = read_dataset(tmp_path)
    assert [case.name for case in data.cases] == ["case_0001", "case_0002"]
    assert all(case.labels for case in data.cases) and data.channels == ("image",)


def test_images_and_labels_in_two_folders(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.nrrd")
    put(tmp_path / "masks" / "a.nii.gz")
    data = read_dataset(tmp_path / "images", labels=tmp_path / "masks", channels=["CT"])
    assert shown(data, tmp_path) == {"a": (["images/a.nrrd"], "masks/a.nii.gz")}
    assert data.channels == ("CT",)


def test_dicom_images(tmp_path: Path) -> None:
    ct_series(tmp_path / "imagesTr" / "a", [0, 1, 2])
    put(tmp_path / "labelsTr" / "a.nii.gz")
    assert shown(read_dataset(tmp_path), tmp_path) == {"a": (["imagesTr/a"], "labelsTr/a.nii.gz")}


def test_one_folder_per_case(tmp_path: Path) -> None:
    for name in ("p1/t1.nii", "p1/t2.nii", "p1/seg.nii", "p2/t1.nii", "p2/t2.nii", "p3/t1.nii", "p3/seg.nii"):
        put(tmp_path / name)
    data = read_dataset(tmp_path, labels="seg", channels=["t1", "t2"])
    assert shown(data, tmp_path) == {
        "p1": (["p1/t1.nii", "p1/t2.nii"], "p1/seg.nii"),
        "p2": (["p2/t1.nii", "p2/t2.nii"], None),
    }
    assert data.notes == ("p3 is left out: no file is called t2", "1 of 2 cases have no labels: p2")
    with pytest.raises(VolumeError, match="name the images of a case"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_list(tmp_path: Path, kind: str) -> None:
    for name in ("x/1.nii", "x/2.nii", "y.nii"):
        put(tmp_path / name)
    rows = [
        ("first", "x/1.nii", "x/2.nii", "y.nii"),
        ("second", "x/2.nii", "x/1.nii", ""),
        ("out", "../x.nii", "x/1.nii", ""),
        ("absolute", str(tmp_path.parent / "x.nii"), "x/1.nii", ""),
        ("absent", "x/1.nii", "x/9.nii", ""),
        ("few", "x/1.nii", "", ""),
        ("second", "x/2.nii", "x/1.nii", "y.nii"),
    ]
    if kind == "csv":
        lines = ["name,image,image2,label", *(",".join(row) for row in rows)]
        (tmp_path / "cases.csv").write_text("\n".join(lines))
    else:
        content = [{"name": a, "images": [b, c] if c else [b], "label": d or None} for a, b, c, d in rows]
        (tmp_path / "cases.json").write_text(json.dumps(content))
    data = read_dataset(tmp_path)
    assert shown(data, tmp_path) == {
        "first": (["x/1.nii", "x/2.nii"], "y.nii"),
        "second": (["x/2.nii", "x/1.nii"], None),
        "second_2": (["x/2.nii", "x/1.nii"], "y.nii"),
    }
    assert data.channels == ("image 1", "image 2")
    told = "\n".join(data.notes)
    assert told.count("lies outside the folder of the list") == 2
    assert "absent is left out: there is no 'x/9.nii'" in told
    assert "few is left out: it has 1 images and 2 are needed" in told
    assert "one is now second_2" in told
    assert read_dataset(tmp_path / f"cases.{kind}", channels=["A", "B"]).channels == ("A", "B")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("dataset.json", "{", "dataset.json cannot be read"),
        ("cases.json", '{"a": 1}', "a list of objects with name"),
        ("cases.json", '[{"name": 3, "image": "a"}]', "a list of objects with name"),
        ("cases.json", '[{"name": "a", "images": "b"}]', "a list of objects with name"),
        ("cases.json", "[" * 100_000, "cannot be read"),
        ("cases.csv", "a,b\n1,2\n", "the columns name, image and label are needed"),
        ("cases.csv", "name,image,label\n", "holds no case"),
        ("cases.csv", "name,image,label\nx,a\0b,\n", "holds no case|cannot be read"),
        ("cases.csv", "", "the columns name, image and label are needed"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / name).write_text(content)
    with pytest.raises(VolumeError, match=words):
        read_dataset(tmp_path)


def test_no_cases_at_all(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="there is no"):
        read_dataset(tmp_path / "absent")
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(VolumeError, match="holds no case that can be used"):
        read_dataset(tmp_path)
