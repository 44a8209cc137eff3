"""What cannot be counted is one failed row with a reason; the rest goes on."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests.pipelines.crowd.count.made_models import write_film, write_scene
from tests.pipelines.crowd.count.test_run import rows_of, run
from tests.pipelines.crowd.made import encoded, noise


def truncated_jpeg(path: Path) -> None:
    whole = encoded(Image.fromarray(noise(200, 200)), "JPEG")
    path.write_bytes(whole[: len(whole) // 3])


def huge_png(path: Path) -> None:
    """A header that states 20,000 x 20,000 pixels, with hardly any behind it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(60_001)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


def cut_video(path: Path) -> None:
    whole = write_film(path.with_name("whole.avi"), frames=5).read_bytes()
    path.with_name("whole.avi").unlink()
    path.write_bytes(whole[:400])


BAD = {
    "zero.jpg": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text.jpg": (lambda path: path.write_text("no image"), "no image in a known format"),
    "cut.jpg": (truncated_jpeg, "cut short or damaged"),
    "huge.png": (huge_png, "20,000 x 20,000 pixels, and at most 100,000,000 are read"),
    "text.mp4": (lambda path: path.write_text("no video"), "no video in a known container"),
    "cut.avi": (cut_video, ""),
    "list.m3u8.mp4": (lambda path: path.write_text("#EXTM3U\n/etc/passwd"), "a list that names other files"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_file_is_one_failed_row(name: str, tmp_path: Path) -> None:
    make, words = BAD[name]
    write_scene(tmp_path / "in" / "good.png")
    make(tmp_path / "in" / name)
    summary = run(tmp_path / "run", tmp_path / "in")
    found = {Path(row["source"]).name: row for row in rows_of(tmp_path / "run")}
    assert found["good.png"]["status"] == "ok"
    assert found[name]["status"] == "failed" and words in found[name]["error"]
    assert found[name]["count"] is None and found[name]["frame"] is None
    assert not found[name]["error"].startswith(str(tmp_path))
    assert summary.counts == {"rows": 2, "ok": 1, "failed": 1, "skipped": 0}
    assert not (tmp_path / "run" / "maps" / f"{Path(name).stem}.npz").exists()


def test_of_an_animation_the_first_frame_is_counted_with_a_note(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(80, 90, seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    run(tmp_path / "run", tmp_path / "a.gif")
    (row,) = rows_of(tmp_path / "run")
    assert row["status"] == "ok" and "of which the first is read" in row["notes"][0]


def test_a_single_pixel_and_a_thin_line(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    Image.fromarray(noise(3, 700)).save(tmp_path / "thin.png")
    run(tmp_path / "run", tmp_path / "one.png", tmp_path / "thin.png", points=True)
    assert [row["status"] for row in rows_of(tmp_path / "run")] == ["ok", "ok"]


def test_a_zone_off_the_image_fails_that_image_and_says_which(tmp_path: Path) -> None:
    write_scene(tmp_path / "in" / "small.png", 60)
    write_scene(tmp_path / "in" / "large.png", 160)
    zone = {"units": "pixels", "zones": [{"name": "door", "polygon": [[100, 9], [150, 9], [150, 90]]}]}
    (tmp_path / "z.json").write_text(json.dumps(zone))
    run(tmp_path / "run", tmp_path / "in", zones=tmp_path / "z.json")
    found = {Path(row["source"]).name: row for row in rows_of(tmp_path / "run")}
    assert found["large.png"]["zones"]["door"] > 0
    assert found["small.png"]["status"] == "failed"
    assert "'door' lies off the image of 60 x 60 px" in found["small.png"]["error"]


def test_a_zone_that_reaches_beyond_the_image_is_noted(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.png", 60)
    zone = {"units": "pixels", "zones": [{"name": "door", "polygon": [[30, 9], [150, 9], [150, 50]]}]}
    (tmp_path / "z.json").write_text(json.dumps(zone))
    run(tmp_path / "run", tmp_path / "a.png", zones=tmp_path / "z.json")
    assert "reaches beyond the image" in rows_of(tmp_path / "run")[0]["notes"][0]


def test_a_video_that_ends_early_keeps_its_frames_and_says_so(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "walk.avi", frames=20, side=128).read_bytes()
    (tmp_path / "walk.avi").write_bytes(whole[: len(whole) * 2 // 3])
    summary = run(tmp_path / "run", tmp_path / "walk.avi")
    assert "may be cut short" in summary.notes[0]
    rows = rows_of(tmp_path / "run")
    assert 3 < sum(row["status"] == "ok" for row in rows) < 20
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "may be cut short" in record["videos"][0]["notes"][0]
    assert "may be cut short" in (tmp_path / "run" / "report.html").read_text()
