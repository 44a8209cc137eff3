"""Polyps, their sizes, and the frames that show them. Free of torch.

`read_dataset` finds the polyps and recordings of a data set, `frames_of` the frames of one; `read_frame` and
`read_frames` read them. `find_field` finds what of a frame is picture, and not written around or over it.
`folds` and `hold_out` split by patient, `refuse_leaks` checks a split, and `survey` counts
what is there.
"""

from .boxes import box_of, clipped
from .camera import read_camera
from .circle import Field, cropped, find_field, typical, without_surroundings
from .dataset import read_dataset
from .frames import frames_of, read_frame, read_frames, without_labels
from .layouts import LAYOUTS
from .record import (
    Box,
    Camera,
    Dataset,
    DepthFile,
    FailedFrame,
    Frame,
    FrameListing,
    FrameRef,
    Frames,
    Listed,
    Polyp,
    PolypError,
    Recording,
)
from .sizes import Size, parse_size
from .splits import Fold, folds, groups_of, hold_out, refuse_leaks
from .survey import Survey, survey
from .text import find_text

__all__ = [
    "PolypError",
    "Polyp",
    "Recording",
    "Dataset",
    "Camera",
    "Box",
    "DepthFile",
    "FrameRef",
    "FrameListing",
    "Frames",
    "Listed",
    "Frame",
    "FailedFrame",
    "LAYOUTS",
    "read_dataset",
    "frames_of",
    "read_frame",
    "read_frames",
    "without_labels",
    "survey",
    "Survey",
    "read_camera",
    "parse_size",
    "Size",
    "Fold",
    "folds",
    "hold_out",
    "groups_of",
    "refuse_leaks",
    "Field",
    "find_field",
    "typical",
    "without_surroundings",
    "cropped",
    "find_text",
    "box_of",
    "clipped",
]
