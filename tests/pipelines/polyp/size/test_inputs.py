"""Folders, images and videos with boxes, masks or a finder: which polyps there are, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import UserError
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.plan import foresee
from pipelines.polyp.size.run import size
from tests.pipelines.polyp.made import voc
from tests.pipelines.polyp.size.made import FakeFinder, load, save_model
from tests.pipelines.polyp.train.builders import write_polyps

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "seven")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two folders of three frames of a disc each; masks lie in a folder of their own."""
    for number, mm in enumerate((6.0, 9.0)):
        folder = tmp_path / "clips" / f"c{number}"
        write_polyps(folder, [mm])
        for path in folder.glob("*-mask.png"):
            target = tmp_path / "masks" / folder.name / path.name.replace("-mask", "_mask")
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    return tmp_path / "clips"


def film(path: Path, folder: Path) -> Path:
    """A video of the frames of a folder, each twice."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (160, 128))
    for frame in sorted(folder.glob("*.png")):
        for _ in range(2):
            writer.write(cv2.imread(str(frame)))
    writer.release()
    return path


def boxes_file(path: Path, lines: list[str], columns: str = "image,x0,y0,x1,y1,polyp") -> Path:
    path.write_text("\n".join([columns, *lines]) + "\n")
    return path


def run(
    out: Path, model: Path, *paths: Path, finder: FakeFinder | None = None, notes: Any = None, **settings: Any
) -> list[dict[str, Any]]:
    predictor = load(model, finder, pictures=2, **{k: str(v) for k, v in settings.items()})
    config = predictor.config
    assert isinstance(config, SizeConfig)
    note = (lambda text: None) if notes is None else notes.append
    size(paths, predictor=predictor, config=config, out=out, note=note)
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def frames(out: Path) -> list[dict[str, Any]]:
    lines = (out / "frames.jsonl").read_text().splitlines()
    return [frame for line in lines for frame in json.loads(line)["frames"]]


def test_each_folder_of_frames_is_a_polyp_with_masks_of_the_same_names(
    clips: Path, model: Path, tmp_path: Path
) -> None:
    rows = run(tmp_path / "run", model, clips, masks=tmp_path / "masks")
    assert [(row["polyp"], row["used"], row["boxes_from"]) for row in rows] == [
        *(("c0", 3, "masks"), ("c1", 3, "masks"))
    ]
    assert all(row["mm"] == pytest.approx(7, rel=0.02) and row["true_mm"] is None for row in rows)


def test_boxes_by_image_and_what_is_wrong_with_some(clips: Path, model: Path, tmp_path: Path) -> None:
    table = boxes_file(
        tmp_path / "boxes.csv",
        [
            *("c0/polyp0_0.png,40,30,110,100,", "c0/polyp0_1,900,900,910,910,", "c0/polyp0_2.png,x,30,110,,"),
            *("c1/polyp0_0.png,40,30,110,100,", "c1/polyp0_1.png,60,30,60,100,", "gone.png,1,1,2,2,"),
            *("c1/polyp0_0.png,10,10,30,30,", ",1,2,3,4,"),
        ],
    )
    notes: list[str] = []
    rows = run(tmp_path / "run", model, clips, boxes=table, notes=notes)
    assert [row["used"] for row in rows] == [1, 0]
    assert rows[1]["decision"] == "abstained"
    reasons = [frame["reason"] for frame in frames(tmp_path / "run") if frame["reason"]]
    for words in (
        *("lies off the frame", "is no four numbers", "has no area", "2 boxes without ids"),
        "no box and no mask is given for it",
    ):
        assert any(words in reason for reason in reasons), (words, reasons)
    told = " ".join(notes)
    assert "1 names in boxes.csv fit no frame: gone" in told and "1 lines name no frame" in told


def test_ids_make_polyps_and_the_first_of_two_boxes_counts(clips: Path, model: Path, tmp_path: Path) -> None:
    lines = [f"c0/polyp0_{n}.png,40,30,110,100,a" for n in range(3)]
    lines += ["c0/polyp0_0.png,10,10,30,30,b", "c0/polyp0_1.png,0,0,20,20,a"]
    rows = run(tmp_path / "run", model, clips / "c0", boxes=boxes_file(tmp_path / "b.csv", lines))
    assert [(row["polyp"], row["frames"]) for row in rows] == [("a", 3), ("b", 1)]
    assert any("several boxes of the same polyp; the first is taken" in note for note in rows[0]["notes"])


def test_a_name_that_fits_frames_of_two_folders_is_refused(clips: Path, model: Path, tmp_path: Path) -> None:
    table = boxes_file(tmp_path / "boxes.csv", ["polyp0_0.png,40,30,110,100,"])
    with pytest.raises(UserError, match="put the folder before the names"):
        run(tmp_path / "run", model, clips, boxes=table)


def test_a_folder_of_annotations_with_one_that_is_refused(clips: Path, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xml"
    lesion: Box = (40.0, 30.0, 110.0, 100.0)
    voc(folder / "polyp0_0.xml", [("p", lesion)], (160, 128))
    voc(folder / "polyp0_1.xml", [("p", lesion)], (160, 128))
    evil = '<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>'
    (folder / "polyp0_2.xml").write_text(evil)
    rows = run(tmp_path / "run", model, clips / "c0", boxes=folder)
    assert rows[0]["polyp"] == "p" and rows[0]["used"] == 2
    reasons = [frame["reason"] for frame in frames(tmp_path / "run") if frame["reason"]]
    assert len(rows) == 2 and "document type or entities" in reasons[-1]


def test_a_video_is_a_polyp_or_one_for_each_id(clips: Path, model: Path, tmp_path: Path) -> None:
    video = film(tmp_path / "walk.avi", clips / "c0")
    lines = [f"{n},40,30,110,100,{id}" for n, id in ((0, "a"), (2, "a"), (3, "b"), (99, "b"))]
    table = boxes_file(tmp_path / "boxes.csv", lines, "frame,x0,y0,x1,y1,polyp")
    rows = run(tmp_path / "run", model, video, boxes=table)
    assert [(row["polyp"], row["frames"], row["used"]) for row in rows] == [("a", 2, 2), ("b", 2, 1)]
    assert "ends before this frame" in frames(tmp_path / "run")[-1]["reason"]
    found = run(tmp_path / "found", model, video, finder=FakeFinder())
    assert [(row["polyp"], row["frames"], row["boxes_from"]) for row in found] == [("walk", 6, "finder")]


def test_the_finder_finds_what_nobody_marked(clips: Path, model: Path, tmp_path: Path) -> None:
    finder = FakeFinder(blind=(1,))
    rows = run(tmp_path / "run", model, clips / "c0", finder=finder)
    assert rows[0]["used"] == 2 and rows[0]["boxes_from"] == "finder"
    shown = frames(tmp_path / "run")
    assert [frame["score"] for frame in shown] == [0.9, None, 0.9]
    assert shown[1]["reason"] == "no lesion was found in it"
    unsure = run(tmp_path / "unsure", model, clips / "c0", finder=FakeFinder(score=0.4))
    assert unsure[0]["decision"] == "abstained" and "no lesion was found" in unsure[0]["reason"]


def test_images_named_one_by_one_are_polyps_of_their_own(clips: Path, model: Path, tmp_path: Path) -> None:
    paths = sorted((clips / "c0").glob("*.png"))
    rows = run(tmp_path / "run", model, *paths, *paths[:1], finder=FakeFinder())
    assert [row["polyp"] for row in rows] == ["polyp0_0", "polyp0_1", "polyp0_2"]


def test_a_broken_video_is_a_failed_row_and_the_rest_goes_on(
    clips: Path, model: Path, tmp_path: Path
) -> None:
    (clips / "c1" / "bad.mp4").write_bytes(b"no video")
    rows = run(tmp_path / "run", model, clips, finder=FakeFinder())
    assert [row["status"] for row in rows] == ["ok", "ok", "failed"]
    assert rows[2]["source"].endswith("bad.mp4") and rows[2]["error"].startswith("it is no video")


def test_frames_of_several_sizes_are_measured_and_noted(clips: Path, model: Path, tmp_path: Path) -> None:
    path = clips / "c0" / "polyp0_1.png"
    with Image.open(path) as image:
        image.resize((240, 192)).save(path)
    (row,) = run(tmp_path / "run", model, clips / "c0", masks=tmp_path / "masks")
    assert "its frames have several sizes: 160 x 128, 240 x 192" in row["notes"]
    assert row["used"] == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give --boxes"),
        ({"boxes": "no.csv"}, "there is no no.csv"),
        ({"boxes": "empty.csv"}, "is no table of boxes"),
        ({"boxes": "empty", "masks": "empty"}, "give one of them"),
        ({"boxes": "empty"}, "holds no VOC annotations"),
        ({"masks": "empty"}, "holds no images"),
        ({"layout": "sun"}, "no data set in a known layout"),
    ],
)
def test_what_a_user_must_mend_is_said_before_anything_is_written(
    settings: dict[str, str], message: str, clips: Path, model: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").write_text("frame,box\n1,2\n")
    with pytest.raises(UserError, match=message):
        run(tmp_path / "run", model, clips, **settings)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_counts_frames(clips: Path, model: Path, tmp_path: Path) -> None:
    predictor = load(model, masks=str(tmp_path / "masks"), frames_per_polyp=2)
    assert isinstance(predictor.config, SizeConfig)
    found = foresee([clips], predictor, predictor.config, tmp_path / "run")
    assert [(one["polyp"], one["frames"], one["looked"]) for one in found["items"]] == [
        *(("c0", 3, 2), ("c1", 3, 2))
    ]


def test_pixels_that_are_noise_are_no_error(model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.png"
    Image.fromarray(rng.integers(0, 255, (90, 110, 3), dtype=np.uint8)).save(path)
    (row,) = run(tmp_path / "run", model, path, finder=FakeFinder())
    assert row["status"] == "ok"


def test_masks_of_a_video_have_its_name_and_the_number_of_the_frame(
    clips: Path, model: Path, tmp_path: Path
) -> None:
    video = film(tmp_path / "walk.avi", clips / "c0")
    masks = tmp_path / "of_video"
    masks.mkdir()
    for number in (0, 4):
        source = tmp_path / "masks" / "c0" / f"polyp0_{number // 2}_mask.png"
        source.rename(masks / f"walk_{number}.png")
    (tmp_path / "masks" / "c0" / "polyp0_1_mask.png").rename(masks / "walk_again_2.png")
    notes: list[str] = []
    (row,) = run(tmp_path / "run", model, video, masks=masks, notes=notes)
    assert (row["frames"], row["used"], row["boxes_from"]) == (2, 2, "masks")
    assert any("1 names in of_video fit no frame: walk_again_2" in note for note in notes)


def test_a_data_set_whose_label_cannot_be_read_says_so_and_is_not_thinned(
    model: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    write_polyps(data / "001-001_frames", [7.0])
    for path in (data / "001-001_frames").glob("*-mask.png"):
        path.unlink()
    for number in range(3):
        lesion: Box = (40.0, 30.0, 110.0, 100.0)
        voc(data / "001-001_annotations" / f"polyp0_{number}.xml", [("a", lesion)], (160, 128))
    (data / "001-001_annotations" / "polyp0_2.xml").write_text("<annotation>")
    (row,) = run(tmp_path / "run", model, data)
    assert (row["frames"], row["used"]) == (3, 2)
    assert not any("were looked at" in note for note in row["notes"])
    assert "its labels cannot be read" in frames(tmp_path / "run")[-1]["reason"]
