"""From a data set to a run folder: rows, frames, pictures, what is left out and why, and going on."""

from __future__ import annotations

import csv
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import UserError
from pipelines.polyp.size.config import SizeConfig
from pipelines.polyp.size.predict import Predictor
from pipelines.polyp.size.rows import COLUMNS, FRAME_COLUMNS
from pipelines.polyp.size.run import RunSummary, size
from tests.pipelines.polyp.depth.builders import save_estimator
from tests.pipelines.polyp.size.made import DENSE, load, save_model, write_dataset
from tests.pipelines.polyp.train.builders import SMALL


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "seven")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", [4.0, 7.0, 12.0])


def run(out: Path, predictor: Predictor, *paths: Path, **options: Any) -> RunSummary:
    config = predictor.config
    assert isinstance(config, SizeConfig)
    return size(paths, predictor=predictor, config=config, out=out, **options)


def pictures(out: Path) -> list[Path]:
    """Of frames, and not of features."""
    return sorted((out / "overlays").glob("*/*[0-9].jpg"))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_maps_of_depth_are_named_as_the_scale_where_the_model_sees_them(
    project_root: Path, tmp_path: Path, model: Path
) -> None:
    clips = project_root / "sample_data" / "polyp" / "clips"
    sees = save_model(tmp_path / "sees", network={**DENSE, "depth": True})
    run(tmp_path / "deep", load(sees), clips)
    assert {row["scale_from"] for row in lines(tmp_path / "deep")} == {"depth map"}
    run(tmp_path / "flat", load(model), clips)
    assert {row["scale_from"] for row in lines(tmp_path / "flat")} == {"calibration"}


def test_depths_are_estimated_where_the_model_learnt_from_estimates(
    data: Path, model: Path, project_root: Path, tmp_path: Path
) -> None:
    estimator = save_estimator(tmp_path / "depths")
    network = {**DENSE, "depth": True}
    sees = save_model(tmp_path / "sees", network=network, depth_model=str(estimator))
    run(tmp_path / "run", load(sees), data)
    assert {row["scale_from"] for row in lines(tmp_path / "run")} == {"estimated depth"}
    assert not any("maps of depth" in note for row in lines(tmp_path / "run") for note in row["notes"])
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["model"]["depth_model"][0] == "depths"
    assert "Estimator of depths" in (tmp_path / "run" / "report.html").read_text()
    run(tmp_path / "without", load(sees, depth_model="none"), data)
    assert {row["scale_from"] for row in lines(tmp_path / "without")} == {"calibration"}
    assert all(any("maps of depth" in one for one in row["notes"]) for row in lines(tmp_path / "without"))
    forgets = save_model(tmp_path / "forgets", network=network, depth_model=str(estimator), forget_camera=0.4)
    bare = write_dataset(tmp_path / "bare", [5.0])
    (bare / "calibration.json").unlink()
    run(tmp_path / "uncalibrated", load(forgets), bare)
    assert [row["scale_from"] for row in lines(tmp_path / "uncalibrated")] == ["learnt prior"]
    assert not any("maps of depth" in one for one in lines(tmp_path / "uncalibrated")[0]["notes"])
    clips = project_root / "sample_data" / "polyp" / "clips"
    run(tmp_path / "maps", load(sees), clips)
    assert {row["scale_from"] for row in lines(tmp_path / "maps")} == {"depth map"}, "measured ones go first"
    run(tmp_path / "blind", load(model, depth_model=str(estimator)), data)
    assert {row["scale_from"] for row in lines(tmp_path / "blind")} == {"calibration"}, "it sees no depths"
    with pytest.raises(UserError, match="depths2"):
        load(sees, depth_model=str(tmp_path / "depths2"))


