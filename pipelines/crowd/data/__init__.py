"""Images, videos and the heads that people marked in them. Free of torch.

`find_inputs` finds images and videos, `read_image` gives one image upright in RGB, `Video` the frames of a
video. `read_dataset` finds the cases of a labelled data set, `read_case` reads one, and `survey` says what
the labels hold.
"""

from .dataset import Survey, read_case, read_cases, read_dataset, read_heads, survey
from .images import image_size, is_image_name, read_image
from .inputs import InputFile, SkippedFile, find_inputs
from .layouts import LAYOUTS
from .lists import write_csv
from .perspective import read_perspective
from .placing import in_frame
from .record import (
    Case,
    CrowdError,
    Dataset,
    FailedCase,
    Heads,
    LabelledImage,
    Picture,
    Pixels,
    Points,
)
from .video import Video, VideoFrame, is_video_name

__all__ = [
    "CrowdError",
    "Picture",
    "Pixels",
    "Points",
    "find_inputs",
    "InputFile",
    "SkippedFile",
    "read_image",
    "image_size",
    "is_image_name",
    "Video",
    "VideoFrame",
    "is_video_name",
    "Case",
    "Dataset",
    "Heads",
    "LabelledImage",
    "FailedCase",
    "LAYOUTS",
    "read_dataset",
    "read_case",
    "read_cases",
    "read_heads",
    "Survey",
    "survey",
    "read_perspective",
    "write_csv",
    "in_frame",
]
