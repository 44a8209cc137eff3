"""One frame: the scene through the camera, with the truth beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.polyp.render.camera import Camera, Pose
from pipelines.polyp.render.light import Lamps, lit
from pipelines.polyp.render.march import trace
from pipelines.polyp.render.scene import LESION, Scene
from pipelines.polyp.render.sensor import Sensor, develop
from pipelines.polyp.render.skin import Skin
from pipelines.polyp.render.surface import look
from pipelines.polyp.render.tool import Tool

NORMAL_PX = 0.7  # normals are taken over this part of a pixel


@dataclass(frozen=True)
class Frame:
    """image: uint8 (height, width, 3), red first; depth: float32 (height, width), mm along the optical axis,
    0 where nothing is seen; label: uint8 (height, width), 255 where nothing is seen, else WALL, LESION,
    ..."""

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    label: NDArray[np.uint8]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where the polyp is seen (height, width)."""
        return np.asarray(self.label == LESION)


@dataclass(frozen=True)
class Shot:
    """What of a frame is its own. tool: where the instrument is, if it is out; motion: px in x and y;
    defocus: px; rough: slopes of the wet film."""

    pose: Pose
    tool: Tool | None = None
    motion: tuple[float, float] = (0.0, 0.0)
    defocus: float = 0.0
    rough: float = 0.045


def truth(
    scene: Scene, camera: Camera, shot: Shot, seen: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Depth and label of `Frame`, without the picture."""
    scene = replace(scene, tool=shot.tool)
    with torch.inference_mode():
        hits = trace(scene, camera, shot.pose, seen)
        label = scene.touch(hits.points).label
    return _maps(camera, shot.pose, hits.index.numpy(), hits.points.numpy(), label.numpy())


def render(
    rng: np.random.Generator,
    scene: Scene,
    skin: Skin,
    camera: Camera,
    seen: NDArray[np.bool_],
    lamps: Lamps,
    sensor: Sensor,
    shot: Shot,
) -> Frame:
    """The frame; `seen` (height, width) is the field that the optics leave open."""
    scene = replace(scene, tool=shot.tool)
    with torch.inference_mode():
        hits = trace(scene, camera, shot.pose, seen)
        touch = scene.touch(hits.points)
        normals = scene.normals(hits.points, (NORMAL_PX * hits.footprint).clamp(0.04, 0.4))
        surface = look(scene, skin, hits, touch, normals)
        light = lit(camera, shot.pose, lamps, hits, surface, shot.rough)
    index = hits.index.numpy()
    depth, label = _maps(camera, shot.pose, index, hits.points.numpy(), touch.label.numpy())
    image = develop(rng, sensor, camera, light, depth, seen, shot.motion, shot.defocus)
    return Frame(image * seen[..., None].astype(np.uint8), depth, label)


def _maps(
    camera: Camera,
    pose: Pose,
    index: NDArray[np.int64],
    points: NDArray[np.float32],
    label: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    depth = np.zeros(camera.height * camera.width, np.float32)
    depth[index] = pose.axes[:, 2].astype(np.float32) @ (points - pose.place[:, None].astype(np.float32))
    labels = np.full(depth.shape, 255, np.uint8)
    labels[index] = label
    shape = (camera.height, camera.width)
    return depth.reshape(shape), labels.reshape(shape)
