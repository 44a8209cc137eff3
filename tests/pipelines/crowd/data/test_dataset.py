"""Data sets are found by their layout, in a stable order, and one bad file ends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.crowd.data import (
    LAYOUTS,
    CrowdError,
    Dataset,
    FailedCase,
    LabelledImage,
    read_case,
    read_cases,
    read_dataset,
    survey,
    write_csv,
)
from pipelines.crowd.data.layouts import natural, split_of
from tests.pipelines.crowd.made import mat, shanghaitech, write_image, write_text

HEADS = [[3.25, 4.5], [8.0, 1.0]]
JHU = "3.25 4.5 4 4 1 0\n8 1 4 4 1 0\n"


def make_shanghaitech(top: Path, labels: str = "ground_truth") -> None:
    for number in (1, 2, 10):
        write_image(top / "images" / f"IMG_{number}.jpg")
        shanghaitech(top / labels / f"GT_IMG_{number}.mat", HEADS)


def make_brt(top: Path) -> None:
    for name in ("1-2016", "1-2017"):
        write_image(top / "frame" / f"{name}.jpg")
        mat(top / "ground_truth" / f"{name}.mat", loc=np.array(HEADS))
    mat(top / "pMapN.mat", pMapN=np.ones((6, 9)))


def make_ucf(top: Path) -> None:
    for number in (1, 2):
        write_image(top / f"img_{number:04d}.jpg")
        mat(top / f"img_{number:04d}_ann.mat", annPoints=np.array(HEADS))


def make_nwpu(top: Path) -> None:
    for number in (1, 2, 3):
        write_image(top / "images" / f"{number:04d}.jpg")
        if number < 3:
            write_text(top / "jsons" / f"{number:04d}.json", json.dumps({"points": HEADS, "human_num": 2}))
    write_text(top / "train.txt", "0001 1 2\n")
    write_text(top / "val.txt", "0002 0 1\n")
    write_text(top / "test.txt", "0003\n")


def make_nwpu_mats_in_parts(top: Path) -> None:
    for number in (1, 2):
        write_image(top / f"images_part{number}" / f"{number:04d}.jpg")
        mat(top / "mats" / f"{number:04d}.mat", annPoints=np.array(HEADS), annBoxes=np.ones((2, 4)))


def make_jhu(top: Path) -> None:
    for number in (1, 2):
        write_image(top / "images" / f"{number:04d}.jpg")
        write_text(top / "gt" / f"{number:04d}.txt", JHU)
    write_text(top / "image_labels.txt", "0001,2,street,0,0\n")


def make_visdrone(top: Path) -> None:
    write_image(top / "images" / "0000001_02999_d_0000005.jpg")
    rows = "1.25,4.3,4,2,1,1,0,0\n6,0.8,4,2,1,2,0,0\n"
    write_text(top / "annotations" / "0000001_02999_d_0000005.txt", rows)


def make_unity(top: Path) -> None:
    write_image(top / "IMG_5.jpg")
    write_text(top / "IMG_5.txt", "2 1\n7 4\n")


def make_coco(top: Path) -> None:
    write_image(top / "images" / "a.jpg")
    document = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 9, "height": 6}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [1.25, 3.5, 4, 2], "iscrowd": 0},
            {"image_id": 7, "category_id": 1, "bbox": [6, 0, 4, 2], "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "head"}],
    }
    write_text(top / "annotations.json", json.dumps(document))


def make_csv(top: Path) -> None:
    write_image(top / "photos" / "a.jpg")
    write_text(top / "heads.csv", "image,x,y\nphotos/a.jpg,3.25,4.5\nphotos/a.jpg,8,1\n")


MADE: list[tuple[str, Callable[[Path], None], int]] = [
    ("shanghaitech", make_shanghaitech, 3),
    ("beijing-brt", make_brt, 2),
    ("ucf", make_ucf, 2),
    ("nwpu", make_nwpu, 3),
    ("nwpu", make_nwpu_mats_in_parts, 2),
    ("jhu-crowd++", make_jhu, 2),
    ("visdrone", make_visdrone, 1),
    ("unity", make_unity, 1),
    ("coco", make_coco, 1),
    ("csv", make_csv, 1),
]


@pytest.mark.parametrize(("layout", "make", "count"), MADE, ids=[make.__name__ for _, make, _ in MADE])
def test_each_layout_is_found_and_read(
    layout: str, make: Callable[[Path], None], count: int, tmp_path: Path
) -> None:
    make(tmp_path)
    found = read_dataset(tmp_path)
    assert found.layout == layout
    assert len(found.cases) == count
    for one in read_cases(found.cases):
        assert isinstance(one, LabelledImage), one
        assert one.picture.pixels.shape == (6, 9, 3)
        if one.case.labelled:
            assert one.heads is not None
            expected = [[2.5, 4.5], [7.5, 1.5]] if layout == "unity" else HEADS
            np.testing.assert_allclose(one.heads.points, expected)
        else:
            assert one.heads is None
    assert survey(found).failed == ()


def test_every_layout_is_made_here() -> None:
    assert {layout for layout, _, _ in MADE} | {"txt"} == set(LAYOUTS)


def test_cases_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    make_shanghaitech(tmp_path)
    assert [case.name for case in read_dataset(tmp_path).cases] == ["IMG_1", "IMG_2", "IMG_10"]
    assert sorted(["b10", "b9", "a", "b"], key=natural) == ["a", "b", "b9", "b10"]


def test_parts_and_splits_of_one_data_set(tmp_path: Path) -> None:
    for part in ("part_A", "part_B"):
        make_shanghaitech(tmp_path / part / "train_data", "ground-truth")
        make_shanghaitech(tmp_path / part / "test_data")
    found = read_dataset(tmp_path)
    assert (found.layout, len(found.cases)) == ("shanghaitech", 12)
    assert found.cases[0].name == "part_A/test_data/IMG_1"
    assert [case.split for case in found.cases[:6]] == ["test"] * 3 + ["train"] * 3
    alone = read_dataset(tmp_path / "part_A" / "train_data")
    assert {case.split for case in alone.cases} == {"train"}
    assert alone.cases[0].name == "IMG_1"


def test_the_lists_of_nwpu_give_the_splits(tmp_path: Path) -> None:
    make_nwpu(tmp_path)
    write_text(tmp_path / "test.txt", "0003\n0004\n")
    found = read_dataset(tmp_path)
    assert [case.split for case in found.cases] == ["train", "val", "test"]
    assert found.notes == (
        "1 names in the lists of splits have no image: 0004",
        "1 images have no labels: 0003",
    )


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("part_A/train_data", "train"),
        ("VisDrone2019-DET-val", "val"),
        ("Test", "test"),
        ("a/valid/b", "val"),
        ("protest/latest", ""),
        ("", ""),
    ],
)
def test_splits_by_the_words_of_a_path(path: str, split: str) -> None:
    assert split_of(Path(path)) == split


def test_what_has_no_partner_is_noted(tmp_path: Path) -> None:
    make_shanghaitech(tmp_path)
    write_image(tmp_path / "images" / "IMG_3.jpg")
    write_image(tmp_path / "images" / "IMG_2.png")
    write_text(tmp_path / "images" / "Thumbs.db", "x")
    shanghaitech(tmp_path / "ground_truth" / "GT_IMG_4.mat", HEADS)
    found = read_dataset(tmp_path)
    assert [case.name for case in found.cases if not case.labelled] == ["IMG_3"]
    assert found.notes == (
        "1 label files have no image: GT_IMG_4.mat",
        "1 images have the name of another one and are left out: IMG_2.png",
        "1 files are no images: Thumbs.db",
        "1 images have no labels: IMG_3",
    )


def test_one_bad_file_ends_nothing(tmp_path: Path) -> None:
    make_shanghaitech(tmp_path)
    (tmp_path / "images" / "IMG_1.jpg").write_bytes(b"")
    (tmp_path / "ground_truth" / "GT_IMG_2.mat").write_bytes(b"hello" * 100)
    found = read_dataset(tmp_path)
    one, two, three = read_cases(found.cases)
    assert isinstance(one, FailedCase) and "IMG_1.jpg: the file is empty" in one.error
    assert isinstance(two, FailedCase) and "GT_IMG_2.mat: it is no MATLAB file" in two.error
    assert isinstance(three, LabelledImage)
    counted = survey(found)
    assert (counted.cases, counted.labelled, counted.heads, len(counted.failed)) == (3, 1, 2, 2)
    assert counted.sentence() == "2 heads in 1 images (0 of them empty), 2 cases that cannot be read"


def test_a_survey_counts_what_is_left_out(tmp_path: Path) -> None:
    for name, text in (("1", JHU + "12 3 1 1 1 0\n-1 2 1 1 1 0\n"), ("2", ""), ("3", JHU)):
        write_image(tmp_path / "train" / "images" / f"{name}.jpg")
        write_text(tmp_path / "train" / "gt" / f"{name}.txt", text)
    write_image(tmp_path / "train" / "images" / "4.jpg")
    counted = survey(read_dataset(tmp_path))
    assert (counted.cases, counted.labelled, counted.empty, counted.heads) == (4, 3, 1, 4)
    assert (counted.out_of_frame, counted.cases_out_of_frame) == (2, 1)
    assert counted.notes == (("1", "2 of 4 points lie out of frame and were left out"),)
    assert counted.sentence() == (
        "4 heads in 3 images (1 of them empty), 1 images without labels,"
        " 2 points out of frame in 1 images left out"
    )


def test_labels_turn_and_shrink_with_their_image(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "1.jpg", height=60, width=90, orientation=6)
    write_text(tmp_path / "gt" / "1.txt", "80 10 4 4 1 0\n")
    case = read_dataset(tmp_path).cases[0]
    one = read_case(case)
    assert one.heads is not None and one.picture.pixels.shape == (90, 60, 3)
    assert one.heads.points.tolist() == [[50, 80]]
    small = read_case(case, max_pixels=2_000)
    assert small.heads is not None and small.picture.pixels.shape == (45, 30, 3)
    assert small.heads.points.tolist() == [[25, 40]]


def test_text_beside_images_can_be_read_from_the_top(tmp_path: Path) -> None:
    make_unity(tmp_path)
    below = read_dataset(tmp_path)
    assert "name the layout: txt" in below.notes[0]
    above = read_dataset(tmp_path, layout="txt")
    assert (above.layout, above.notes) == ("txt", ())
    one = read_case(above.cases[0])
    assert one.heads is not None and one.heads.points.tolist() == [[2, 1], [7, 4]]


def test_a_named_layout_is_the_only_one(tmp_path: Path) -> None:
    make_jhu(tmp_path)
    with pytest.raises(CrowdError, match="no data set in a known layout"):
        read_dataset(tmp_path, layout="coco")
    with pytest.raises(CrowdError, match="no layout 'voc'; there are csv, shanghaitech"):
        read_dataset(tmp_path, layout="voc")


def test_the_perspective_map_is_found(tmp_path: Path) -> None:
    make_brt(tmp_path / "train")
    assert read_dataset(tmp_path).perspective == tmp_path / "train" / "pMapN.mat"
    make_brt(tmp_path / "test")
    assert read_dataset(tmp_path).perspective is None  # which of two would hold for all images is not known


def test_a_folder_without_a_data_set(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    with pytest.raises(CrowdError, match="no data set in a known layout"):
        read_dataset(tmp_path)
    with pytest.raises(CrowdError, match="there is no"):
        read_dataset(tmp_path / "none")
    with pytest.raises(CrowdError, match=r"a data set is a folder, a \.csv file or a COCO file"):
        read_dataset(tmp_path / "a.jpg")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    make_jhu(tmp_path / "train")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(read_dataset(tmp_path).cases) == 2


def csv_dataset(top: Path, text: str) -> Dataset:
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        write_image(top / name)
    return read_dataset(write_text(top / "list.csv", text))


def test_a_csv_with_other_columns_and_empty_images(tmp_path: Path) -> None:
    found = csv_dataset(
        tmp_path, "\ufeffid,X, Y ,Image\n1,2.5,3,a.jpg\n2,,,b.jpg\n3,1,1,sub/c.jpg\n4,4,5,a.jpg\n"
    )
    heads = {one.case.name: one.heads for one in map(read_case, found.cases)}
    assert {name: one.points.tolist() for name, one in heads.items() if one} == {
        "a": [[2.5, 3], [4, 5]],
        "b": [],
        "sub/c": [[1, 1]],
    }
    assert found.notes == ()


def test_odd_rows_of_a_csv_are_noted(tmp_path: Path) -> None:
    found = csv_dataset(
        tmp_path, "image,x,y\na.jpg,1,2\na.jpg,one,2\na.jpg\nz.jpg,1,2\n../a.jpg,1,1\n/etc/a.jpg,1,1\n\n"
    )
    assert found.notes == (
        "1 lines are too short and were left out: 4",
        "1 images that the list names are missing: z.jpg",
        "2 names lead out of the folder of the list and were left out: ../a.jpg, /etc/a.jpg",
    )
    assert survey(found).notes == (("a", "1 rows of a.jpg hold no numbers and were left out"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("name,x,y\n", "lacks image"),
        ("a.jpg,1,2\n", "lacks image and x and y"),
        ("image,x,y\n", "no data set"),
    ],
)
def test_a_csv_that_is_no_list(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CrowdError, match=words):
        csv_dataset(tmp_path, text)


def test_a_list_that_is_written_is_read_back(tmp_path: Path) -> None:
    heads: dict[str, Any] = {
        "a.jpg": np.random.default_rng(0).uniform(0, 6, (5, 2)),
        'sub/c, "d".jpg': [],
        "b.jpg": [[1, 2]],
    }
    for name in heads:
        write_image(tmp_path / name)
    write_csv(tmp_path / "heads.csv", heads)
    found = read_dataset(tmp_path)
    assert found.notes == ()
    for case in found.cases:
        one = read_case(case).heads
        assert one is not None
        np.testing.assert_array_equal(one.points, np.reshape(heads[f"{case.name}.jpg"], (-1, 2)))


def coco(top: Path, annotations: list[Any], categories: list[Any], **image: Any) -> Dataset:
    write_image(top / "images" / "train2017" / "a.jpg")
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", **image}],
        "annotations": [{"image_id": 1, "category_id": 1, **one} for one in annotations],
        "categories": categories,
    }
    write_text(top / "annotations" / "people_train2017.json", json.dumps(document))
    return read_dataset(top)


def points_of(found: Dataset) -> list[list[float]]:
    heads = read_case(found.cases[0]).heads
    assert heads is not None
    return [[round(value, 6) for value in point] for point in heads.points.tolist()]


def test_boxes_of_people_are_pointed_at_near_their_top(tmp_path: Path) -> None:
    annotations = [
        {"bbox": [2, 1, 4, 5]},
        {"bbox": [0, 0, 9, 6], "iscrowd": 1},
        {"bbox": [1, 1, 1, 1], "category_id": 2},
        {"bbox": "none"},
    ]
    names = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    found = coco(tmp_path, annotations, names)
    assert points_of(found) == [[4, 1.5]]
    assert found.cases[0].split == "train"
    assert found.notes == (
        "1 regions of uncounted people (iscrowd) are left out",
        "1 annotations have neither a point nor a box and are left out",
    )


def test_keypoints_of_the_head_come_before_the_box(tmp_path: Path) -> None:
    person = {"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye", "left_hip"]}
    annotations = [
        {"bbox": [0, 0, 4, 5], "keypoints": [3, 2, 2, 4, 1, 1, 0, 0, 0, 5, 5, 2]},
        {"bbox": [2, 1, 4, 5], "keypoints": [0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 2]},
        {"point": [7, 3]},
    ]
    assert points_of(coco(tmp_path, annotations, [person])) == [[3.5, 1.5], [4, 1.5], [7, 3]]


def test_heads_are_taken_where_people_are_marked_too(tmp_path: Path) -> None:
    annotations = [{"bbox": [2, 1, 4, 4], "category_id": 2}, {"bbox": [1, 1, 5, 5]}]
    names = [{"id": 1, "name": "person"}, {"id": 2, "name": "head"}]
    assert points_of(coco(tmp_path, annotations, names)) == [[4, 3]]


def test_a_coco_file_for_another_size_is_scaled(tmp_path: Path) -> None:
    found = coco(tmp_path, [{"point": [45, 30]}], [{"id": 1, "name": "x"}], width=90, height=60)
    assert points_of(found) == [[4.5, 3]]


def test_a_coco_file_without_people(tmp_path: Path) -> None:
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    with pytest.raises(CrowdError, match="no category is one of people or heads"):
        coco(tmp_path, [], names)
    with pytest.raises(CrowdError, match="no COCO file"):
        read_dataset(write_text(tmp_path / "other.json", '{"images": 3}'))


def test_a_coco_list_that_is_torn_is_noted(tmp_path: Path) -> None:
    make_coco(tmp_path)
    write_text(tmp_path / "broken.json", '{"images": [')
    found = read_dataset(tmp_path)
    assert len(found.cases) == 1
    assert "broken.json is left out: it is no JSON" in found.notes[0]
