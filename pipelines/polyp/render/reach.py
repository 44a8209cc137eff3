"""Where an instrument goes: from the channel beside the lens to a place beside the polyp."""

from __future__ import annotations

import numpy as np
import torch

from pipelines.polyp.render.camera import Floats, Pose
from pipelines.polyp.render.scene import Scene
from pipelines.polyp.render.tool import WIDTH_MM, Tool, ToolKind, make_tool

LONGEST_MM = 45.0  # that the shaft is pushed out
STEEPEST = np.radians(38)  # between the shaft and the optical axis
TRIED = 60


def held(
    rng: np.random.Generator,
    scene: Scene,
    pose: Pose,
    channel: tuple[float, float],
    kind: ToolKind,
    shade: int,
    turn: float,
) -> Tool | None:
    """An instrument whose tip is beside the polyp and off the wall; None if it cannot get there.

    channel: (x, y) mm from the lens in camera axes; shade: which
    of its colours; turn: radians of what it carries about its shaft.
    """
    lesion = scene.lesion
    assert lesion is not None
    start = pose.to_world(np.array([[channel[0]], [channel[1]], [-4.0]]))[:, 0]
    sides = rng.normal(size=(TRIED, 3))
    sides -= (sides @ pose.axes[:, 2:]) * pose.axes[:, 2] * rng.uniform(0.3, 1.0, (TRIED, 1))
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    tips = lesion.centre + (lesion.reach + rng.uniform(1.0, 4.0, (TRIED, 1))) * sides
    away = tips - start
    far = np.linalg.norm(away, axis=1)
    fits = (far < LONGEST_MM) & (away @ pose.axes[:, 2] > np.cos(STEEPEST) * far)
    for tip in tips[fits]:
        if _is_free(scene, start, tip):
            return make_tool(kind, shade, start, tip, turn)
    return None


def _is_free(scene: Scene, start: Floats, tip: Floats) -> bool:
    """Whether the shaft touches nothing from the lens to its tip."""
    part = np.linspace(0.15, 1, 24)
    points = start[:, None] + (tip - start)[:, None] * part
    room = scene.distance(torch.from_numpy(points.astype(np.float32)))
    return bool((room > 0.55 * WIDTH_MM).all())
