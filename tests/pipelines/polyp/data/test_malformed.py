"""Whatever is wrong with a file becomes a note or a failed frame, with a reason; the rest goes on."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.polyp.data import (
    FailedFrame,
    Frame,
    FrameRef,
    PolypError,
    Size,
    frames_of,
    parse_size,
    read_camera,
    read_dataset,
    read_frame,
    read_frames,
)
from pipelines.polyp.data.boxes import clipped
from pipelines.polyp.data.tables import read_table
from pipelines.polyp.data.voc import read_voc
from tests.pipelines.polyp.made import (
    CALIBRATION,
    image,
    mask,
    real_colon,
    video,
    voc,
    write_image,
    write_text,
    xlsx,
)

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>'
)
OUTSIDE = (
    '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation><object>&a;</object></annotation>'
)


@dataclass(frozen=True)
class Bad:
    name: str
    content: str
    words: str


XML = [
    Bad("empty", "", "is empty"),
    Bad("text", "dear reader", "no XML"),
    Bad("cut", "<annotation><object>", "no XML"),
    Bad("laughs", LAUGHS, "document type or entities"),
    Bad("outside", OUTSIDE, "document type or entities"),
    Bad("other", "<html></html>", "not a VOC"),
    Bad("huge", f"<annotation>{' ' * 2**20}</annotation>", "more than 1,048,576 bytes"),
    Bad("many", f"<annotation>{'<object/>' * 1_001}</annotation>", "1,001 objects"),
    Bad("encoding", '<?xml version="1.0" encoding="nonsense"?><annotation/>', "no XML"),
]


@pytest.mark.parametrize("bad", XML, ids=lambda one: one.name)
def test_annotations_that_are_none(tmp_path: Path, bad: Bad) -> None:
    path = write_text(tmp_path / "a.xml", bad.content)
    with pytest.raises(PolypError, match=bad.words) as caught:
        read_voc(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_box_to_the_edge_of_the_frame(tmp_path: Path) -> None:
    """Whether a file counts pixels from 0 or from 1, a box to the edge is no box beyond it."""
    for last, name in ((40, "one"), (39, "zero")):
        text = "".join(f"<{c}>{v}</{c}>" for c, v in (("xmin", 3), ("xmax", last), ("ymin", 4), ("ymax", 4)))
        path = write_text(
            tmp_path / f"{name}.xml",
            "<annotation><size><width>40</width><height>30</height></size><object><bndbox>"
            f"{text}</bndbox></object></annotation>",
        )
        assert read_voc(path).lesions[0].box == (3, 4, 40, 5)


def test_an_object_without_a_box_is_left_out(tmp_path: Path) -> None:
    path = write_text(
        tmp_path / "a.xml",
        "<annotation><object><name>lesion</name></object><object><name>b</name><bndbox><xmin>a</xmin>"
        "<ymin>1</ymin><xmax>2</xmax><ymax>3</ymax></bndbox></object></annotation>",
    )
    found = read_voc(path)
    assert found.lesions == () and found.size is None and len(found.notes) == 2


@pytest.mark.parametrize("bad", XML[:5], ids=lambda one: one.name)
def test_a_bad_annotation_costs_its_frame_alone(tmp_path: Path, bad: Bad) -> None:
    real_colon(tmp_path)
    write_text(tmp_path / "001-001_annotations" / "001-001_2.xml", bad.content)
    found = read_dataset(tmp_path)
    assert len(found.polyps) == 2 and found.notes == ()
    listing = frames_of(found.polyps[0])
    assert [one.name for one in listing.frames] == ["001-001_10"]
    assert [one.name for one in listing.failed] == ["001-001_2"] and bad.words in listing.failed[0].error


def test_frames_without_annotations_and_annotations_without_frames(tmp_path: Path) -> None:
    real_colon(tmp_path)
    (tmp_path / "001-001_annotations" / "001-001_2.xml").unlink()
    (tmp_path / "001-001_frames" / "001-001_10.jpg").unlink()
    listing = frames_of(read_dataset(tmp_path).polyps[0])
    assert listing.frames == ()
    assert listing.notes == (
        "1 frames have no annotation, and are left out: 001-001_2",
        "1 annotations have no frame: 001-001_10",
    )


def test_what_was_read_before_is_not_taken_for_what_is_there_now(tmp_path: Path) -> None:
    polyp = read_dataset(real_colon(tmp_path)).polyps[0]
    assert len(frames_of(polyp).frames) == 2
    image(tmp_path / "001-001_frames" / "001-001_20.jpg")
    voc(tmp_path / "001-001_annotations" / "001-001_20.xml", [("001-001_1", (1, 1, 5, 5))])
    assert len(frames_of(polyp).frames) == 3


@pytest.mark.parametrize(
    ("box", "expected", "words"),
    [
        ((2, 3, 9, 9), (2, 3, 9, 9), ""),
        ((-5, 3, 9, 90), (0, 3, 9, 30), "is clipped"),
        ((50, 3, 60, 9), None, "off the frame"),
        ((-9, -9, 0, 0), None, "off the frame"),
        ((9, 3, 9, 9), None, "no area"),
        ((9, 9, 2, 3), None, "no area"),
        ((float("nan"), 3, 9, 9), None, "no numbers"),
        ((2, 3, float("inf"), 9), None, "no numbers"),
    ],
)
def test_boxes_off_the_frame(
    tmp_path: Path, box: tuple[float, ...], expected: tuple[float, ...] | None, words: str
) -> None:
    a, b, c, d = box
    assert clipped((a, b, c, d), 40, 30)[0] == expected
    frame = read_frame(FrameRef("a", image(tmp_path / "a.png"), box=(a, b, c, d)))
    assert frame.box == expected
    assert (not frame.notes and not words) or words in frame.notes[0]


def test_labels_of_a_larger_copy_are_scaled_and_those_of_another_image_fail(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    frame = read_frame(FrameRef("a", path, box=(8, 8, 16, 20), label_size=(80, 60)))
    assert frame.box == (4, 4, 8, 10) and "are scaled" in frame.notes[0]
    with pytest.raises(PolypError, match="another image"):
        read_frame(FrameRef("a", path, box=(8, 8, 16, 20), label_size=(80, 30)))


def test_frames_of_one_polyp_may_have_different_sizes(tmp_path: Path) -> None:
    real_colon(tmp_path, extras=False)
    image(tmp_path / "001-001_frames" / "001-001_10.jpg", width=80, height=60)
    voc(tmp_path / "001-001_annotations" / "001-001_10.xml", [("001-001_1", (5, 6, 15, 18))], (80, 60))
    found = list(read_frames(frames_of(read_dataset(tmp_path).polyps[0]).frames))
    assert [one.width for one in found if isinstance(one, Frame)] == [40, 80]


@pytest.mark.parametrize("orientation", [3, 6])
def test_boxes_and_masks_of_turned_images(tmp_path: Path, orientation: int) -> None:
    path = write_image(tmp_path / "a.jpg", 30, 40, orientation)
    box = (5.0, 6.0, 15.0, 18.0)
    frame = read_frame(FrameRef("a", path, box=box, mask=mask(tmp_path / "m.png", (5, 6, 15, 18))))
    assert frame.mask is not None and frame.mask.shape == frame.pixels.shape[:2]
    rows, columns = np.nonzero(frame.mask)
    assert frame.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert frame.box == ((25, 12, 35, 24) if orientation == 3 else (12, 5, 24, 15))
    upright = read_frame(FrameRef("a", path, box=box, upright=True))
    assert upright.box == box


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "cut short"),
        (lambda path: path.write_text("no image"), "no image in a known format"),
        (lambda path: path.unlink(), "no such file"),
    ],
)
def test_a_bad_image_costs_its_frame_alone(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    real_colon(tmp_path)
    frames = frames_of(read_dataset(tmp_path).polyps[0]).frames
    make(tmp_path / "001-001_frames" / "001-001_2.jpg")
    first, second = read_frames(frames)
    assert isinstance(first, FailedFrame) and words in first.error
    assert isinstance(second, Frame)


def test_a_mask_or_a_depth_of_another_image_is_a_failure(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png", 60, 30)
    with pytest.raises(PolypError, match=r"the mask has 40 x 30 px, and the image 60 x 30"):
        read_frame(FrameRef("a", path, mask=mask(tmp_path / "m.png", (1, 1, 5, 5))))
    with pytest.raises(PolypError, match=r"m2\.png"):
        read_frame(FrameRef("a", path, mask=write_text(tmp_path / "m2.png", "no mask")))


def test_a_speck_of_a_mask_does_not_stretch_its_box(tmp_path: Path) -> None:
    path, values = image(tmp_path / "a.png", 80, 60), np.zeros((60, 80), np.uint8)
    values[10:50, 20:60] = 255
    values[0, 0] = 255
    Image.fromarray(values).save(tmp_path / "m.png")
    frame = read_frame(FrameRef("a", path, mask=tmp_path / "m.png"))
    assert frame.box == (20, 10, 60, 50) and "1 specks" in frame.notes[0]
    values[:] = 0
    values[3, 4] = 255
    Image.fromarray(values).save(tmp_path / "m.png")
    assert read_frame(FrameRef("a", path, mask=tmp_path / "m.png")).box == (4, 3, 5, 4)


def test_a_mask_of_a_smaller_copy_is_scaled(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png", 80, 60)
    frame = read_frame(FrameRef("a", path, mask=mask(tmp_path / "m.png", (4, 5, 20, 25))))
    assert frame.box == (8, 10, 40, 50) and "is scaled" in frame.notes[0]


def test_frames_of_a_video_that_are_not_there(tmp_path: Path) -> None:
    path = video(tmp_path / "a.avi", 6)
    refs = [FrameRef(f"{number}", video=path, number=number) for number in (1, 3, 5, 9)]
    found = list(read_frames(refs))
    assert [isinstance(one, Frame) for one in found] == [True, True, True, False]
    levels = [float(one.pixels.mean()) for one in found if isinstance(one, Frame)]
    np.testing.assert_allclose(levels, [16, 48, 80], atol=6)
    assert isinstance(found[3], FailedFrame) and "ends before" in found[3].error
    backwards = list(read_frames(refs[2::-1]))
    assert [isinstance(one, Frame) for one in backwards] == [True] * 3
    with pytest.raises(PolypError, match="neither an image nor a video"):
        read_frame(FrameRef("a"))


def test_a_corrupt_video_costs_its_polyp_alone(tmp_path: Path) -> None:
    video(tmp_path / "1.mp4", 4)
    write_text(tmp_path / "2.mp4", "no video " * 100)
    write_text(tmp_path / "sizes.csv", "video,size\n1,5\n2,6\n")
    found = read_dataset(tmp_path)
    assert len(frames_of(found.polyps[0]).frames) == 4
    with pytest.raises(PolypError, match=r"2\.mp4: it is no video"):
        frames_of(found.polyps[1])
    failed = list(read_frames([FrameRef("a", video=tmp_path / "2.mp4", number=0)]))
    assert isinstance(failed[0], FailedFrame)


@pytest.mark.parametrize(
    ("text", "mm", "censored"),
    [
        *(("6", 6, False), ("6mm", 6, False), (" 6.5 mm ", 6.5, False), ("6,5", 6.5, False)),
        *(("1.5cm", 15, False), ("15mm-", 15, True), ("15-", 15, True), ("15+", 15, True)),
        *((">=10", 10, True), ("> 10 mm", 10, True), ("≥10mm", 10, True), ("10 mm or more", 10, True)),
        *(("", None, False), ("NA", None, False), ("unknown", None, False)),
    ],
)
def test_sizes(text: str, mm: float | None, censored: bool) -> None:
    assert parse_size(text) == Size(mm, censored)


@pytest.mark.parametrize("text", ["0", "-1", "0mm", "small", "5-6 mm", "<5", "1e9", "nan mm", "inf", "300"])
def test_what_are_no_sizes(text: str) -> None:
    found = parse_size(text)
    assert found.mm is None and not found.censored and "taken as unknown" in found.note


def test_sizes_that_are_none_are_noted(tmp_path: Path) -> None:
    found = read_dataset(real_colon(tmp_path, sizes=("0", "-1", "big", "")))
    assert [one.size_mm for one in found.polyps] == [None] * 4
    assert [len(one.notes) for one in found.polyps] == [1, 1, 1, 0]
    assert found.notes == (
        "the size '0' is not above 0, and is taken as unknown: 1 polyps: 001-001_1",
        "the size '-1' is not above 0, and is taken as unknown: 1 polyps: 001-001_2",
        "the size 'big' is none that can be read, and is taken as unknown: 1 polyps: 001-001_3",
    )


def test_duplicated_ids(tmp_path: Path) -> None:
    real_colon(tmp_path)
    with (tmp_path / "lesion_info.csv").open("a") as file:
        file.write(
            "001-001_1,001-001,4,sigmoid,,AD\n001-001_2,001-001,7,,,\n,,3,,,\n009-001_1,009-001,3,,,\n"
        )
    found = read_dataset(tmp_path)
    assert [(one.id, one.size_mm) for one in found.polyps] == [("001-001_1", 4), ("001-001_2", None)]
    text = " | ".join(found.notes)
    for words in (
        "2 lines have the id of another one; of two sizes neither is taken: 001-001_1, 001-001_2",
        "1 lines name no polyp",
        "1 polyps of lesion_info.csv are of recordings that are not here: 009-001_1",
    ):
        assert words in text


def test_missing_tables_and_missing_lines(tmp_path: Path) -> None:
    real_colon(tmp_path)
    (tmp_path / "lesion_info.csv").unlink()
    write_text(tmp_path / "video_info.csv", "unique_video_name,fps\n002-001,x\n")
    found = read_dataset(tmp_path)
    assert [(one.id, one.size_mm) for one in found.polyps] == [("001-001_1", None), ("001-001_2", None)]
    assert found.recordings[1].fps is None
    text = " | ".join(found.notes)
    for words in (
        "there is no lesion_info.csv",
        "1 recordings have no line in video_info.csv: 001-001",
        "2 annotated polyps have no line in lesion_info.csv, so no size: 001-001_1, 001-001_2",
    ):
        assert words in text


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00\x00binary\x00", b"a,a\n1,2\n", b"\xe9;x\n1;2\n", b'"' + b"x" * 200_000]
)
def test_bad_tables_never_stop_a_listing(tmp_path: Path, content: bytes) -> None:
    real_colon(tmp_path)
    for name in ("lesion_info.csv", "video_info.csv"):
        (tmp_path / name).write_bytes(content)
    write_text(tmp_path / "calibration.json", "{")
    found = read_dataset(tmp_path)
    assert [one.id for one in found.polyps] == ["001-001_1", "001-001_2"]
    assert found.polyps[0].camera is None
    assert any("the camera is taken as unknown" in note for note in found.notes)


def bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (17 * 2**20))
    return path


def with_entities(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", LAUGHS)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: write_text(path, "no zip"), "no Excel table"),
        (bomb, "unpacks to more than"),
        (with_entities, "no XML that is read"),
        (lambda path: xlsx(path, []), "no first line"),
        (lambda path: zipfile.ZipFile(path, "w").close() or path, "it has no sheet"),
    ],
)
def test_bad_excel_tables(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    path = make(tmp_path / "a.xlsx")
    with pytest.raises(PolypError, match=words) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")
    video(tmp_path / "1.avi", 2)
    write_text(tmp_path / "b.csv", "video,size\n1,5\n")
    found = read_dataset(tmp_path)
    assert len(found.polyps) == 1 and "a.xlsx is left out" in found.notes[0]


def test_lines_of_uneven_length(tmp_path: Path) -> None:
    rows, notes = read_table(write_text(tmp_path / "a.csv", "id,Size [mm],\n1,5\n\n2,6,x,y\n3,7,,\n"))
    assert rows == [
        {"id": "1", "size_mm": "5", "column_3": ""},
        {"id": "3", "size_mm": "7", "column_3": ""},
    ]
    assert notes == ["a.csv: 1 lines have more cells than columns, and are left out"]


def test_names_in_our_tables_stay_in_the_folder(tmp_path: Path) -> None:
    image(tmp_path / "outside.png")
    top = tmp_path / "set"
    image(top / "a.png")
    write_text(top / "polyps.csv", "polyp,size_mm\none,5\n../set,6\n")
    write_text(
        top / "frames.csv",
        "polyp,image,video,frame,x0,y0,x1,y1,mask\none,../outside.png,,,,,,,\none,/etc/hostname,,,,,,,\n"
        "one,gone.png,,,,,,,\none,a.png,,,1,2,x,4,../outside.png\none,a.png,,,,,,,\none,,a.png,x,,,,,\n,a.png,,,,,,,\n",
    )
    found = read_dataset(top)
    assert [one.id for one in found.polyps] == ["one"]
    frames = frames_of(found.polyps[0]).frames
    assert [one.name for one in frames] == ["a"] and frames[0].box is None and frames[0].mask is None
    assert len(frames[0].notes) == 2
    text = " | ".join(found.notes)
    for words in ("3 lines name no polyp or lead out", "1 files are missing: gone.png", "come twice: a"):
        assert words.replace("come twice: a", "1 frames come twice") in text
    assert "1 lines of videos have no number" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("[1]", "one JSON object"),
        ("{", "no JSON"),
        ('{"width": 40}', "lacks height and fx and fy and cx and cy"),
        (CALIBRATION.replace("25", '"wide"'), "fx is no number"),
        (CALIBRATION.replace("25", "NaN"), "fx is no number"),
        (CALIBRATION.replace("25", "true"), "fx is no number"),
        (CALIBRATION.replace("25", "-1"), "focal lengths must be above 0"),
        (CALIBRATION.replace("40", "0"), "0 x 30 px"),
    ],
)
def test_calibrations_that_are_none(tmp_path: Path, content: str, words: str) -> None:
    path = write_text(tmp_path / "calibration.json", content)
    with pytest.raises(PolypError, match=words) as caught:
        read_camera(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_unreadable_folder_of_a_recording(tmp_path: Path) -> None:
    polyp = read_dataset(real_colon(tmp_path)).polyps[0]
    for path in (tmp_path / "001-001_frames").iterdir():
        path.unlink()
    (tmp_path / "001-001_frames").rmdir()
    with pytest.raises(PolypError, match="cannot be read"):
        frames_of(polyp)
