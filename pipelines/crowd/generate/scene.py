"""A scene: a place, the people in it, and the photograph of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.common.media.record import Pixels
from pipelines.crowd.generate.camera import Camera, Floats
from pipelines.crowd.generate.people import Person, draw_people, paint_people
from pipelines.crowd.generate.place import draw_place

FINER = 2  # times as many pixels while drawing


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """camera: of the photograph. place: RGB uint8, FINER times as large. people: in the picture."""

    camera: Camera
    place: Pixels
    people: tuple[Person, ...]

    @property
    def heads(self) -> Floats:
        """Middles of the heads, float64 (N, 2), x and y in px."""
        return self.camera.project([one.head for one in self.people])


def draw_scene(
    width: int,
    height: int,
    people: int,
    rng: np.random.Generator,
    *,
    mast: float = 7.0,
    tilt: float = 0.32,
    near: float = 9.0,
    far: float = 42.0,
) -> Scene:
    """A scene of width x height px with so many people (fewer if they do not fit), `near` to `far` m away.

    mast, tilt: see `Camera`.
    """
    focal = 1.05 * width
    camera = Camera(width, height, focal, mast, tilt)
    large = Camera(width * FINER, height * FINER, focal * FINER, mast, tilt)
    place = draw_place(large, far + 6, rng)
    return Scene(camera, place, tuple(draw_people(camera, people, near, far, rng)))


def photograph(scene: Scene, people: Sequence[Person], rng: np.random.Generator) -> Pixels:
    """The place with `people` in it, blurred, with noise: RGB uint8 (height, width, 3)."""
    camera = scene.camera
    image = scene.place.copy()
    large = Camera(
        camera.width * FINER, camera.height * FINER, camera.focal * FINER, camera.mast, camera.tilt
    )
    paint_people(image, large, people)
    small = cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 0.5).astype(np.float32)
    noise = rng.normal(0, 1, soft.shape[:2])[..., None] * 2.5 + rng.normal(0, 1, soft.shape) * 1.5
    return np.asarray(np.clip(soft + noise, 0, 255), np.uint8)
