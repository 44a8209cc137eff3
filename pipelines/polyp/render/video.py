"""One video: a polyp, the wall it sits on, an endoscope and a path, all from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch

from pipelines.polyp.render.anatomy import draw_lesion, draw_wall
from pipelines.polyp.render.frame import Frame, render
from pipelines.polyp.render.lesion import Kind, Lesion
from pipelines.polyp.render.optics import Optics, draw_optics
from pipelines.polyp.render.path import NoPlaceError, Planned, plan
from pipelines.polyp.render.scene import LESION, WALL, Pool, Scene
from pipelines.polyp.render.skin import Skin, draw_skin
from pipelines.polyp.render.styles import STYLES
from pipelines.polyp.render.tool import ToolKind
from pipelines.polyp.render.wall import Wall

CLASSES = ((1.0, 5.0), (5.0, 10.0), (10.0, 25.0))  # mm: up to 5, 6 to 9, from 10
WITH_TOOL, WITH_POOL = 0.25, 0.12
SMALLEST_ON_STALK = 4.0  # mm
SCENES = 10  # that are drawn, at most, until one has room for the endoscope
FEWEST_PX = 10  # of the polyp in a frame of 384 rows, or it is not labelled


@dataclass(frozen=True)
class Video:
    """What is filmed and how. seeds: what the noise of the frames comes from."""

    scene: Scene
    skin: Skin
    optics: Optics
    clip: tuple[Planned, ...]
    seeds: tuple[int, ...]

    @property
    def lesion(self) -> Lesion:
        assert self.scene.lesion is not None
        return self.scene.lesion

    def frames(self) -> Iterator[Frame]:
        """Render one after the other. A polyp of which next to nothing shows is not labelled."""
        seen = self.optics.seen
        for number, one in enumerate(self.clip):
            rng = np.random.default_rng([*self.seeds, 2, number])
            optics = self.optics
            found = render(
                rng, self.scene, self.skin, optics.camera, seen, optics.lamps, optics.sensor, one.shot
            )
            label = found.label
            if found.mask.sum() < FEWEST_PX * (label.shape[0] / 384) ** 2:
                label = np.where(label == LESION, WALL, label).astype(np.uint8)
            yield replace(found, image=optics.framed(found.image), label=label)


def size_of(seed: int, number: int) -> float:
    """mm of the polyp `number`: every three in a row have one of each class, spread evenly by the
    logarithm."""
    order = np.random.default_rng([seed, 0, number // 3]).permutation(3)
    low, high = CLASSES[int(order[number % 3])]
    rng = np.random.default_rng([seed, 1, number])
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 2)


def draw_kind(rng: np.random.Generator, size: float) -> Kind:
    """Any kind that a polyp of `size` mm may have."""
    kinds: list[Kind] = [
        kind for kind in get_args(Kind) if kind != "pedunculated" or size >= SMALLEST_ON_STALK
    ]
    return kinds[int(rng.integers(len(kinds)))]


def draw_video(seed: int, number: int, frames: int, style: str, size: int, one_camera: bool) -> Video:
    """The video `number` of the data set `seed`. size: px, height of the frames."""
    rng = np.random.default_rng([seed, 2, number, 0])
    for _ in range(SCENES):
        try:
            return _draw(rng, seed, number, frames, style, size, one_camera)
        except NoPlaceError:  # a scene like few: the next one is drawn
            continue
    raise RuntimeError(f"video {number} of the seed {seed}: {SCENES} scenes had no room for the endoscope")


def _draw(
    rng: np.random.Generator, seed: int, number: int, frames: int, style: str, size: int, one_camera: bool
) -> Video:
    look = STYLES[style]
    seeds = (seed, 2, number)
    lens = np.random.default_rng([seed, 3] if one_camera else [*seeds, 1])
    true = size_of(seed, number)
    kind = draw_kind(rng, true)
    angle = float(rng.uniform(-np.pi, np.pi))
    wall = draw_wall(rng, look, true, angle)
    lesion = draw_lesion(rng, look, wall, kind, true, angle)
    scene = Scene(wall, lesion, pool=_draw_pool(rng, lesion, wall) if rng.random() < WITH_POOL else None)
    tools = get_args(ToolKind)
    tool: ToolKind | None = tools[int(rng.integers(len(tools)))] if rng.random() < WITH_TOOL else None
    skin = draw_skin(rng, look, lesion, lesion.around)
    optics = draw_optics(rng, look, size, lens)
    return Video(scene, skin, optics, tuple(plan(rng, scene, optics, frames, tool)), seeds)


def _draw_pool(rng: np.random.Generator, lesion: Lesion, wall: Wall) -> Pool:
    """Liquid on the side of the tube that is down, below the polyp."""
    down = lesion.angle + rng.uniform(0.5, 1.5) * np.pi
    up = -np.array([np.cos(down), np.sin(down), rng.uniform(-0.2, 0.2)])
    up /= np.linalg.norm(up)
    middle = np.array([float(value) for value in (*wall.axis(torch.zeros(1)), 0.0)])
    level = float(up @ middle) - rng.uniform(0.65, 0.95) * lesion.around
    return Pool(up, min(level, float(up @ lesion.centre) - lesion.bound - 0.5))
