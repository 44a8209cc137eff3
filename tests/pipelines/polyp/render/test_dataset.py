from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from defusedxml import ElementTree

from pipelines.common.errors import UserError
from pipelines.polyp.render import STYLES, render_dataset
from pipelines.polyp.render.__main__ import main
from pipelines.polyp.render.layout import box_of, video_name, write_frame
from pipelines.polyp.render.optics import draw_optics
from pipelines.polyp.render.video import draw_video, size_of

SMALL = {"polyps": 2, "frames": 4, "seed": 5, "size": 96}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rendered") / "set"
    render_dataset(out, **SMALL)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_file_of_the_layout_is_read_and_agrees(folder: Path) -> None:
    lesions, videos = (
        list(csv.DictReader((folder / name).read_text().splitlines()))
        for name in ("lesion_info.csv", "video_info.csv")
    )
    assert [row["unique_video_name"] for row in videos] == ["001-001", "001-002"]
    for row in lesions:
        name = row["unique_video_name"]
        truth = json.loads((folder / f"{name}_truth.json").read_text())
        assert float(row["size [mm]"]) == truth["size_mm"]
        eye = json.loads((folder / f"{name}_calibration.json").read_text())
        assert list(eye) == ["width", "height", "fx", "fy", "cx", "cy", "k1"]
        for number in range(4):
            stem = f"{name}_{number}"
            image = cv2.imread(str(folder / f"{name}_frames" / f"{stem}.jpg"))
            depth = cv2.imread(str(folder / f"{name}_depth" / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
            mask = cv2.imread(str(folder / f"{name}_masks" / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
            assert image is not None and depth is not None and mask is not None
            assert image.shape == (eye["height"], eye["width"], 3)
            assert depth.shape == mask.shape == image.shape[:2]
            assert depth.dtype == np.uint16
            assert set(np.unique(mask)) <= {0, 255}
            assert (depth[mask > 0] > 0).all()
            tree = ElementTree.parse(folder / f"{name}_annotations" / f"{stem}.xml")
            boxes = tree.findall("object")
            assert len(boxes) == int(mask.any())
            for found in boxes:
                assert found.findtext("name") == "lesion"
                assert found.findtext("unique_id") == row["unique_object_id"]
                sides = found.find("bndbox")
                assert sides is not None
                assert [side.tag for side in sides] == ["xmin", "xmax", "ymin", "ymax"]
                assert tuple(int(side.text or "") for side in sides) == box_of(mask > 0)


def test_the_same_seed_gives_the_same_bytes_whoever_renders(folder: Path, tmp_path: Path) -> None:
    render_dataset(tmp_path / "again", **{**SMALL, "polyps": 1})
    made, again = contents(folder), contents(tmp_path / "again")
    assert {name for name in again if made[name] != again[name]} == {"lesion_info.csv", "video_info.csv"}
    render_dataset(tmp_path / "again", **SMALL)
    assert contents(tmp_path / "again") == made


def test_a_run_that_was_killed_goes_on(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"
    shutil.copytree(folder, out)
    (out / "001-002_truth.json").unlink()
    (out / "001-002_frames" / "001-002_0.jpg").write_bytes(b"torn")
    (out / ".001-002.new-1" / "001-002_frames").mkdir(parents=True)
    (out / ".001-002.new-1" / "001-002_frames" / "001-002_0.jpg").write_bytes(b"torn")
    rendered: list[str] = []
    render_dataset(out, **SMALL, done=rendered.append)
    assert rendered == ["001-002"]
    assert contents(out) == contents(folder)


def test_fewer_polyps_leave_the_others_in_the_tables(folder: Path, tmp_path: Path) -> None:
    """Somebody may be reading them."""
    shutil.copytree(folder, tmp_path / "copy")
    assert render_dataset(tmp_path / "copy", **{**SMALL, "polyps": 1}) == ["001-001"]
    assert contents(tmp_path / "copy") == contents(folder)


def test_one_camera_has_one_calibration(tmp_path: Path) -> None:
    render_dataset(tmp_path / "one", polyps=1, frames=1, size=64, one_camera=True)
    shared = (tmp_path / "one" / "calibration.json").read_bytes()
    assert (tmp_path / "one" / "001-001_calibration.json").read_bytes() == shared
    drawn = [
        draw_optics(np.random.default_rng(number), STYLES["first"], 64, np.random.default_rng([0, 3])).camera
        for number in range(3)
    ]
    assert {json.dumps(camera.calibration()) for camera in drawn} == {json.dumps(json.loads(shared))}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"polyps": 0}, "polyps is 0"),
        ({"frames": 0}, "frames is 0"),
        ({"size": 10}, "at least 64"),
        ({"style": "third"}, "first, second"),
        ({"seed": 6}, "another seed"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed: dict[str, object], message: str, folder: Path) -> None:
    with pytest.raises(UserError, match=message):
        render_dataset(folder, **{**SMALL, **changed})


def test_a_folder_with_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert main([str(tmp_path), "--polyps", "1"]) == 2
    assert "not empty" in capsys.readouterr().err


def test_frames_that_look_away_have_no_object(tmp_path: Path) -> None:
    shape = (40, 50)
    assert (
        write_frame(
            tmp_path,
            "001-001",
            0,
            np.zeros((*shape, 3), np.uint8),
            np.ones(shape, np.float32),
            np.zeros(shape, bool),
            90,
        )
        is None
    )
    tree = ElementTree.parse(tmp_path / "001-001_annotations" / "001-001_0.xml")
    assert tree.find("object") is None
    assert [tree.findtext(f"size/{side}") for side in ("width", "height")] == ["50", "40"]


def test_clips_have_negatives_and_views_of_the_polyp() -> None:
    video = draw_video(4, 1, 8, "first", 64, False)
    assert "away" in {planned.view for planned in video.clip}
    for planned, frame in zip(video.clip, video.frames(), strict=True):
        assert planned.view != "away" or not frame.mask.any()
    assert sum(planned.view == "in" for planned in video.clip) >= 4


def test_sizes_fill_the_three_classes_evenly() -> None:
    sizes = np.array([size_of(1, number) for number in range(300)])
    assert 1 <= sizes.min() < 1.1 and 23 < sizes.max() <= 25
    assert np.bincount(np.digitize(sizes, [5.0001, 10])).tolist() == [100, 100, 100]


def test_names_of_videos() -> None:
    assert [video_name(number) for number in (0, 998, 999)] == ["001-001", "001-999", "002-001"]


def test_styles_share_no_shapes_and_no_textures() -> None:
    one, two = STYLES["first"], STYLES["second"]
    assert not set(one.bodies) & set(two.bodies)
    assert not set(one.pits) & set(two.pits)
    assert one.net != two.net


def test_a_scene_without_room_for_the_endoscope_is_drawn_anew() -> None:
    video = draw_video(2, 346, 6, "first", 64, False)
    assert len(video.clip) == 6
    assert video.lesion.size == pytest.approx(size_of(2, 346))
