"""Which places a lamp beside the lens does not reach, found from the depth that the lens sees.

A place lies in shadow where a step of its way to the lamp passes behind what the camera sees there. What the
camera does not see throws no shadow.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipelines.polyp.render.camera import Camera, Pose
from pipelines.polyp.render.filters import Image, blur, stretched
from pipelines.polyp.render.march import Hits
from pipelines.polyp.render.vectors import column, length

CELL = 2  # px: shadows are soft, so every other pixel will do
STEPS = tuple((0.02 * 1.45 ** np.arange(10)).tolist())  # parts of the way to the lamp
SLACK, SLACK_MM = 0.012, 0.12  # part of the distance and mm: nearer behind a surface is the surface itself
THICK_MM = 9.0  # what lies further behind than that may see the lamp on the far side


def lit_parts(
    camera: Camera, pose: Pose, hits: Hits, offsets: tuple[tuple[float, float], ...]
) -> list[Tensor]:
    """For each lamp, at (x, y) mm from the lens, what part (N,) of it each hit sees, 0 to 1."""
    rows, columns = -(-camera.height // CELL), -(-camera.width // CELL)
    at = torch.full((camera.height * camera.width,), -1)
    at[hits.index] = torch.arange(hits.index.numel())
    at = at.view(camera.height, camera.width)[::CELL, ::CELL].reshape(-1)
    cells = (at >= 0).nonzero()[:, 0]
    mine = at[cells]
    far = torch.zeros(rows * columns)
    far[cells] = hits.far[mine]
    axes = torch.as_tensor(pose.axes.T, dtype=hits.points.dtype)
    points = axes @ (hits.points[:, mine] - column(pose.place, hits.points))
    parts = []
    for x, y in offsets:
        lamp = torch.tensor([[x], [y], [0.0]])
        dark = torch.zeros(points.shape[1], dtype=torch.bool)
        for part in STEPS:
            place = points + part * (lamp - points)
            behind = length(place) - _seen_at(camera, far, place, columns)
            dark |= (behind > SLACK * hits.far[mine] + SLACK_MM) & (behind < THICK_MM)
        parts.append(_spread(camera, cells, dark, rows, columns).reshape(-1)[hits.index])
    return parts


def _seen_at(camera: Camera, far: Tensor, place: Tensor, columns: int) -> Tensor:
    """How far (M,) the camera sees towards places (3, M) in its axes; without end where it sees nothing."""
    x, y = place[0] / place[2], place[1] / place[2]
    bent = 1 + camera.k1 * (x * x + y * y)
    column_at = ((camera.fx * x * bent + camera.cx) / CELL).round().clamp(0, columns - 1)
    row_at = ((camera.fy * y * bent + camera.cy) / CELL).round().clamp(0, far.numel() // columns - 1)
    found = far[(row_at * columns + column_at).long()]
    return torch.where(found > 0, found, torch.inf)


def _spread(camera: Camera, cells: Tensor, dark: Tensor, rows: int, columns: int) -> Tensor:
    image: Image = np.ones(rows * columns, np.float32)
    image[cells.numpy()] = 1 - dark.numpy()
    soft = blur(image.reshape(rows, columns), 1.2)
    return torch.from_numpy(stretched(soft, camera.width, camera.height))
