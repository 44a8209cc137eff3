"""What every format becomes. Orientation, origin and units are settled in the readers and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.common.errors import InputError
from pipelines.common.media.record import Picture, Pixels, Points

__all__ = [
    "CrowdError",
    "Picture",
    "Pixels",
    "Points",
    "Frame",
    "Marks",
    "Case",
    "Dataset",
    "Heads",
    "LabelledImage",
    "FailedCase",
]

Frame = Literal["upright", "stored"]
# What the readers of images and videos raise, so that one `except` holds for a file and for its labels.
CrowdError = InputError


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Heads as a label file has them, before the image is known.

    points: float64 (N, 2), x to the right and y DOWN in px; 0, 0 is the outer corner of the first pixel,
        whose centre is 0.5, 0.5. If `from_bottom`, y runs up from the lower edge instead.
    frame: whether they refer to the upright image or to the pixels as they are stored, before an EXIF turn.
    size: (width, height) in px that the labels were made on, where the file says it.
    """

    points: Points
    frame: Frame = "stored"
    from_bottom: bool = False
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """An image of a data set and where its heads are listed; nothing is opened yet.

    labels: the file with the heads of this image; None where they came from a list, or if there are none.
    marks: heads that a list of many images gave; None otherwise. A case with neither is unlabelled.
    format: which reader `labels` needs. split: `train`, `val`, `test`, or empty if the layout says none.
    """

    name: str
    image: Path
    labels: Path | None = None
    format: str = ""
    split: str = ""
    marks: Marks | None = None

    @property
    def labelled(self) -> bool:
        return self.labels is not None or self.marks is not None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cases in the order of their names, numbers in names counted as numbers.

    layout: what the folder was recognised as; several are joined by a comma.
    perspective: a perspective map that holds for all images, where the layout has one (Beijing-BRT).
    notes: what is missing, left out or odd, in words for the user.
    """

    cases: tuple[Case, ...]
    layout: str
    notes: tuple[str, ...] = ()
    perspective: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Heads of one image, upright and in frame.

    points: float64 (N, 2), x and y in px of the image as it was read; 0, 0 is the outer corner of the first
        pixel and width, height that of the last, so pixel (column i, row j) holds i <= x < i + 1.
    out_of_frame: how many points of the file were left out because they lie outside the image.
    """

    points: Points
    out_of_frame: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image with its heads. heads: None if the case is unlabelled."""

    case: Case
    picture: Picture
    heads: Heads | None


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A case whose image or labels cannot be read, and why."""

    case: Case
    error: str
