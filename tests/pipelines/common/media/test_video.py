"""Videos give their frames one at a time, with times, or say why not."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.common.errors import InputError
from pipelines.common.media import Video, is_video_name
from tests.pipelines.common.media.made import write_image

FPS = 10.0
COUNT = 30
CODECS = {".avi": "MJPG", ".mp4": "mp4v"}


def write_video(path: Path, count: int = COUNT, height: int = 48, width: int = 64) -> Path:
    """Frames of one gray each, that grows by 8 from frame to frame, with a red left half."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODECS[path.suffix]), FPS, (width, height))
    assert writer.isOpened()
    for number in range(count):
        frame = np.full((height, width, 3), 8 * number % 256, np.uint8)
        frame[:, : width // 2, 2] = 255
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize("ending", CODECS)
def test_every_frame_comes_with_its_number_and_time(tmp_path: Path, ending: str) -> None:
    with Video(write_video(tmp_path / f"a{ending}")) as video:
        assert (video.width, video.height, video.fps, video.frame_count) == (64, 48, FPS, COUNT)
        frames = list(video.frames())
        assert video.notes == []
    assert [one.number for one in frames] == list(range(COUNT))
    np.testing.assert_allclose([one.seconds for one in frames], np.arange(COUNT) / FPS, atol=1e-6)
    for one in frames:
        assert one.pixels.shape == (48, 64, 3) and one.pixels.dtype == np.uint8
        np.testing.assert_allclose(one.pixels[:, 40:].mean(axis=(0, 1)), 8 * one.number, atol=6)
        assert one.pixels[:, :24, 0].mean() > 235  # red comes first


def test_a_stride_takes_every_nth_frame(tmp_path: Path) -> None:
    with Video(write_video(tmp_path / "a.avi")) as video:
        frames = list(video.frames(stride=7))
    assert [one.number for one in frames] == [0, 7, 14, 21, 28]
    np.testing.assert_allclose([one.seconds for one in frames], [0, 0.7, 1.4, 2.1, 2.8], atol=1e-6)


@pytest.mark.parametrize("ending", CODECS)
def test_one_frame_is_found_by_its_number(tmp_path: Path, ending: str) -> None:
    path = write_video(tmp_path / f"a{ending}")
    with Video(path) as video:
        frames = [one.pixels for one in video.frames()]
    with Video(path) as video:
        for number in (23, 4, 0, 4, COUNT - 1):
            np.testing.assert_array_equal(video.frame(number), frames[number])
        beyond = video.frame(COUNT + 20)  # some files give their last one again
        assert beyond is None or np.array_equal(beyond, frames[-1])


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    """Phones store how they were held as a matrix in the track's header: here a quarter turn to the right."""
    path = write_video(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    fixed = 1 << 16
    level = b"".join(one.to_bytes(4, "big") for one in (fixed, 0, 0, 0, fixed, 0, 0, 0, 1 << 30))
    turned = b"".join(
        one.to_bytes(4, "big", signed=True) for one in (0, fixed, 0, -fixed, 0, 0, 0, 0, 1 << 30)
    )
    place = content.index(level, content.index(b"tkhd"))
    content[place : place + len(level)] = turned
    path.write_bytes(content)
    with Video(path) as video:
        assert (video.width, video.height) == (48, 64)
        frame = next(video.frames())
    # The red half was on the left; turned to the right it is above.
    assert frame.pixels[:24, :, 0].mean() > 235 > frame.pixels[40:, :, 0].mean()


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", count=60, height=240, width=320)
    with Video(path) as video:
        tracemalloc.start()
        try:
            assert sum(1 for _ in video.frames()) == 60
            assert tracemalloc.get_traced_memory()[1] < 6 * 240 * 320 * 3
        finally:
            tracemalloc.stop()


def test_a_video_that_is_cut_short_gives_what_it_has_and_a_note(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with Video(path) as video:
        frames = list(video.frames())
        assert 0 < len(frames) < COUNT
        assert "cut short" in video.notes[-1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"no video at all\n" * 30, "no video in a known container"),
        ("noise.avi", np.random.default_rng(0).bytes(5_000), "no video in a known container"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nother.ts\n", "names other files"),
        ("concat.mp4", b"ffconcat version 1.0\nfile other.mp4\n", "names other files"),
    ],
)
def test_what_is_no_video_says_so(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        Video(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_codec_that_is_not_known_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZ9"))
    with pytest.raises(InputError, match="can be decoded"):
        Video(path)


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        Video(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        Video(tmp_path / "a.mp4")


def test_frames_above_the_limit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"64 x 48 pixels.*at most 1,000"):
        Video(write_video(tmp_path / "a.avi", count=2), max_pixels=1_000)


def test_a_pattern_of_names_is_no_video(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"a_{number}.jpg")
    with pytest.raises(InputError, match="no such file"):
        Video(tmp_path / "a_%d.jpg")


def test_a_stride_below_one_is_refused(tmp_path: Path) -> None:
    with Video(write_video(tmp_path / "a.avi", count=2)) as video, pytest.raises(InputError, match="stride"):
        next(video.frames(stride=0))


def test_names_of_videos() -> None:
    assert is_video_name(Path("a.MP4")) and not is_video_name(Path("a.jpg"))
