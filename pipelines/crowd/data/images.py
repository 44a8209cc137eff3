"""Images, by the readers that all tasks share."""

from pipelines.common.media.images import image_size, is_image_name, read_image

__all__ = ["image_size", "is_image_name", "read_image"]
