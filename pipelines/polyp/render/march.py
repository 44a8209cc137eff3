"""Sphere tracing, first with cones of 4 x 4 pixels, then with a ray for each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.polyp.render.camera import Camera, Pose
from pipelines.polyp.render.scene import Scene
from pipelines.polyp.render.vectors import length

CELL = 4  # px
CONE_STEPS = 34
RAY_STEPS, PATIENT_STEPS = 80, 16
CLOSE_PX, LEAST_PX = 0.03, 0.35
NEAR_MM = 0.5
LEAP = 4.0
MOST_MM = 600.0
START_MM = 1.0  # nothing is nearer to the lens


@dataclass(frozen=True)
class Hits:
    """What each ray met. index: (N,) int64, pixels along the rows; far: (N,) mm along the ray; rays, points:
    (3, N), directions and hits in the world; footprint: (N,) mm that a pixel covers there."""

    index: Tensor
    far: Tensor
    rays: Tensor
    points: Tensor
    footprint: Tensor


def trace(scene: Scene, camera: Camera, pose: Pose, seen: NDArray[np.bool_]) -> Hits:
    """Follow the rays of all pixels that are `seen` (height, width) to the first surface."""
    rays = torch.from_numpy((pose.axes @ camera.rays()).astype(np.float32))
    place = torch.from_numpy(pose.place.astype(np.float32))[:, None]
    index = torch.from_numpy(np.flatnonzero(seen))
    start = _cones(scene, place, rays.view(3, camera.height, camera.width), seen).view(-1)[index]
    rays = rays[:, index]
    pixel = 1 / max(camera.fx, camera.fy)
    far = _follow(scene, place, rays, start, pixel)
    return Hits(index, far, rays, place + rays * far, far * pixel)


def _cones(scene: Scene, place: Tensor, rays: Tensor, seen: NDArray[np.bool_]) -> Tensor:
    """How far (height, width) each pixel's ray is free for certain: as far as the cone around its cell's
    is."""
    height, width = rays.shape[1:]
    rows, columns = -(-height // CELL), -(-width // CELL)
    at_row = (torch.arange(rows) * CELL + CELL // 2).clamp_max(height - 1)
    at_column = (torch.arange(columns) * CELL + CELL // 2).clamp_max(width - 1)
    middle = rays[:, at_row][:, :, at_column]
    cell_of = [torch.arange(count) // CELL for count in (height, width)]
    spread = length(rays - middle[:, cell_of[0]][:, :, cell_of[1]])
    wide = float(spread[torch.from_numpy(seen)].max())
    middle = middle.reshape(3, -1)
    far = torch.full((middle.shape[1],), START_MM)
    active = torch.arange(far.numel())
    for _ in range(CONE_STEPS):
        along = far[active]
        free = scene.free(place + middle[:, active] * along)
        step = free - along * wide
        far[active] = along + step.clamp_min(0) / (1 + wide)
        active = active[(step > 0.02) & (along < MOST_MM)]
        if not len(active):
            break
    return far.view(rows, columns)[cell_of[0]][:, cell_of[1]]


def _follow(scene: Scene, place: Tensor, rays: Tensor, far: Tensor, pixel: float) -> Tensor:
    """How far (N,) in mm each ray goes until it is within a small part of a pixel of a surface.

    Close to a surface the distance along a ray is nearly a line, so its root is taken from the last two
    places (the secant method) where that is not much further than the safe step. A ray that passes close by
    an edge would take ever shorter steps; after a while it takes no shorter ones than a part of a pixel,
    until it is past or inside.
    """
    done = far.clone()
    active, moving, along = torch.arange(far.numel()), rays, far
    last, step = torch.full_like(far, torch.inf), torch.zeros_like(far)
    for number in range(RAY_STEPS):
        free = scene.free(place + moving * along)
        fall = last - free
        root = step * free / torch.where(fall.abs() < 1e-9, torch.inf, fall)
        trusted = (free < NEAR_MM) & (root.abs() < LEAP * free.abs()) & (root * free > 0)
        step = torch.where(trusted, root, free)
        going = step.abs() > CLOSE_PX * pixel * along + 0.0005
        if number >= PATIENT_STEPS:
            going &= free > 0
            step = torch.where(going, step.clamp_min(0).maximum(LEAST_PX * pixel * along), step)
        last, along = free, along + step
        done[active] = along
        keep = (going & (along < MOST_MM)).nonzero()[:, 0]
        if len(keep) < 0.8 * len(active):
            active, along, last, step = active[keep], along[keep], last[keep], step[keep]
            moving = moving.index_select(1, keep)
        if not len(active):
            break
    return done
