"""Polyps, their sizes, and the frames that show them. Free of torch.

`read_dataset` finds the polyps and recordings of a data set, `frames_of` the frames of one, `read_frame` and
`read_frames` read them.
"""

from .boxes import box_of, clipped
from .camera import read_camera
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
    "read_camera",
    "parse_size",
    "Size",
    "box_of",
    "clipped",
]
