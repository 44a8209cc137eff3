"""Scenes whose answers are known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipelines.polyp.render.camera import Camera, Pose
from pipelines.polyp.render.lesion import Kind, Lesion
from pipelines.polyp.render.sampling import Chart
from pipelines.polyp.render.scene import Pool, Scene
from pipelines.polyp.render.wall import Wall

AHEAD = Pose(np.zeros(3), np.eye(3))  # at the origin, along the tube


def tube(radius: float = 25.0) -> Wall:
    """A straight, smooth tube from z = -90 to 110 mm."""
    return Wall.of(np.full((101, 90), radius, np.float32), -90.0, 110.0, np.zeros((2, 2, 3)))


def ball(centre: tuple[float, float, float], radius: float, kind: Kind = "pedunculated") -> Lesion:
    """A rigid ball in the tube, without a stalk."""
    return Lesion(
        kind=kind,
        size=2 * radius,
        angle=0.0,
        z=centre[2],
        half=np.full(3, radius),
        lift=0.0,
        spin=0.0,
        flatness=2.0,
        radii=Chart.of(np.ones((1, 9, 16), np.float32), 0.0, np.pi),
        fillet=0.05,
        centre=np.array(centre),
        reach=radius,
        around=25.0,
        axes=np.eye(3),
    )


def plane(z: float) -> Scene:
    """A wall across the tube at `z`, as the surface of a liquid that fills what is behind it."""
    return Scene(tube(80.0), pool=Pool(np.array([0.0, 0.0, -1.0]), -z))


def eye(k1: float = 0.0, size: int = 128, focal: float = 110.0) -> Camera:
    return Camera(size, size, focal, focal, (size - 1) / 2, (size - 1) / 2, k1)


def everywhere(camera: Camera) -> np.ndarray:
    return np.ones((camera.height, camera.width), bool)


def row(values: list[float]) -> Tensor:
    return torch.tensor(values)
