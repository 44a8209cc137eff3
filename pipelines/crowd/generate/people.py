"""People, drawn as a camera far away sees them: legs, a coat, arms, a head with hair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.crowd.generate.camera import Camera, Floats

Colour = tuple[int, int, int]
SHIFT = 4  # bits after the point, in coordinates that OpenCV draws at
HAIR: tuple[Colour, ...] = ((28, 24, 22), (52, 38, 28), (88, 62, 40), (150, 118, 72), (128, 126, 124))
SKIN: tuple[Colour, ...] = ((232, 196, 172), (214, 170, 138), (168, 120, 86), (110, 74, 52))
COATS: tuple[Colour, ...] = (
    (38, 42, 52),
    (64, 66, 70),
    (120, 44, 40),
    (46, 70, 112),
    (178, 170, 156),
    (74, 92, 64),
    (196, 158, 66),
    (220, 218, 214),
)
TROUSERS: tuple[Colour, ...] = ((36, 38, 46), (52, 62, 86), (88, 80, 70), (30, 28, 28))
APART = 0.55  # m between two people at least


@dataclass(frozen=True, slots=True)
class Person:
    """x, z: where on the ground, m. size: m. facing: radians, 0 looks at the camera. step: of a walk."""

    x: float
    z: float
    size: float
    facing: float
    step: float
    hair: Colour
    skin: Colour
    coat: Colour
    trousers: Colour

    @property
    def head(self) -> tuple[float, float, float]:
        """The middle of the head: x, height and z in m."""
        return self.x, self.size - 0.12, self.z


def draw_people(
    camera: Camera, count: int, near: float, far: float, rng: np.random.Generator
) -> list[Person]:
    """So many people within the picture, from `near` to `far` m away, in loose groups. Fewer if they do not
    fit."""
    found: list[Person] = []
    places = np.empty((0, 2))
    for _ in range(60 * count):
        if len(found) == count:
            break
        person = _draw_one(camera, near, far, places, rng)
        x, y = camera.project([person.head])[0]
        inside = 4 <= x < camera.width - 4 and 4 <= y < camera.height - 4
        crowded = len(places) and np.hypot(*(places - [person.x, person.z]).T).min() < APART
        if inside and near <= person.z <= far and not crowded:
            found.append(person)
            places = np.vstack([places, [person.x, person.z]])
    return found


def _draw_one(camera: Camera, near: float, far: float, others: Floats, rng: np.random.Generator) -> Person:
    if len(others) and rng.random() < 0.6:
        x, z = others[int(rng.integers(len(others)))] + rng.normal(0, 1.1, 2)
    else:
        # Evenly over the ground that is seen, which widens with the distance.
        z = np.sqrt(rng.uniform(near**2, far**2))
        x = rng.uniform(-0.5, 0.5) * camera.width / camera.focal * camera.away(z)
    return Person(
        float(x),
        float(z),
        float(np.clip(rng.normal(1.7, 0.1), 1.2, 1.98)),
        float(rng.uniform(-np.pi, np.pi)),
        float(rng.uniform(0, 2 * np.pi)),
        *(table[int(rng.integers(len(table)))] for table in (HAIR, SKIN, COATS, TROUSERS)),
    )


def walked(person: Person, seconds: float) -> Person:
    """The same person some time later, straight on at 1.2 m a second."""
    way = 1.2 * seconds
    return replace(
        person,
        x=person.x + way * float(np.sin(person.facing)),
        z=person.z - way * float(np.cos(person.facing)),
        step=person.step + 5.5 * seconds,
    )


def paint_people(image: Pixels, camera: Camera, people: Sequence[Person]) -> None:
    """Draw people, the farthest first, into an image of the camera, RGB uint8."""
    shade = image.copy()
    for one in people:
        _ellipse(shade, camera, (one.x + 0.25, 0.0, one.z), 0.42, 0.13, (86, 84, 80))
    cv2.addWeighted(shade, 0.5, image, 0.5, 0, dst=image)
    for one in sorted(people, key=lambda person: -person.z):
        _paint(image, camera, one)


def _paint(image: Pixels, camera: Camera, one: Person) -> None:
    share = one.size / 1.7
    swing = 0.16 * np.sin(one.step)
    side = abs(np.cos(one.facing))  # shoulders are seen from the front or from the side
    half = (0.13 + 0.09 * side) * share

    def at(x: float, up: float) -> tuple[float, float, float]:
        return one.x + x, up * share, one.z

    for way in (-1, 1):
        _line(
            image, camera, [at(way * 0.07, 0.84), at(way * (0.07 + swing), 0.04)], 0.14 * share, one.trousers
        )
    coat = [
        at(-half, 1.42),
        at(half, 1.42),
        at(half * 1.02, 1.1),
        at(half * 0.95, 0.74),
        at(-half * 0.95, 0.74),
    ]
    _polygon(image, camera, [*coat, at(-half * 1.02, 1.1)], one.coat)
    dark = _tinted(one.coat, 0.72)
    _polygon(
        image,
        camera,
        [at(half * 0.2, 1.42), at(half, 1.42), at(half * 0.95, 0.74), at(half * 0.4, 0.74)],
        dark,
    )
    for way in (-1, 1):
        arm = [at(way * half, 1.38), at(way * (half + 0.05) - swing * 0.5, 0.84)]
        _line(image, camera, arm, 0.1 * share, _tinted(one.coat, 0.85))
    _line(image, camera, [at(0, 1.38), at(0, 1.5)], 0.1 * share, _tinted(one.skin, 0.8))
    _ellipse(image, camera, at(0, 1.58), 0.095 * share, 0.125 * share, one.hair)
    if np.cos(one.facing) > -0.2:
        turned = 0.05 * np.sin(one.facing)
        _ellipse(image, camera, at(turned, 1.555), 0.07 * share, 0.09 * share, one.skin)
        _ellipse(image, camera, at(turned * 0.5, 1.655), 0.085 * share, 0.05 * share, one.hair)


def _tinted(colour: Colour, share: float) -> Colour:
    red, green, blue = (round(one * share) for one in colour)
    return red, green, blue


def _fixed(camera: Camera, points: Sequence[tuple[float, float, float]]) -> NDArray[np.int32]:
    """Places in the image as OpenCV wants them: int32 (N, 1, 2), with bits after the point."""
    return np.asarray(np.rint((camera.project(points) - 0.5) * 2**SHIFT), np.int32)[:, None]


def _polygon(
    image: Pixels, camera: Camera, points: Sequence[tuple[float, float, float]], colour: Colour
) -> None:
    cv2.fillPoly(image, [_fixed(camera, points)], colour, cv2.LINE_AA, SHIFT)


def _line(
    image: Pixels, camera: Camera, points: Sequence[tuple[float, float, float]], width: float, colour: Colour
) -> None:
    pixels = max(1, round(width * camera.focal / float(camera.away(points[0][2], points[0][1]))))
    cv2.polylines(image, [_fixed(camera, points)], False, colour, pixels, cv2.LINE_AA, SHIFT)


def _ellipse(
    image: Pixels,
    camera: Camera,
    middle: tuple[float, float, float],
    half_width: float,
    half_height: float,
    colour: Colour,
) -> None:
    scale = camera.focal / float(camera.away(middle[2], middle[1])) * 2**SHIFT
    axes = max(1, round(half_width * scale)), max(1, round(half_height * scale))
    x, y = _fixed(camera, [middle])[0, 0].tolist()
    cv2.ellipse(image, (x, y), axes, 0, 0, 360, colour, -1, cv2.LINE_AA, SHIFT)
