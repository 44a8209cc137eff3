"""Every layout gives its polyps with their sizes, and their frames with boxes, masks and depths."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pipelines.polyp.data import Frame, FrameRef, Polyp, PolypError, frames_of, read_dataset, read_frames
from tests.pipelines.polyp.made import (
    CALIBRATION,
    depth,
    image,
    mask,
    real_colon,
    video,
    voc,
    write_text,
    xlsx,
)


def read(polyp: Polyp) -> list[Frame]:
    found = list(read_frames(frames_of(polyp).frames))
    assert all(isinstance(one, Frame) for one in found), found
    return [one for one in found if isinstance(one, Frame)]


def refs(polyp: Polyp) -> tuple[FrameRef, ...]:
    return frames_of(polyp).frames


@pytest.mark.parametrize("spelling", ["annotations", "annotation"])
def test_real_colon(tmp_path: Path, spelling: str) -> None:
    found = read_dataset(real_colon(tmp_path, spelling))
    assert (found.layout, found.notes) == ("real-colon", ())
    assert [(one.id, one.size_mm, one.video, one.patient) for one in found.polyps] == [
        ("001-001_1", 4, "001-001", "001-001"),
        ("001-001_2", 12, "001-001", "001-001"),
    ]
    assert (found.polyps[0].site, found.polyps[0].histology) == ("sigmoid", "AD")
    first, second = (refs(one) for one in found.polyps)
    assert [one.name for one in first] == ["001-001_2", "001-001_10"]
    assert [one.seconds for one in first] == [2 / 25, 10 / 25]
    assert first[0].box == (5, 6, 15, 18) and first[0].others == ()
    assert second[0].box == (20, 6, 30, 18) and second[0].others == ((5, 6, 15, 18),)


def test_recordings_of_real_colon_have_frames_without_lesions(tmp_path: Path) -> None:
    found = read_dataset(real_colon(tmp_path))
    assert [(one.id, one.fps) for one in found.recordings] == [("001-001", 25), ("002-001", 30)]
    frames = frames_of(found.recordings[0]).frames
    assert [len(one.others) for one in frames] == [1, 2, 0]
    assert all(one.box is None for one in frames)
    assert [one.others for one in frames_of(found.recordings[1]).frames] == [(), ()]


def test_rendered_recordings_have_masks_depths_and_a_camera(tmp_path: Path) -> None:
    polyp = read_dataset(real_colon(tmp_path)).polyps[1]
    camera = polyp.camera
    assert camera is not None
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.k1) == (40, 30, 25, 26, -0.3)
    assert (camera.cx, camera.cy) == (20, 15)  # from the outer corner of the first pixel
    frame = read(polyp)[0]
    assert frame.mask is not None and frame.depth is not None
    # The mask shows both polyps; only the one in question is kept.
    assert np.argwhere(frame.mask).min(axis=0).tolist() == [7, 20]
    assert np.argwhere(frame.mask).max(axis=0).tolist() == [16, 27]
    assert frame.depth.dtype == np.float32
    assert frame.depth[5, 5] == pytest.approx(25.5) and np.isnan(frame.depth[0, 0])


def test_each_recording_may_have_its_own_camera(tmp_path: Path) -> None:
    real_colon(tmp_path)
    write_text(tmp_path / "001-001_calibration.json", CALIBRATION.replace("25", "33"))
    assert [one.camera.fx for one in read_dataset(tmp_path).polyps if one.camera] == [33, 33]


def test_frames_are_in_order_of_their_last_number(tmp_path: Path) -> None:
    for number in (9, 100, 10, 2):
        image(tmp_path / "v_1_frames" / f"v_1_{number}.jpg")
        voc(tmp_path / "v_1_annotations" / f"v_1_{number}.xml", [("v_1_1", (1, 1, 5, 5))])
    found = read_dataset(tmp_path)
    assert [one.name for one in refs(found.polyps[0])] == ["v_1_2", "v_1_9", "v_1_10", "v_1_100"]
    assert found.polyps[0].size_mm is None
    assert "no size" in " ".join(found.notes)


def sun_case(top: Path, name: str, lines: str) -> None:
    for number in (1, 2, 10):
        image(top / name / f"a_image{number:04d}.jpg")
    write_text(top / "annotation_txt" / f"{name}.txt", lines)


def test_sun(tmp_path: Path) -> None:
    lines = "a_image0001.jpg 4,5,20,25,0\na_image0002.jpg 4,5,20,25,0 1,1,3,3,0\n"
    sun_case(tmp_path / "sundatabase_positive_part1", "case1", lines)
    sun_case(tmp_path / "sundatabase_positive_part1", "case12", lines)
    write_text(tmp_path / "sizes.csv", "case_id,shape,size,location\n1,Is,6mm,Cecum\n12,IIa,15mm-,Rectum\n")
    found = read_dataset(tmp_path)
    assert found.layout == "sun"
    assert [(one.id, one.size_mm, one.censored, one.shape, one.site) for one in found.polyps] == [
        ("case1", 6, False, "Is", "Cecum"),
        ("case12", 15, True, "IIa", "Rectum"),
    ]
    listing = frames_of(found.polyps[0])
    assert [one.box for one in listing.frames] == [(4, 5, 20, 25), None]
    assert len(listing.frames[1].others) == 2
    assert "1 frames have no annotation" in listing.notes[0]


def test_the_table_of_sun_that_is_at_hand(tmp_path: Path, shared_data: Path) -> None:
    table = shared_data / "polyp" / "mm_tables" / "sun_polyps_100.csv"
    (tmp_path / "sun_polyps_100.csv").write_bytes(table.read_bytes())
    for number in range(1, 101):
        sun_case(tmp_path, f"case{number}", "a_image0001.jpg 4,5,20,25,0\n")
    found = read_dataset(tmp_path)
    assert len(found.polyps) == 100 and found.notes == ()
    sizes = [one.size_mm for one in found.polyps]
    assert sizes[:3] == [6, 18, 3] and None not in sizes
    with table.open(newline="") as file:
        bounds = [row["size_is_lower_bound"] == "1" for row in csv.DictReader(file)]
    assert [one.censored for one in found.polyps] == bounds and any(bounds)


def test_clips_of_sun_seg_are_joined_by_case(tmp_path: Path, shared_data: Path) -> None:
    table = shared_data / "polyp" / "mm_tables" / "sunseg_clips_285.csv"
    (tmp_path / "clips.csv").write_bytes(table.read_bytes())
    for part, clips in (
        ("TrainDataset", ("case1_1", "case2_1", "case4")),
        ("TestEasyDataset/Seen", ("case1_2",)),
    ):
        for clip in clips:
            image(tmp_path / part / "Frame" / clip / "x_image0001.jpg")
            mask(tmp_path / part / "GT" / clip / "x_image0001.png", (4, 5, 20, 25))
    found = read_dataset(tmp_path)
    assert found.layout == "sun-seg"
    assert [(one.id, one.video, one.size_mm, one.split) for one in found.polyps] == [
        ("TestEasyDataset/Seen/case1", "case1", 6, "test"),
        ("TrainDataset/case1", "case1", 6, "train"),
        ("TrainDataset/case2", "case2", 18, "train"),
        ("TrainDataset/case4", "case4", 4, "train"),
    ]
    assert read(found.polyps[0])[0].box == (4, 5, 20, 25)  # made of the mask


def test_polyp_size_as_videos(tmp_path: Path) -> None:
    video(tmp_path / "1.mp4", 5)
    video(tmp_path / "2.mp4", 6)
    video(tmp_path / "7.mp4", 3)
    xlsx(tmp_path / "table.xlsx", [["Video_ID", "Polyp Size (mm)"], [1, 11.74], [2, "4.47"], [3, 5]])
    found = read_dataset(tmp_path)
    assert found.layout == "polyp-size"
    assert [(one.id, one.size_mm) for one in found.polyps] == [("1", 11.74), ("2", 4.47), ("7", None)]
    frames = read(found.polyps[1])
    assert [one.ref.seconds for one in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose([one.pixels.mean() for one in frames], np.arange(6) * 16, atol=6)
    assert found.notes == (
        "1 videos have no line in a table, so no size: 7",
        "1 lines of the table have no video: 3",
    )


@pytest.mark.parametrize("below", ["", "images", "{video}"])
def test_polyp_size_as_frames(tmp_path: Path, below: str) -> None:
    for name in ("1", "2"):
        for seconds in (0.04, 1.0, 0.5, 10.25):
            image(tmp_path / below.format(video=name) / f"{name}_{seconds:.2f}_.png")
    write_text(tmp_path / "sizes.csv", "video,size\n1,5\n2,>=10\n")
    found = read_dataset(tmp_path)
    assert [(one.id.rpartition("/")[2], one.size_mm, one.censored) for one in found.polyps] == [
        ("1", 5, False),
        ("2", 10, True),
    ]
    assert [one.seconds for one in refs(found.polyps[0])] == [0.04, 0.5, 1.0, 10.25]


def test_polypsense3d(tmp_path: Path) -> None:
    top = tmp_path / "Clinical-Dataset-For-PolypSense3D"
    for sequence, polyp in (("sequence001", "polyp1"), ("sequence001", "polyp2"), ("sequence052", "polyp1")):
        for number in (2, 10):
            image(top / "polyp_frame" / sequence / polyp / f"frame_{number:04d}.jpg")
    depth(top / "polyp_depth" / "sequence001" / "polyp1" / "frame_0002.png", 25)
    header = ["id", "fx", "fy", "cx", "cy", "width", "height", "k1", "k2", "k3", "p1", "p2"]
    xlsx(
        top / "calibrations" / "camera.xlsx",
        [header, [3, 600, 601, 577.5, 502.5, 1157, 1006, -0.4, 0.1, 0, 0, 0]],
    )
    xlsx(top / "calibrations" / "video_info.xlsx", [["", "sequence", "camera"], [1, "sequence001", 3]])
    write_text(top / "sizes.csv", "sequence,polyp,size_mm\n1,1,4.5\nsequence001,polyp2,0\n")
    found = read_dataset(tmp_path)
    assert found.layout == "polypsense3d"
    assert [(one.id, one.size_mm, one.video) for one in found.polyps] == [
        ("sequence001/polyp1", 4.5, "sequence001"),
        ("sequence001/polyp2", None, "sequence001"),
        ("sequence052/polyp1", None, "sequence052"),
    ]
    camera = found.polyps[0].camera
    assert camera is not None and found.polyps[2].camera is None
    assert (camera.fx, camera.cx, camera.cy, camera.k1, camera.width) == (600, 578, 503, -0.4, 1157)
    assert "k1 alone is used" in camera.notes[0]
    frames = read(found.polyps[0])
    assert frames[0].depth is not None and frames[0].depth[5, 5] == 25 and frames[1].depth is None
    assert "1 sequences have no calibrated camera: sequence052" in found.notes


def test_polypgen(tmp_path: Path) -> None:
    image(tmp_path / "data_C1" / "images_C1" / "a.jpg")
    image(tmp_path / "data_C1" / "images_C1" / "b.jpg")
    mask(tmp_path / "data_C1" / "masks_C1" / "a_mask.jpg", (8, 8, 24, 16))
    mask(tmp_path / "data_C1" / "masks_C1" / "b_mask.jpg", None)
    write_text(tmp_path / "data_C1" / "bbox_C1" / "a_mask.txt", "polyp 8 8 24 16\n")
    write_text(tmp_path / "data_C1" / "bbox_C1" / "b_mask.txt", "")
    found = read_dataset(tmp_path)
    assert (found.layout, found.notes, [one.id for one in found.polyps]) == ("polypgen", (), ["C1/a", "C1/b"])
    first, second = (read(one)[0] for one in found.polyps)
    assert first.box == (8, 8, 24, 16) and first.mask is not None and first.mask[8:16, 8:24].all()
    assert second.box is None and second.mask is not None and not second.mask.any()


def test_kvasir_seg(tmp_path: Path) -> None:
    for name in ("a", "b"):
        image(tmp_path / "images" / f"{name}.jpg")
        mask(tmp_path / "masks" / f"{name}.jpg", (8, 8, 24, 16))
    write_text(
        tmp_path / "kavsir_bboxes.json",
        '{"a": {"height": 30, "width": 40, "bbox": [{"label": "polyp", "xmin": 7, "ymin": 0, "xmax": 24,'
        ' "ymax": 16}]}, "c": 3}',
    )
    found = read_dataset(tmp_path)
    assert found.layout == "kvasir-seg"
    first, second = (read(one)[0] for one in found.polyps)
    assert first.box == (8, 0, 24, 16) and second.box == (8, 8, 24, 16)
    assert "1 entries hold no boxes" in found.notes[0]


def test_voc(tmp_path: Path) -> None:
    image(tmp_path / "JPEGImages" / "a.jpg")
    image(tmp_path / "JPEGImages" / "b.jpg")
    voc(tmp_path / "Annotations" / "a.xml", [("", (1, 2, 9, 9)), ("", (10, 10, 20, 20))])
    voc(tmp_path / "Annotations" / "c.xml", [])
    found = read_dataset(tmp_path)
    assert (found.layout, [one.id for one in found.polyps]) == ("voc", ["a"])
    assert found.notes == (
        "1 images have no annotation, and are left out: b",
        "1 annotations have no image: c",
    )
    frame = read(found.polyps[0])[0]
    assert frame.box is None and frame.others == ((1, 2, 9, 9), (10, 10, 20, 20))


def test_our_own_tables(tmp_path: Path) -> None:
    image(tmp_path / "pictures" / "a.png")
    image(tmp_path / "loose" / "frame_1.png")
    mask(tmp_path / "pictures" / "a_mask.png", (2, 3, 9, 9), value=1)
    depth(tmp_path / "pictures" / "a_depth.png", 1_000)
    video(tmp_path / "clip.avi", 8)
    write_text(
        tmp_path / "polyps.csv",
        "polyp,patient,video,size_mm,censored,shape,site,histology\n"
        "one,anna,,7.5,,Ip,cecum,AD\ntwo,bert,clip.avi,10,1,,,\nloose,bert,,3,,,,\nnothing,,,4,,,,\n",
    )
    write_text(
        tmp_path / "frames.csv",
        "polyp,image,video,frame,x0,y0,x1,y1,mask,depth,seconds\n"
        "one,pictures/a.png,,,2,3,9.5,9,pictures/a_mask.png,pictures/a_depth.png,0.5\n"
        "one,,clip.avi,3,,,,,,,\nthree,,clip.avi,0,1,1,4,4,,,\n",
    )
    write_text(tmp_path / "calibration.json", '{"width":40,"height":30,"fx":25,"fy":25,"cx":20,"cy":15}')
    found = read_dataset(tmp_path)
    assert found.layout == "csv"
    assert [(one.id, one.patient, one.size_mm, one.censored) for one in found.polyps] == [
        ("loose", "bert", 3, False),
        ("one", "anna", 7.5, False),
        ("three", "", None, False),
        ("two", "bert", 10, True),
    ]
    first, second = read(found.polyps[1])
    assert first.box == (2, 3, 9.5, 9) and first.ref.seconds == 0.5
    assert first.mask is not None and first.mask.sum() == 7 * 6
    assert first.depth is not None and first.depth[5, 5] == 10
    assert abs(second.pixels.mean() - 48) < 6
    assert len(read(found.polyps[3])) == 8 and len(read(found.polyps[0])) == 1
    assert found.polyps[0].camera is not None
    assert any("no frames, and are left out: nothing" in note for note in found.notes)


def test_several_data_sets_in_one_folder(tmp_path: Path) -> None:
    real_colon(tmp_path / "a")
    video(tmp_path / "b" / "1.avi", 2)
    write_text(tmp_path / "b" / "t.csv", "id,size\n1,3\n")
    found = read_dataset(tmp_path)
    assert found.layout == "polyp-size, real-colon"
    assert [one.id for one in found.polyps] == ["a/001-001_1", "a/001-001_2", "b/1"]
    assert [one.video for one in found.polyps] == ["real-colon:001-001"] * 2 + ["polyp-size:1"]
    assert [one.id for one in read_dataset(tmp_path, layout="polyp-size").polyps] == ["1"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda top: top / "none", "there is no"),
        (lambda top: write_text(top / "a.csv", "x"), "is a file"),
        (lambda top: image(top / "pictures" / "a.jpg").parent, "no data set in a known layout"),
    ],
)
def test_no_data_set(tmp_path: Path, make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(PolypError, match=words):
        read_dataset(make(tmp_path))
    with pytest.raises(PolypError, match="no layout 'foo'"):
        read_dataset(tmp_path, layout="foo")
