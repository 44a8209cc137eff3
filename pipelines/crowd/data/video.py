"""Videos, by the reader that all tasks share."""

from pipelines.common.media.video import Video, VideoFrame, is_video_name

__all__ = ["Video", "VideoFrame", "is_video_name"]
