"""Areas of an image with a name: how many people are in each, and how many per square metre. Free of
torch."""

from .files import read_zones
from .ground import Ground, homography_from_points, read_ground
from .mask import zone_mask
from .zone import Polygon, Zone

__all__ = [
    "Zone",
    "Polygon",
    "read_zones",
    "zone_mask",
    "Ground",
    "read_ground",
    "homography_from_points",
]
