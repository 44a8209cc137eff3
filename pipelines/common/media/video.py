"""Frames of a video file, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import InputError

from . import limits
from .record import Pixels

# FFmpeg writes of damaged files to standard error by itself; what matters is in the errors raised here.
# OpenCV looks at this when it opens the first video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of what is no video

ENDINGS: Final = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"),
    *(".ts", ".wmv", ".flv", ".3gp", ".mjpeg"),
)
# FFmpeg would open the files and addresses that such a list names.
_LISTS: Final = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]")
MAX_SKIPPED: Final = 1_000  # frames in a row that cannot be decoded, before the rest is given up


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """pixels: RGB uint8 (H, W, 3), upright. number: of the frame in the file, from 0. seconds: its time."""

    pixels: Pixels
    number: int
    seconds: float


class Video:
    """A video file that is open; a context manager.

    width, height: of a frame in px, upright. fps: frames per second. frame_count: what the file states, which
    may be wrong; None if it states none. notes: grows while frames are read, in words for the user.

    Raises InputError with the path and the reason if no frame can be decoded, as with an unknown codec.
    """

    def __init__(self, path: str | Path, *, max_pixels: int = limits.MAX_PIXELS) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        self._max_pixels = max_pixels
        self._check_file()
        # The FFmpeg part alone: others take names of files for patterns of names, or for programs to run.
        self._capture = cv2.VideoCapture(str(self.path.resolve()), cv2.CAP_FFMPEG)
        try:
            if not self._capture.isOpened():
                raise self._error("it is no video in a known container, or none that can be decoded here")
            self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
            width, height = (
                int(self._capture.get(one)) for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
            )
            if width < 1 or height < 1:
                raise self._error("it states no size of its frames")
            if width * height > max_pixels:
                raise self._error(limits.too_many_pixels(width, height, max_pixels))
            if not self._capture.grab():
                raise self._error(f"no frame of it can be decoded{self._codec()}")
            done, first = self._capture.retrieve()
            if not done or first is None:
                raise self._error(f"no frame of it can be decoded{self._codec()}")
        except InputError:
            self.close()
            raise
        self._first: NDArray[Any] | None = first
        self.height, self.width = int(first.shape[0]), int(first.shape[1])
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if np.isfinite(fps) and 0 < fps <= 1000 else 25.0
        if self.fps != fps:
            self.notes.append("the file states no frame rate; 25 frames per second are assumed")
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_count = int(count) if np.isfinite(count) and 0 < count < 2**31 else None

    def frames(self, stride: int = 1) -> Iterator[VideoFrame]:
        """Every `stride`-th frame from the first one on; can be gone through once.

        Only one frame is held at a time, and frames between are not converted. Times come from the file;
        where they do not grow from frame to frame, the number over the frame rate is taken.
        """
        if stride < 1:
            raise InputError(f"the stride must be 1 or more, not {stride}")
        if self._first is None:
            raise RuntimeError("the frames of a video can be gone through once; open it again")
        first, self._first = self._first, None
        begin = self._milliseconds()
        yield VideoFrame(self._rgb(first), 0, 0.0)
        number, last, undecoded = 0, 0.0, 0
        while self._capture.grab():
            number += 1
            if number % stride:
                continue
            done, frame = self._capture.retrieve()
            if not done or frame is None:
                undecoded += 1
                if undecoded > MAX_SKIPPED:
                    break
                continue
            seconds = (self._milliseconds() - begin) / 1000
            if not seconds > last:
                seconds = max(number / self.fps, last)
            last = seconds
            yield VideoFrame(self._rgb(frame), number, seconds)
        if undecoded:
            self.notes.append(f"{undecoded} frames cannot be decoded and were left out")
        if self.frame_count is not None and number + 1 < self.frame_count:
            self.notes.append(
                f"the file states {self.frame_count} frames and ends after {number + 1}: it may be cut short"
            )

    def frame(self, number: int) -> Pixels | None:
        """RGB uint8 (H, W, 3) of one frame by its number, without going through those before it; None if that
        cannot be done.

        By the file's own index, which in files with odd times leads to a frame nearby: compare what comes
        with what is known of the frame. May be asked again, and ends what `frames` goes through.
        """
        self._first = None
        if not self._capture.set(cv2.CAP_PROP_POS_FRAMES, float(number)) or not self._capture.grab():
            return None
        done, frame = self._capture.retrieve()
        return self._rgb(frame) if done and frame is not None else None

    def close(self) -> None:
        """Let go of the file; may be called more than once."""
        self._capture.release()

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_file(self) -> None:
        try:
            with limits.open_file(self.path) as stream:
                head = stream.read(512)
        except InputError as error:
            raise self._error(str(error)) from error
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_LISTS):
            raise self._error("it is a list that names other files, not a video")

    def _rgb(self, frame: NDArray[Any]) -> Pixels:
        if frame.ndim != 3 or frame.shape[0] * frame.shape[1] > self._max_pixels:
            raise self._error(f"a frame has the shape {frame.shape}")
        return np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def _milliseconds(self) -> float:
        found = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return found if np.isfinite(found) else 0.0

    def _codec(self) -> str:
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        letters = code.to_bytes(4, "little", signed=False).decode("ascii", "replace") if code > 0 else ""
        return f" (its codec is {letters!r})" if letters.isprintable() and letters.strip() else ""

    def _error(self, reason: str) -> InputError:
        return InputError(f"{self.path}: {reason}")


def is_video_name(path: Path) -> bool:
    """Whether a file's name ends as that of a video."""
    return path.suffix.lower() in ENDINGS