def test_a_data_set_gives_a_row_per_polyp_and_per_frame(data: Path, model: Path, tmp_path: Path) -> None:
    summary = run(tmp_path / "run", load(model), data)
    assert summary.counts == {
        **{"rows": 3, "ok": 3, "abstained": 0, "indeterminate": 0, "failed": 0},
        "skipped": 0,
    }
    found = table(tmp_path / "run" / "results.csv")
    assert tuple(found[0]) == COLUMNS
    assert [row["polyp"] for row in found] == ["polyp0", "polyp1", "polyp2"]
    assert [float(row["true_mm"]) for row in found] == [4.0, 7.0, 12.0]
    for row in found:
        assert float(row["mm"]) == pytest.approx(7.0, rel=0.02)
        assert float(row["low"]) == pytest.approx(7.0 * np.exp(-1.46 * 0.12), rel=0.05)
        assert row["frames"] == row["used"] == "3"
        assert float(row["p_le_5"]) < 0.01 and float(row["p_ge_10"]) < 0.01
        assert row["class"] == row["decision"] == "6-9 mm"
        assert row["scale_from"] == "calibration" and row["status"] == "ok"
    frames = table(tmp_path / "run" / "frames.csv")
    assert tuple(frames[0]) == FRAME_COLUMNS and len(frames) == 9
    assert {row["used"] for row in frames} == {"True"}
    assert len(pictures(tmp_path / "run")) == 9
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "finished" and record["task"] == "polyp"


def test_a_frame_that_cannot_be_used_says_why_and_the_rest_goes_on(
    data: Path, model: Path, tmp_path: Path
) -> None:
    (data / "polyp0_0.png").write_bytes(b"no image")
    Image.new("RGB", (160, 128), (9, 4, 4)).save(data / "polyp1_1.png")
    text = (data / "frames.csv").read_text().splitlines()
    text[-1] = "polyp2,polyp2_2.png,500,500,520,520,"
    (data / "frames.csv").write_text("\n".join(text))
    run(tmp_path / "run", load(model), data)
    rows = lines(tmp_path / "run")
    assert [row["used"] for row in rows] == [2, 2, 2] and [row["frames"] for row in rows] == [3, 3, 3]
    reasons = {row["frame"]: row["reason"] for row in table(tmp_path / "run" / "frames.csv") if row["reason"]}
    assert set(reasons) == {"polyp0_0", "polyp1_1", "polyp2_2"}
    assert "cannot be read" in reasons["polyp0_0"] and "polyp0_0.png" in reasons["polyp0_0"]
    assert "in the dark" in reasons["polyp1_1"]
    assert "lies off the frame" in reasons["polyp2_2"]


def test_a_polyp_whose_frames_cannot_be_read_has_failed(data: Path, model: Path, tmp_path: Path) -> None:
    for number in range(2):
        (data / f"polyp1_{number}.png").write_bytes(b"no image")
    text = (data / "frames.csv").read_text().splitlines()
    last = next(number for number, line in enumerate(text) if "polyp1_2" in line)
    text[last] = "polyp1,polyp1_2.png,,,,,"  # it can be read, but nobody says where to look
    (data / "frames.csv").write_text("\n".join(text))
    summary = run(tmp_path / "run", load(model), data)
    assert (summary.counts["ok"], summary.counts["failed"]) == (2, 1)
    row = lines(tmp_path / "run")[1]
    assert (row["polyp"], row["status"]) == ("polyp1", "failed") and "cannot be read" in row["error"]


def test_a_polyp_without_a_usable_frame_gets_no_size_and_the_reason(
    data: Path, model: Path, tmp_path: Path
) -> None:
    for number in range(3):
        Image.new("RGB", (160, 128)).save(data / f"polyp1_{number}.png")
    summary = run(tmp_path / "run", load(model), data)
    assert summary.counts["abstained"] == 1 and summary.counts["failed"] == 0
    row = lines(tmp_path / "run")[1]
    assert row["mm"] is None and row["decision"] == "abstained" and row["used"] == 0
    assert "none of 3 frames can be used" in row["reason"] and "no optical field" in row["reason"]


