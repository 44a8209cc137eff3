"""What every layout becomes. Origin, units and what counts as a size are settled in the readers, nowhere
else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.common.errors import InputError
from pipelines.common.media.record import Pixels

__all__ = [
    "PolypError",
    "Box",
    "Camera",
    "DepthFile",
    "FrameRef",
    "FrameListing",
    "Frames",
    "Listed",
    "Polyp",
    "Recording",
    "Dataset",
    "Frame",
    "FailedFrame",
]

# x0, y0, x1, y1 in px: 0, 0 is the outer corner of the first pixel, so a box of that pixel alone is 0, 0, 1,
# 1.
Box = tuple[float, float, float, float]
# What the readers of images and videos raise, so that one `except` holds for a frame and for its labels.
PolypError = InputError


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole with one radial term: x_d = x_u (1 + k1 r_u²) in normalised coordinates.

    fx, fy, cx, cy: px of an image of width x height px; cx, cy from the outer corner of the first pixel. k1
    is negative for a barrel. notes: what of a calibration was left out.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DepthFile:
    """An image of depths along the optical axis. mm: what one step of its numbers is worth; 0 is unknown."""

    path: Path
    mm: float


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Where a frame and what is known of it are; nothing is opened yet.

    name: unique in its polyp or recording. image: its file; or else video and number, the frame in the file
    from 0. seconds: since the start of the recording, if known. box: of the polyp in question, as labelled;
    others: boxes of other lesions in the frame. label_size: (width, height) in px that boxes and masks were
    made on, where the labels say it. mask: an image, the polyp is light. upright: the box is that of the
    image as it is shown, not of the pixels as they are stored before an EXIF turn.
    """

    name: str
    image: Path | None = None
    video: Path | None = None
    number: int | None = None
    seconds: float | None = None
    box: Box | None = None
    others: tuple[Box, ...] = ()
    label_size: tuple[int, int] | None = None
    mask: Path | None = None
    depth: DepthFile | None = None
    upright: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedFrame:
    """A frame whose image or labels cannot be read, and why."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class FrameListing:
    """Frames in order of time. failed: those whose labels cannot be read. notes: what is odd."""

    frames: tuple[FrameRef, ...]
    failed: tuple[FailedFrame, ...] = ()
    notes: tuple[str, ...] = ()


class Frames(Protocol):
    """Where the frames of a polyp or a recording are."""

    def find(self) -> FrameListing:
        """Open labels and list the frames. Raises PolypError if there is no way to."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """Frames that a layout names without opening anything."""

    frames: tuple[FrameRef, ...]
    notes: tuple[str, ...] = ()

    def find(self) -> FrameListing:
        """The frames, as they are."""
        return FrameListing(self.frames, notes=self.notes)


@dataclass(frozen=True, slots=True)
class Polyp:
    """A polyp and where its frames are.

    id: unique in the data set. patient, video: ids, empty if unknown. size_mm: the largest diameter, None if
    unknown. censored: size_mm is a lower bound. shape, site, histology: as the layout has them, or empty.
    """

    id: str
    frames: Frames
    patient: str = ""
    video: str = ""
    size_mm: float | None = None
    censored: bool = False
    shape: str = ""
    site: str = ""
    histology: str = ""
    split: str = ""
    camera: Camera | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole examination: all its frames, those without a lesion too. fps: frames per second, if known.

    In its frames `others` are all lesions, and `box` is None.
    """

    id: str
    frames: Frames
    patient: str = ""
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Polyps and recordings in the order of their ids, numbers in ids counted as numbers.

    layout: what the folder was recognised as; several are joined by a comma. notes: what is missing, left out
    or odd, in words for the user.
    """

    polyps: tuple[Polyp, ...]
    recordings: tuple[Recording, ...]
    layout: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame, upright.

    pixels: RGB uint8 (H, W, 3). mask: bool (H, W), True on the polyp, None without one. depth: float32 (H, W)
    in mm along the optical axis, NaN where unknown. box: in px of `pixels`, clipped to them; made of the mask
    where no box was labelled; None if nothing is there.
    """

    ref: FrameRef
    pixels: Pixels
    box: Box | None = None
    others: tuple[Box, ...] = ()
    mask: NDArray[np.bool_] | None = None
    depth: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])
