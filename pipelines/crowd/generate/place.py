"""The place: paving, a house front and the sky, seen by the camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.crowd.generate.camera import Camera, Floats

STONE = 0.8  # m, side of a paving stone
FLOOR, AXIS = 3.4, 2.6  # m, height of a storey and distance of windows
SKY = np.array([208.0, 218.0, 228.0])


def draw_place(camera: Camera, front: float, rng: np.random.Generator) -> Pixels:
    """Paving up to a house front `front` m away, with windows, and sky: uint8 (height, width, 3), RGB."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    ground = camera.ground(np.stack([columns.ravel(), rows.ravel()], 1)).reshape(
        camera.height, camera.width, 2
    )
    paved = ground[..., 1] < front
    image = np.where(
        paved[..., None], _paving(np.nan_to_num(ground), camera, rng), _front(camera, front, rng)
    )
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def brick_wall(width: int, height: int, rng: np.random.Generator) -> Pixels:
    """Bricks and mortar, straight on: uint8 (height, width, 3)."""
    rows, columns = np.mgrid[:height, :width]
    layer = rows // 16
    along = columns + 20 * (layer % 2)
    stone = _shades(layer, along // 40, rng)
    joint = (rows % 16 < 2) | (along % 40 < 2)
    image = np.where(joint[..., None], 176.0, np.array([150.0, 84.0, 66.0]) + 16 * stone[..., None])
    image = image + 6 * _cloud((height, width), 60, rng)[..., None] + rng.normal(0, 4, (height, width, 1))
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _paving(ground: Floats, camera: Camera, rng: np.random.Generator) -> Floats:
    """Stones with joints; where they are too small to be told apart, their mean."""
    x, z = ground[..., 0], ground[..., 1]
    stone = _shades(np.floor(x / STONE).astype(int), np.floor(z / STONE).astype(int), rng)
    pixels = camera.focal * STONE / np.maximum(camera.away(z), 1)  # across a stone
    near = np.clip((pixels - 6) / 14, 0, 1)
    gap = np.minimum(np.abs(x / STONE - np.round(x / STONE)), np.abs(z / STONE - np.round(z / STONE)))
    joint = np.clip(1 - gap * pixels, 0, 1)
    light = 150 + 5 * stone * near - 26 * joint * near + 10 * _cloud(x.shape, camera.width / 5, rng)
    return np.asarray(light[..., None] * np.array([1.0, 0.985, 0.95]))


def _front(camera: Camera, front: float, rng: np.random.Generator) -> Floats:
    """A row of houses on the line z = front, up to four storeys, and the sky above."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    ray = (rows - camera.height / 2) / camera.focal
    along = front / np.maximum(np.cos(camera.tilt) - ray * np.sin(camera.tilt), 1e-6)
    up = camera.mast - along * (np.sin(camera.tilt) + ray * np.cos(camera.tilt))
    across = along * (columns - camera.width / 2) / camera.focal
    house = np.floor(across / (4 * AXIS)).astype(int)
    first = int(house.min())
    houses = int(house.max()) - first + 1
    tints = rng.uniform(150, 205, (houses, 1)) * np.array([1.0, 0.93, 0.84]) + rng.uniform(
        -14, 14, (houses, 3)
    )
    wall = tints[house - first] + 4 * _cloud(rows.shape, 40, rng)[..., None]
    storey, place = up % FLOOR, across % AXIS
    glass = (storey > 0.9) & (storey < 2.5) & (place > 0.7) & (place < 1.9) & (up > 0)
    frame = (storey > 0.8) & (storey < 2.6) & (place > 0.6) & (place < 2.0) & (up > 0)
    wall = np.where(frame[..., None], np.array([225.0, 222.0, 215.0]), wall)
    wall = np.where(glass[..., None], np.array([70.0, 82.0, 92.0]) + 20 * (storey[..., None] / FLOOR), wall)
    return np.asarray(np.where((up > 4 * FLOOR)[..., None], SKY, wall))


def _shades(first: NDArray[np.int_], second: NDArray[np.int_], rng: np.random.Generator) -> Floats:
    """A random shade for each stone, from -1 to 1, whatever its numbers are."""
    table = rng.uniform(-1, 1, 4096)
    return np.asarray(table[(first * 73 + second * 179) % 4096])


def _cloud(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of deviation 1 with spots of `size` px."""
    coarse = rng.normal(0, 1, (max(2, round(shape[0] / size) + 1), max(2, round(shape[1] / size) + 1)))
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float64)
