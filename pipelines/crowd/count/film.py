"""A counted video, drawn: pictures of some frames, and the whole video if it is asked for.

The video is read a second time for it, and the maps come from the run folder. So a run that was stopped goes
on where it was, though no video file can be continued.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from pipelines.common.files import sync_folder
from pipelines.crowd.data.record import CrowdError, Pixels

SHOWN: Final = 12  # frames of a video that the report shows
# VP9 plays in browsers; MPEG-4 Part 2, which every build of OpenCV writes, in most players.
CODECS: Final = ("vp09", "mp4v")

BLOCK: Final = 2**16  # bytes

Write = Callable[[Pixels], None]


def frames_to_show(counts: Mapping[int, float], most: int = SHOWN) -> set[int]:
    """Frames for the report, of those counted: the first, the last, the fullest, others between them."""
    if len(counts) <= most:
        return set(counts)
    numbers = sorted(counts)
    places = np.linspace(0, len(numbers) - 1, most - 1).round().astype(int)
    return {numbers[place] for place in places.tolist()} | {fullest(counts)}


def fullest(counts: Mapping[int, float]) -> int:
    """The frame with the most people; of equals the first."""
    return max(sorted(counts), key=lambda number: counts[number])


@contextmanager
def film(path: Path, fps: float) -> Iterator[Write]:
    """A function that adds a frame, RGB uint8 (H, W, 3), to a new `.mp4`, which is whole or absent.

    All frames have the size of the first. Raises CrowdError if no video can be written here, and OSError if
    there is no space for it.
    """
    temporary = path.with_name(f".{path.stem}.new-{os.getpid()}{path.suffix}")
    writers: list[cv2.VideoWriter] = []
    frames = 0

    def add(picture: Pixels) -> None:
        nonlocal frames
        # Colours are stored at half the resolution, so sides are even.
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        if not writers:
            writers.append(_writer(temporary, fps, (width, height)))
        writers[0].write(np.ascontiguousarray(picture[:height, :width, ::-1]))
        frames += 1

    try:
        yield add
        for one in writers:
            one.release()
        if writers:
            _check_whole(temporary, frames)
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        for one in writers:
            one.release()
        temporary.unlink(missing_ok=True)


def _check_whole(path: Path, frames: int) -> None:
    """Raise OSError or CrowdError unless a video holds its frames: OpenCV says nothing of a full disk."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
    capture.release()
    with path.open("ab") as file:
        if found != frames:
            file.write(bytes(BLOCK))  # fails for the same reason, and says it
        file.flush()
        os.fsync(file.fileno())
    if found != frames:
        raise CrowdError("the video with the counts could not be written to its end")


def _writer(path: Path, fps: float, size: tuple[int, int]) -> cv2.VideoWriter:
    if min(size) < 2:
        raise CrowdError("a frame is too small to be written as a video")
    for codec in CODECS:
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size)
        if writer.isOpened():
            return writer
        writer.release()
    raise CrowdError("no video can be written here: OpenCV has neither VP9 nor MPEG-4")
