"""A run: rows, maps, pictures, videos, going on, replacing."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import UserError
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.maps import CountMap, read_map
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.run import RunSummary, count
from pipelines.crowd.data import Pixels, Video, image_size, read_image
from tests.pipelines.crowd.count.made_models import rough, trained, write_film, write_scene


def run(out: Path, *paths: Path, by: Predictor | None = None, **options: Any) -> RunSummary:
    flow = {
        name: options.pop(name) for name in ("resume", "retry_failed", "overwrite", "note") if name in options
    }
    config = CountConfig(**options)
    return count(list(paths), predictor=by or Predictor(trained(), config), config=config, out=out, **flow)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(3):
        write_scene(tmp_path / "in" / f"{number}.png", 70 + 10 * number, number)
    return tmp_path / "in"


def test_a_run_has_what_it_promises(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = run(out, images, points=True)
    assert summary.counts == {"rows": 3, "ok": 3, "failed": 0, "skipped": 0}
    by = Predictor(trained(), CountConfig())
    for number, row in enumerate(rows_of(out)):
        pixels = read_image(images / f"{number}.png").pixels
        expected = by.predict(pixels)
        found = read_map(out / "maps" / f"{number}.npz")
        np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(found.variance, expected.variance)
        np.testing.assert_array_equal(found.gate, expected.gate)
        assert (found.stride, found.height, found.width) == (8, 70 + 10 * number, 70 + 10 * number)
        assert row["count"] == pytest.approx(expected.count, rel=1e-5)
        assert row["low"] < row["count"] < row["high"]
        assert row["frame"] is None and row["model"] == "small" and row["zones"] == {}
        with (out / "points" / f"{number}.csv").open() as file:
            points = list(csv.DictReader(file))
        assert len(points) == round(row["count"])
        assert all(0 <= float(one["x"]) <= row["width"] for one in points)
        assert image_size(out / "overlays" / f"{number}.jpg")[:2] == (row["width"], row["height"])
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "finished" and record["verb"] == "count"
    assert record["model"]["network"] == "sparse-counter"
    assert files(out) == sorted(
        ["files.jsonl", "report.html", "results.csv", "results.jsonl", "run.json"]
        + [
            f"{folder}/{n}.{end}"
            for n in range(3)
            for folder, end in zip(("maps", "overlays", "points"), ("npz", "jpg", "csv"), strict=True)
        ]
    )


def test_zones_are_columns_of_json_and_are_copied(images: Path, tmp_path: Path) -> None:
    halves = [
        {"name": "left, all", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]},
        {"name": "right", "polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]},
    ]
    (tmp_path / "z.json").write_text(json.dumps(halves))
    out = tmp_path / "run"
    run(out, images, zones=tmp_path / "z.json", pixels_per_metre=10.0)
    with (out / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            zones = json.loads(row["zones"])
            assert list(zones) == ["left, all", "right"]
            assert sum(zones.values()) == pytest.approx(float(row["count"]), rel=1e-4)
            assert float(row["people_per_m2"]) > 0
    assert json.loads((out / "zones.json").read_text()) == halves
    run(out, images, zones=out / "zones.json", pixels_per_metre=10.0, overwrite=True)
    assert json.loads((out / "zones.json").read_text()) == halves
    row = rows_of(out)[0]
    assert row["areas"]["right"]["low"] <= row["areas"]["right"]["count"] <= row["areas"]["right"]["high"]


def test_a_model_without_calibration_says_so(images: Path, tmp_path: Path) -> None:
    said: list[str] = []
    by = Predictor(trained(calibrated=False), CountConfig())
    run(tmp_path / "run", images / "0.png", by=by, note=said.append)
    assert any("no interval" in text for text in said)
    assert rows_of(tmp_path / "run")[0]["low"] is None
    assert "not calibrated" in (tmp_path / "run" / "report.html").read_text()


def test_frames_of_a_video_are_rows(tmp_path: Path) -> None:
    film = write_film(tmp_path / "in" / "walk.avi", frames=7)
    out = tmp_path / "run"
    run(out, tmp_path / "in", stride=2, video=True, points=True)
    rows = rows_of(out)
    assert [row["frame"] for row in rows] == [0, 2, 4, 6]
    np.testing.assert_allclose([row["time"] for row in rows], [0, 0.2, 0.4, 0.6])
    assert len({row["item"] for row in rows}) == 4
    assert files(out / "maps") == [f"walk/{number:06d}.npz" for number in (0, 2, 4, 6)]
    assert files(out / "points") == [f"walk/{number:06d}.csv" for number in (0, 2, 4, 6)]
    assert files(out / "overlays") == [f"walk/{number:06d}.jpg" for number in (0, 2, 4, 6)]
    with Video(film) as first, Video(out / "videos" / "walk.mp4") as drawn:
        assert len(list(drawn.frames())) == 4
        assert (drawn.width, drawn.height) == (first.width, first.height)
        assert drawn.fps == pytest.approx(first.fps / 2)
    record = json.loads((out / "run.json").read_text())
    assert record["videos"][0]["frames"] == 4


def test_frames_that_are_computed_together_are_so_when_a_run_goes_on(tmp_path: Path) -> None:
    write_film(tmp_path / "in" / "walk.avi", frames=7)
    run(tmp_path / "whole", tmp_path / "in")
    run(tmp_path / "cut", tmp_path / "in")
    for name in ("results.jsonl", "files.jsonl"):
        lines = (tmp_path / "cut" / name).read_text().splitlines(keepends=True)
        (tmp_path / "cut" / name).write_text("".join(lines[:2]))
    for number in range(2, 7):
        (tmp_path / "cut" / "maps" / "walk" / f"{number:06d}.npz").unlink()
    asked: list[int] = []

    class Watched(Predictor):
        def predict_many(self, images: Sequence[Pixels]) -> list[CountMap]:
            asked.append(len(images))
            return super().predict_many(images)

    by = Watched(trained(), CountConfig())
    run(tmp_path / "cut", tmp_path / "in", by=by, resume=True)
    assert sum(asked) == 7
    assert [row["frame"] for row in rows_of(tmp_path / "cut")] == list(range(7))
    for number in range(7):
        name = f"maps/walk/{number:06d}.npz"
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_long_video_shows_a_dozen_frames(tmp_path: Path) -> None:
    write_film(tmp_path / "in" / "walk.avi", frames=40, side=64)
    run(tmp_path / "run", tmp_path / "in")
    shown = files(tmp_path / "run" / "overlays")
    assert 10 <= len(shown) <= 12 and {"walk/000000.jpg", "walk/000039.jpg"} <= set(shown)
    assert len(files(tmp_path / "run" / "maps")) == 40


def test_changed_only_computes_less_and_counts_the_same(tmp_path: Path) -> None:
    write_film(tmp_path / "in" / "walk.avi", frames=4, side=640)
    run(tmp_path / "whole", tmp_path / "in")
    run(tmp_path / "changed", tmp_path / "in", changed_only=True)
    for one, other in zip(rows_of(tmp_path / "whole"), rows_of(tmp_path / "changed"), strict=True):
        assert other["count"] == pytest.approx(one["count"], abs=1, rel=0.03)
        assert one["computed"] == 1
    assert all(row["computed"] < 0.7 for row in rows_of(tmp_path / "changed")[1:])


def test_changed_only_with_a_network_that_sees_all_is_refused_before_the_run(tmp_path: Path) -> None:
    write_film(tmp_path / "walk.avi")
    by = Predictor(trained(), CountConfig())
    by.reach = None
    with pytest.raises(UserError, match="--changed-only needs a network"):
        run(tmp_path / "run", tmp_path / "walk.avi", by=by, changed_only=True)
    assert not (tmp_path / "run").exists()


def test_large_images_are_reduced_as_in_training_and_points_are_in_px_of_the_file(tmp_path: Path) -> None:
    Image.fromarray(rough(300, 300)).save(tmp_path / "a.png")
    model = trained()
    model.config["training"] = {"max_side": 150}  # type: ignore[index]
    run(tmp_path / "run", tmp_path / "a.png", by=Predictor(model, CountConfig()), points=True)
    row = rows_of(tmp_path / "run")[0]
    assert (row["width"], row["height"]) == (300, 300)
    assert read_map(tmp_path / "run" / "maps" / "a.npz").width == 150
    assert "reduced to 150 x 150" in row["notes"][0]
    with (tmp_path / "run" / "points" / "a.csv").open() as file:
        assert max(float(one["y"]) for one in csv.DictReader(file)) > 160
    run(tmp_path / "full", tmp_path / "a.png", by=Predictor(model, CountConfig(max_side=0)))
    assert read_map(tmp_path / "full" / "maps" / "a.npz").width == 300


def test_images_are_enlarged_as_in_training_and_rows_are_in_px_of_the_file(tmp_path: Path) -> None:
    Image.fromarray(rough(200, 300)).save(tmp_path / "a.png")
    zone = {"name": "all", "polygon": [[0, 0], [300, 0], [300, 200], [0, 200]]}
    (tmp_path / "zones.json").write_text(json.dumps({"units": "pixels", "zones": [zone]}))
    model = trained()
    model.config["training"] = {"max_side": 400, "enlarge": 1.3}  # type: ignore[index]
    by = Predictor(model, CountConfig())
    run(tmp_path / "run", tmp_path / "a.png", by=by, points=True, zones=tmp_path / "zones.json")
    row = rows_of(tmp_path / "run")[0]
    assert (row["width"], row["height"]) == (300, 200)
    assert not any("reduced" in note for note in row["notes"])
    assert read_map(tmp_path / "run" / "maps" / "a.npz").width == 390
    assert row["zones"]["all"] == pytest.approx(row["count"], rel=1e-3)
    with (tmp_path / "run" / "points" / "a.csv").open() as file:
        points = [(float(one["x"]), float(one["y"])) for one in csv.DictReader(file)]
    assert all(0 <= x <= 300 and 0 <= y <= 200 for x, y in points)


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write_scene(tmp_path / folder / "1.png")
    write_scene(tmp_path / "x" / "<b>bold & =cmd|'.png")
    run(tmp_path / "run", tmp_path / "x", tmp_path / "y")
    assert files(tmp_path / "run" / "maps") == ["b_bold_cmd.npz", "x_1.npz", "y_1.npz"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>bold" not in page and "&lt;b&gt;bold" in page


class Stops(Predictor):
    """Ctrl-C after so many images."""

    left = 2

    def predict_prepared(self, pixels: Pixels, *rest: Any) -> CountMap:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().predict_prepared(pixels, *rest)

    def at_once(self, height: int, width: int) -> int:
        return 2

    def predict_many(self, images: Sequence[Pixels]) -> list[CountMap]:
        if self.left < len(images):
            raise KeyboardInterrupt
        self.left -= len(images)
        return super().predict_many(images)


def test_a_run_that_was_stopped_goes_on(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(out, images, by=Stops(trained(), CountConfig()))
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"
    assert len(rows_of(out)) == 2
    (out / "maps" / ".2.npz.new-1").write_bytes(b"half of a map")
    written = (out / "maps" / "0.npz").stat().st_mtime_ns
    again = Stops(trained(), CountConfig())
    run(out, images, by=again, resume=True)
    assert again.left == 1
    assert (out / "maps" / "0.npz").stat().st_mtime_ns == written
    assert [Path(row["source"]).name for row in rows_of(out)] == ["0.png", "1.png", "2.png"]
    assert files(out / "maps") == ["0.npz", "1.npz", "2.npz"]


def test_a_video_that_was_stopped_goes_on_and_is_drawn_whole(tmp_path: Path) -> None:
    write_film(tmp_path / "in" / "walk.avi", frames=5)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(out, tmp_path / "in", by=Stops(trained(), CountConfig()), video=True)
    assert len(rows_of(out)) == 2 and not (out / "videos").exists()
    again = Stops(trained(), CountConfig())
    again.left = 3
    run(out, tmp_path / "in", by=again, video=True, resume=True)
    assert [row["frame"] for row in rows_of(out)] == list(range(5))
    with Video(out / "videos" / "walk.mp4") as drawn:
        assert len(list(drawn.frames())) == 5
    before = (out / "videos" / "walk.mp4").stat().st_mtime_ns
    run(out, tmp_path / "in", video=True, resume=True)
    assert (out / "videos" / "walk.mp4").stat().st_mtime_ns == before


def test_a_frame_that_is_counted_again_stays_at_its_time(tmp_path: Path) -> None:
    for name in ("first.avi", "second.avi"):
        write_film(tmp_path / "in" / name, frames=3)
    out = tmp_path / "run"
    run(out, tmp_path / "in")
    table, page = ((out / name).read_text() for name in ("results.csv", "report.html"))
    (out / "maps" / "first" / "000001.npz").unlink()
    run(out, tmp_path / "in", resume=True, retry_failed=True)
    assert [row["frame"] for row in rows_of(out)] == [0, 2, 0, 1, 2, 1]
    with (out / "results.csv").open(newline="") as file:
        again = [(Path(row["source"]).name, row["frame"], row["count"]) for row in csv.DictReader(file)]
    assert again == [
        (Path(row["source"]).name, row["frame"], row["count"]) for row in csv.DictReader(io.StringIO(table))
    ]
    lines = [
        re.findall('class="line" points="([^"]*)"', text)
        for text in (page, (out / "report.html").read_text())
    ]
    assert len(lines[0]) == 2 and lines[0] == lines[1]


def test_what_changed_is_not_gone_on_with(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, images)
    (out / "maps" / "1.npz").rename(tmp_path / "kept")
    with pytest.raises(UserError, match=r"1\.npz is gone"):
        run(out, images, resume=True)
    (out / "maps").rename(tmp_path / "away")
    for again in (False, True):
        with pytest.raises(UserError, match="bring its folder back"):
            run(out, images, resume=True, retry_failed=again)
    (tmp_path / "away").rename(out / "maps")
    run(out, images, resume=True, retry_failed=True)
    with np.load(out / "maps" / "1.npz") as made, np.load(tmp_path / "kept") as kept:
        assert all(np.array_equal(made[name], kept[name]) for name in kept)
    with pytest.raises(UserError, match=r"cannot be resumed, since config\.points was false"):
        run(out, images, resume=True, points=True)
    write_scene(images / "1.png", 200)
    with pytest.raises(UserError, match="has changed since"):
        run(out, images, resume=True)
    (images / "1.png").unlink()
    with pytest.raises(UserError, match="other files are there"):
        run(out, images, resume=True)


def test_overwriting_removes_what_the_old_run_wrote_and_nothing_else(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, images, points=True)
    (out / "maps" / "mine.npz").write_bytes(b"x")
    with pytest.raises(UserError, match="already holds a run"):
        run(out, images)
    run(out, images / "2.png", overwrite=True)
    assert files(out / "maps") == ["2.npz", "mine.npz"]
    assert files(out / "overlays") == ["2.jpg"] and files(out / "points") == []


def test_nothing_to_count_says_so_and_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("x")
    with pytest.raises(UserError, match=r"no image and no video in .* such as readme.txt"):
        run(tmp_path / "run", tmp_path / "empty")
    assert not (tmp_path / "run").exists()


def test_what_a_network_raises_is_a_failed_row(images: Path, tmp_path: Path) -> None:
    class Refuses(Predictor):
        def raw(self, pixels: Pixels, *rest: Any) -> CountMap:
            raise RuntimeError("not enough memory")

    summary = run(tmp_path / "run", images, by=Refuses(trained(), CountConfig()))
    assert summary.counts["failed"] == 3
    assert {row["error"] for row in rows_of(tmp_path / "run")} == {"cannot be counted: not enough memory"}


def test_a_black_image_counts_0_and_its_row_says_why(tmp_path: Path) -> None:
    Image.new("RGB", (120, 90)).save(tmp_path / "black.png")
    Image.fromarray(rough(90, 120)).save(tmp_path / "rough.png")
    run(tmp_path / "run", tmp_path / "black.png", tmp_path / "rough.png")
    black, other = rows_of(tmp_path / "run")
    assert black["count"] == black["low"] == 0 and black["high"] < 2
    assert black["empty"] and "shows nothing" in black["notes"][0]
    assert other["count"] > 1 and not other["empty"] and other["notes"] == []
