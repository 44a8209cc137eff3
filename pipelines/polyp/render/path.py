"""Where the camera goes in a clip: near and far, straight on and aside, some frames blurred, some looking
away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from pipelines.polyp.render.camera import Floats, looking
from pipelines.polyp.render.frame import Shot
from pipelines.polyp.render.lesion import Lesion
from pipelines.polyp.render.optics import Optics
from pipelines.polyp.render.reach import held
from pipelines.polyp.render.scene import Scene
from pipelines.polyp.render.tool import ToolKind
from pipelines.polyp.render.wall import Wall

NEAREST, FURTHEST = 5.0, 60.0  # mm from the lens to the polyp's middle
CLEAR_MM = 3.0  # that the tip of the endoscope keeps from everything
LOOKED_AT, OFF_MM = 150, 0.25  # points around the polyp, and how far off its surface
SHOWN = 0.12  # part of them that is seen, or the polyp does not count as seen
TRIES = 6

View = Literal["in", "edge", "away"]


class NoPlaceError(Exception):
    """Nowhere near the polyp is there room for the endoscope."""


@dataclass(frozen=True)
class Planned:
    """One frame of a clip. view: what was meant; distance: mm from the lens to the polyp's middle; blurred:
    whether it is of poor quality on purpose."""

    shot: Shot
    view: View
    distance: float
    blurred: bool


def plan(
    rng: np.random.Generator, scene: Scene, optics: Optics, frames: int, tool: ToolKind | None
) -> list[Planned]:
    """A clip in which the polyp is seen in at least half of the frames, if that can be had. tool: the
    instrument that is held to the polyp in most of them. Raises NoPlaceError."""
    assert scene.lesion is not None
    points = _around(scene.lesion, scene.wall)
    best: list[Planned] = []
    most = -1
    for attempt in range(TRIES):
        hidden = 0.2 if attempt < TRIES // 2 else 0.0
        clip = _clip(rng, scene, optics, frames, tool, hidden)
        seen = sum(_shows(scene, optics, points, one) for one in clip if not one.blurred)
        if seen > most:
            best, most = clip, seen
        if most >= max(1, frames // 2):
            break
    return best


def _clip(
    rng: np.random.Generator,
    scene: Scene,
    optics: Optics,
    frames: int,
    tool: ToolKind | None,
    hidden: float,
) -> list[Planned]:
    lesion = scene.lesion
    assert lesion is not None
    nearest = max(NEAREST, lesion.reach + CLEAR_MM + 0.5)
    # A large polyp has no near views. Its far ones are drawn less often, or distance would give the size
    # away.
    bias = 0.75 + 0.9 * np.log(nearest / NEAREST)
    first = float(nearest * (FURTHEST / nearest) ** (rng.random() ** bias))
    last = float(np.clip(first * np.exp(rng.uniform(-1.1, 1.1)), nearest, FURTHEST))
    start = _direction(rng, scene, lesion, first, rng.random() < hidden)
    stop = start + rng.normal(0, 0.3, 3)
    half = optics.half_angle()
    off, towards = half * np.sqrt(rng.random()) * 0.8, rng.uniform(0, 2 * np.pi)
    roll = rng.uniform(0, 2 * np.pi)
    views = _views(rng, frames)
    turn, shade = rng.uniform(0, 2 * np.pi), int(rng.integers(60))
    if tool is not None:
        off, last = 0.5 * off, min(last, max(nearest, 30.0))
    clip = []
    for number, view in enumerate(views):
        part = number / max(frames - 1, 1)
        wanted = (1 - part) * start + part * stop
        distance = float(np.exp((1 - part) * np.log(first) + part * np.log(last) + rng.normal(0, 0.06)))
        distance = float(np.clip(distance, nearest, FURTHEST))
        place, distance = _place(rng, scene, lesion, wanted / np.linalg.norm(wanted), distance)
        roll += rng.normal(0, 0.08)
        towards += rng.normal(0, 0.25)
        off = float(np.clip(off + rng.normal(0, 0.08 * half), 0, 0.8 * half))
        wide = float(np.arcsin(min(lesion.reach / distance, 0.9)))
        angle = {"in": off, "edge": half * rng.uniform(0.8, 1.05), "away": 1.1 * half + 1.2 * wide + 0.1}[
            view
        ]
        pose = looking(place, lesion.centre, float(angle), float(towards), float(roll))
        out = None
        if tool is not None and view != "away" and rng.random() < 0.8:
            out = held(rng, scene, pose, optics.channel, tool, shade, turn)
        shot, blurred = _quality(rng, Shot(pose, out), optics.camera.height)
        clip.append(Planned(shot, view, distance, blurred))
    return clip


def _views(rng: np.random.Generator, frames: int) -> list[View]:
    """At most a quarter look away, a few have the polyp at the rim; a lone frame shows it."""
    away = int(rng.binomial(frames, 0.14))
    away = min(max(away, int(frames >= 6)), frames // 4)
    edge = min(int(rng.binomial(frames, 0.12)), frames // 4)
    counts: list[tuple[View, int]] = [("away", away), ("edge", edge), ("in", frames - away - edge)]
    views = [view for view, count in counts for _ in range(count)]
    return [views[place] for place in rng.permutation(frames)]


def _quality(rng: np.random.Generator, shot: Shot, height: int) -> tuple[Shot, bool]:
    """Blur as it comes, and in one frame of five so much that the frame is poor. Lengths go with the
    height."""
    unit = height / 384
    blurred = bool(rng.random() < 0.2)
    heading = rng.uniform(0, 2 * np.pi)
    length = unit * (rng.uniform(6, 22) if blurred and rng.random() < 0.6 else abs(rng.normal(0, 1.4)))
    smooth = unit * (rng.uniform(2.0, 5.0) if blurred and length < 6 * unit else abs(rng.normal(0, 0.3)))
    motion = (float(length * np.cos(heading)), float(length * np.sin(heading)))
    rough = float(np.exp(rng.uniform(np.log(0.03), np.log(0.08))))
    return replace(shot, motion=motion, defocus=float(smooth), rough=rough), blurred


def _direction(
    rng: np.random.Generator, scene: Scene, lesion: Lesion, distance: float, hidden: bool
) -> Floats:
    """From the polyp to where the camera starts: mostly before it in the tube, with or without a free
    view."""
    for shrink in 0.85 ** np.arange(12):
        tried = _units(rng, 400)
        reachable = tried[_free(scene, lesion, tried, shrink * distance)]
        if not len(reachable):
            continue
        before = reachable[:, 2] < 0.2
        reachable = reachable[before] if before.any() and rng.random() < 0.85 else reachable
        clear = np.array([_clear(scene, lesion, one, shrink * distance) for one in reachable[:24]])
        good = reachable[:24][clear != hidden]
        return np.asarray((good if len(good) else reachable)[0])
    return np.array([0.0, 0.0, -1.0])


def _place(
    rng: np.random.Generator, scene: Scene, lesion: Lesion, wanted: Floats, distance: float
) -> tuple[Floats, float]:
    """The free place (3,) nearest to the wanted direction, and its distance; closer if there is none. Raises
    NoPlaceError."""
    for shrink in 0.88 ** np.arange(14):
        spread = np.exp(rng.uniform(np.log(0.005), np.log(1.0), (300, 1)))
        tried = wanted + spread * rng.normal(size=(300, 3)) * (np.arange(300) > 0)[:, None]
        tried /= np.linalg.norm(tried, axis=1, keepdims=True)
        free = tried[_free(scene, lesion, tried, shrink * distance)]
        if len(free):
            best = free[np.argmax(free @ wanted)]
            return lesion.centre + shrink * distance * best, float(shrink * distance)
    raise NoPlaceError


def _free(scene: Scene, lesion: Lesion, units: Floats, distance: float) -> Floats:
    """Which directions (N, 3) lead to a place where there is room for the endoscope."""
    places = torch.from_numpy((lesion.centre + distance * units).T.astype(np.float32))
    return np.asarray(scene.distance(places).numpy() > CLEAR_MM)


def _clear(scene: Scene, lesion: Lesion, unit: Floats, distance: float) -> bool:
    """Whether nothing but the polyp lies between its middle and the place."""
    along = np.linspace(min(1.15 * lesion.reach + 0.5, 0.8 * distance), distance, 40)
    points = torch.from_numpy((lesion.centre[:, None] + unit[:, None] * along).astype(np.float32))
    return bool((scene.distance(points) > 0).all())


def _units(rng: np.random.Generator, count: int) -> Floats:
    units = rng.normal(size=(count, 3))
    found: Floats = units / np.linalg.norm(units, axis=1, keepdims=True)
    return found


def _shows(scene: Scene, optics: Optics, points: Floats, planned: Planned) -> bool:
    """Whether enough of the points (3, N) around the polyp are in the field with a free view."""
    shot, camera = planned.shot, optics.camera
    pixels = camera.project(shot.pose.to_camera(points))
    inside = np.all((pixels > -0.5) & (pixels < np.array([[camera.width], [camera.height]]) - 0.5), axis=0)
    column, row = np.rint(pixels[:, inside]).astype(int)
    ahead = points[:, inside][:, optics.seen[row, column]]
    part = np.linspace(0.08, 1, 40)
    ways = shot.pose.place[:, None, None] + (ahead - shot.pose.place[:, None])[..., None] * part
    room = replace(scene, tool=shot.tool).distance(torch.from_numpy(ways.reshape(3, -1).astype(np.float32)))
    free = (room.view(-1, len(part)) > 0).all(dim=1)
    return bool(int(free.sum()) >= SHOWN * points.shape[1])


def _around(lesion: Lesion, wall: Wall) -> Floats:
    """Points (3, N) just off the polyp's surface."""
    surface = lesion.surface(wall)
    surface = surface[:: max(len(surface) // LOOKED_AT, 1)]
    away = surface - lesion.centre
    away *= 1 + OFF_MM / np.linalg.norm(away, axis=1, keepdims=True)
    up = -np.array([np.cos(lesion.angle), np.sin(lesion.angle), 0.0])  # across the tube, to its axis
    lifted: Floats = (lesion.centre + away + OFF_MM * up).T
    return lifted
