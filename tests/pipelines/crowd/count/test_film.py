"""The video with the counts: whole, or absent with the reason."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from pipelines.crowd.count.film import film
from pipelines.crowd.data import Pixels, Video


def pictures(count: int = 30) -> list[Pixels]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (96, 96, 3), dtype=np.uint8) for _ in range(count)]


def write(path: Path) -> None:
    with film(path, 10.0) as add:
        for picture in pictures():
            add(picture)


def test_all_frames_are_there(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    with Video(tmp_path / "a.mp4") as found:
        assert len(list(found.frames())) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("size", [4_096, 16_384, 65_536])
def test_a_video_that_finds_no_space_is_an_error_and_leaves_nothing(size: int, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)  # fails as a full disk does
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path / "a.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
