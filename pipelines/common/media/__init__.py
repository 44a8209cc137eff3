"""Images and videos of every kind, upright in RGB, within a known amount of memory. Free of torch."""

from .images import image_size, is_image_name, read_image, read_values
from .record import Picture, Pixels, Points
from .video import Video, VideoFrame, is_video_name

__all__ = [
    "Picture",
    "Pixels",
    "Points",
    "read_image",
    "read_values",
    "image_size",
    "is_image_name",
    "Video",
    "VideoFrame",
    "is_video_name",
]
