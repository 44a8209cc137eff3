"""Label files of one image each: what they hold, and what is said of damaged ones."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipelines.crowd.data import CrowdError, limits, read_perspective
from pipelines.crowd.data.labels import read_labels
from tests.pipelines.crowd.made import mat, shanghaitech, write_text

POINTS = [[3.25, 4.5], [8, 1], [0.5, 5.75]]


@pytest.mark.parametrize("name", ["annPoints", "loc"])
def test_points_under_the_names_of_data_sets(tmp_path: Path, name: str) -> None:
    marks = read_labels(mat(tmp_path / "a.mat", **{name: np.array(POINTS)}), "mat")
    np.testing.assert_array_equal(marks.points, POINTS)
    assert (marks.frame, marks.from_bottom, marks.notes) == ("stored", False, ())


def test_shanghaitech_is_nested(tmp_path: Path) -> None:
    marks = read_labels(shanghaitech(tmp_path / "a.mat", POINTS), "mat")
    np.testing.assert_array_equal(marks.points, POINTS)
    assert marks.notes == ()


def test_a_stated_number_that_differs_is_noted(tmp_path: Path) -> None:
    marks = read_labels(shanghaitech(tmp_path / "a.mat", POINTS, number=5), "mat")
    assert marks.notes == ("the label file states 5 heads and lists 3",)


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (1, 0)])
def test_no_heads_at_all(tmp_path: Path, shape: tuple[int, int]) -> None:
    assert read_labels(mat(tmp_path / "a.mat", annPoints=np.empty(shape)), "mat").points.shape == (0, 2)


def test_whole_numbers_become_floats(tmp_path: Path) -> None:
    marks = read_labels(mat(tmp_path / "a.mat", loc=np.array([[3, 4]], np.uint8)), "mat")
    assert marks.points.dtype == np.float64


def test_nwpu(tmp_path: Path) -> None:
    text = json.dumps({"img_id": "0001.jpg", "human_num": 3, "points": POINTS, "boxes": []})
    marks = read_labels(write_text(tmp_path / "a.json", text), "nwpu")
    np.testing.assert_array_equal(marks.points, POINTS)
    empty = write_text(tmp_path / "b.json", '{"human_num": 0, "points": []}')
    assert read_labels(empty, "nwpu").points.shape == (0, 2)


def test_jhu_has_the_centre_of_the_head_first(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "3 4 10 12 1 0\n8.5 1 10 12 2 1\n")
    np.testing.assert_array_equal(read_labels(path, "jhu").points, [[3, 4], [8.5, 1]])
    assert read_labels(write_text(tmp_path / "b.txt", ""), "jhu").points.shape == (0, 2)


def test_visdrone_keeps_people_and_points_at_their_heads(tmp_path: Path) -> None:
    rows = [
        "10,20,8,30,1,1,0,0",  # a pedestrian
        "40,50,10,20,1,2,0,0,",  # people, with a comma too many, as in some files
        "1,1,99,99,0,0,0,0",  # a region to ignore
        "60,60,20,10,1,4,0,0",  # a car
        "70,70,5,5,0,1,0,0",  # a pedestrian that does not count
    ]
    marks = read_labels(write_text(tmp_path / "a.txt", "\n".join(rows)), "visdrone")
    np.testing.assert_allclose(marks.points, [[14, 23], [45, 52]])
    assert marks.notes == ("1 region that is to be ignored is not masked",)


def test_unity_counts_pixels_from_below(tmp_path: Path) -> None:
    marks = read_labels(write_text(tmp_path / "a.txt", "0 0\n7 5\n"), "unity")
    assert marks.from_bottom
    np.testing.assert_array_equal(marks.points, [[0.5, 0.5], [7.5, 5.5]])


def test_a_perspective_map(tmp_path: Path) -> None:
    found = read_perspective(mat(tmp_path / "pMapN.mat", pMapN=np.full((4, 3), 2.5)))
    assert found.shape == (4, 3) and found.dtype == np.float32 and (found == 2.5).all()
    with pytest.raises(CrowdError, match="not above 0"):
        read_perspective(mat(tmp_path / "a.mat", pMapN=np.zeros((4, 3))))


def packed_zeros(count: int) -> bytes:
    """A version 7 file whose one variable unpacks to this many zeros."""
    packed = zlib.compress(bytes(count), 9)
    return b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(packed)) + packed


def content_of(write: Callable[[Path], Path]) -> Callable[[Path], bytes]:
    return lambda folder: write(folder / "made.mat").read_bytes()


@dataclass(frozen=True)
class Bad:
    name: str
    format: str
    make: Callable[[Path], bytes]
    words: str


CASES = [
    Bad("empty mat", "mat", lambda _: b"", "is empty"),
    Bad("text as mat", "mat", lambda _: b"1 2\n3 4\n" * 50, "no MATLAB file|cut short or damaged"),
    Bad("noise as mat", "mat", lambda _: np.random.default_rng(0).bytes(4_000), "no MATLAB file|damaged"),
    Bad("mat cut", "mat", lambda f: mat(f / "m.mat", loc=np.ones((90, 2)))
        .read_bytes()[:-30], "cut short or damaged"),
    Bad("version 7.3", "mat", lambda _: b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n", "version 7.3"),
    Bad("other names", "mat", content_of(lambda p: mat(p, points=np.ones((2, 2)))), "holds no image_info or"),
    Bad("three axes", "mat", content_of(lambda p: mat(p, loc=np.ones((2, 2, 2)))), "a row of x and y"),
    Bad("one column", "mat", content_of(lambda p: mat(p, loc=np.ones((5, 1)))), "a row of x and y"),
    Bad("text inside", "mat", content_of(lambda p: mat(p, annPoints="hello")), "does not hold numbers"),
    Bad("bare image_info", "mat", content_of(lambda p: mat(p, image_info=np.ones((3, 2)))), "no location"),
    Bad("bomb", "mat", lambda _: packed_zeros(limits.MAX_LABEL_BYTES + 1), "unpacks to more than"),
    Bad("json cut", "nwpu", lambda _: b'{"points": [[1, 2]', "no JSON"),
    Bad("json list", "nwpu", lambda _: b"[1, 2]", "no object with points"),
    Bad("deep json", "nwpu", lambda _: b"[" * 200_000, "no JSON"),
    Bad("points of three kinds", "nwpu", lambda _: b'{"points": [[1, 2], [3]]}', "rows of 2 numbers"),
    Bad("words as points", "nwpu", lambda _: b'{"points": [["a", "b"]]}', "rows of 2 numbers"),
    Bad("an object as points", "nwpu", lambda _: b'{"points": {"x": 1}}', "rows of 2 numbers"),
    Bad("words", "jhu", lambda _: b"one two three", "no table of numbers"),
    Bad("ragged", "jhu", lambda _: b"1 2 3\n4 5\n", "no table of numbers"),
    Bad("one number", "jhu", lambda _: b"1\n2\n", "hold 1 numbers"),
    Bad("no text", "jhu", lambda _: b"\xff\xfe1\0 \0002\0", "is no text"),
    Bad("too few columns", "visdrone", lambda _: b"1,2,3,4\n", "at least 6"),
]  # fmt: skip


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_a_damaged_label_file_says_why(bad: Bad, tmp_path: Path) -> None:
    path = tmp_path / "bad.label"
    path.write_bytes(bad.make(tmp_path))
    with pytest.raises(CrowdError, match=bad.words) as caught:
        read_labels(path, bad.format)
    assert str(caught.value).startswith(f"{path}: ")


def test_too_many_heads_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_POINTS", 2)
    with pytest.raises(CrowdError, match="lists 3 heads; at most 2"):
        read_labels(mat(tmp_path / "a.mat", loc=np.array(POINTS)), "mat")


def test_changed_bytes_of_a_mat_file_end_in_points_or_in_a_reason(tmp_path: Path) -> None:
    content = shanghaitech(tmp_path / "good.mat", POINTS).read_bytes()
    rng = np.random.default_rng(2)
    path = tmp_path / "a.mat"
    failed = 0
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 2):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(changed)
        try:
            assert read_labels(path, "mat").points.shape[1] == 2
        except CrowdError:
            failed += 1
    assert failed > 0