def test_a_size_near_a_threshold_is_indeterminate(data: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", load(save_model(tmp_path / "ten", 10.0)), data)
    for row in lines(tmp_path / "run"):
        assert row["decision"] == "indeterminate" and row["near_mm"] == 10.0
        assert row["reason"].startswith("near 10 mm: the probability of >=10 mm is")
        assert row["p_ge_10"] == pytest.approx(0.5, abs=0.1)


def test_many_frames_are_thinned_and_the_row_says_so(model: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", [7.0], frames=9)
    run(tmp_path / "run", load(model, frames_per_polyp=4, pictures=2), data)
    (row,) = lines(tmp_path / "run")
    assert row["frames"] == 9 and row["looked"] == 4 and row["used"] == 4
    assert "4 of its 9 frames were looked at, evenly over their order" in row["notes"]
    assert [one["frame"] for one in table(tmp_path / "run" / "frames.csv")] == [
        *("polyp0_0", "polyp0_3", "polyp0_5", "polyp0_8")
    ]
    assert len(pictures(tmp_path / "run")) == 2


def test_the_scale_is_learnt_without_a_camera_that_fits(data: Path, model: Path, tmp_path: Path) -> None:
    camera = json.loads((data / "calibration.json").read_text())
    wide = tmp_path / "wide.json"
    wide.write_text(json.dumps(camera | {"width": 320}))
    run(tmp_path / "run", load(model, calibration=wide), data)
    row = lines(tmp_path / "run")[0]
    assert row["scale_from"] == "learnt prior"
    assert any("3 frames have other proportions" in note for note in row["notes"])
    (data / "calibration.json").unlink()
    run(tmp_path / "bare", load(model), data)
    assert lines(tmp_path / "bare")[0]["scale_from"] == "learnt prior"
    always = save_model(tmp_path / "always", cameras=2, polyps=["a", "b"], contents=[])
    run(tmp_path / "lacking", load(always), data)
    assert any(
        "learnt from calibrated frames only" in note for note in lines(tmp_path / "lacking")[0]["notes"]
    )
    notes: list[str] = []
    never = load(save_model(tmp_path / "never", cameras=0), calibration=wide)
    run(tmp_path / "blind", never, data, note=notes.append)
    assert any("never saw a calibrated frame" in note for note in notes)


def test_a_run_that_was_stopped_goes_on_and_a_changed_one_is_refused(
    data: Path, model: Path, tmp_path: Path
) -> None:
    class Stop(BaseException):
        pass

    def stop(text: str) -> None:
        if text.startswith("2 of 3"):
            raise Stop

    out = tmp_path / "run"
    with pytest.raises(Stop):
        run(out, load(model), data, progress=stop)
    assert json.loads((out / "run.json").read_text())["status"] == "failed" and len(lines(out)) == 2
    before = (out / "results.jsonl").read_text()
    summary = run(out, load(model), data, resume=True)
    assert summary.counts["ok"] == 3 and (out / "results.jsonl").read_text().startswith(before)
    with pytest.raises(UserError, match=r"config\.confidence was 0\.9 and is now 0\.8"):
        run(out, load(model, confidence=0.8), data, resume=True)
    text = (data / "frames.csv").read_text().replace("polyp0_1.png,", "polyp0_1.png,1", 1)
    (data / "frames.csv").write_text(text)
    with pytest.raises(UserError, match=r"boxes of polyp0 of .* have changed"):
        run(out, load(model), data, resume=True)
    run(out, load(model), data, overwrite=True)
    assert len(lines(out)) == 3


def test_what_is_around_the_field_is_in_no_picture(model: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", [7.0], frames=2)
    row, column = np.mgrid[:128, :160]
    outside = (row - 64) ** 2 + (column - 80) ** 2 > 62**2
    for path in data.glob("polyp0_?.png"):
        with Image.open(path) as image:
            pixels = np.array(image)
        pixels[outside] = 0
        pixels[22:28, 2:24] = 255  # a name
        Image.fromarray(pixels).save(path)
    run(tmp_path / "run", load(model), data)
    shown = pictures(tmp_path / "run")
    assert shown
    for path in shown:
        with Image.open(path) as image:
            corner = np.asarray(image.resize((160, 128)))[:40, :20]
        assert corner[18:].max() < 60, "above are our own words"


@pytest.mark.parametrize(
    ("network", "gate"),
    [
        (DENSE, "crop, embedding"),
        ({**DENSE, "backbone": "vit-tiny"}, "crop, embedding"),
        (SMALL["network"], "lesion's pixels, stage 1"),
    ],
    ids=["resnet18", "vit-tiny", "sparse-resnet"],
)
def test_features_are_drawn_and_gates_told(network: dict[str, Any], gate: str, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", [7.0], frames=2)
    predictor = load(save_model(tmp_path / "model", network=network))
    run(tmp_path / "run", predictor, data)
    assert len(list((tmp_path / "run" / "overlays").glob("*/*-features.jpg"))) == 1
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["model"]["features"]
    assert all(0 < one < 1 for values in record["gates"].values() for one in values)
    page = html.unescape((tmp_path / "run" / "report.html").read_text())
    assert gate in page and "hidden layer" in page and record["model"]["features"] in page
