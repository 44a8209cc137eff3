"""A made-up body: shapes and textures as functions of a place in mm, so that any grid can sample it.

It is no anatomy. A body with fat, muscle and a bony column holds three labelled shapes of different size and
brightness, and a few nodules of some millimetres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Modality = Literal["CT", "MR"]

LABELS = {"lobe": 1, "bean": 2, "tube": 3, "nodule": 4}
EDGE_MM = 0.8  # over which one tissue passes into the next, as a scanner blurs it
# Brightness of air, fat, muscle, bone, then the labels: HU, and arbitrary units.
TISSUES: dict[Modality, tuple[float, ...]] = {
    "CT": (-1000.0, -95.0, 45.0, 420.0, 115.0, 185.0, 260.0, 20.0),
    "MR": (0.0, 300.0, 120.0, 55.0, 190.0, 245.0, 35.0, 330.0),
}
NOISE: dict[Modality, float] = {"CT": 14.0, "MR": 7.0}
TEXTURE: dict[Modality, float] = {"CT": 9.0, "MR": 8.0}
WAVES = 24
SHADING = 0.22  # of the brightness: how far the coil of an MR scanner darkens one side


@dataclass(frozen=True, slots=True)
class Body:
    """One body, drawn at random. All lengths are mm from its centre, RAS+: x right, y front, z head.

    shift: of the labelled shapes; size: of each, by label; tilt: radians about z; waves: (WAVES, 5), three
    wave numbers, a phase and a strength of the texture; nodules: (N, 4), place and radius.
    """

    shift: Points
    size: Points
    tilt: float
    waves: Points
    nodules: Points

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Body:
        """A body of its own."""
        lengths = rng.uniform(6, 40, WAVES)
        directions = rng.normal(size=(WAVES, 3))
        directions *= (2 * np.pi / lengths / np.linalg.norm(directions, axis=1))[:, None]
        phases = rng.uniform(0, 2 * np.pi, WAVES)
        strengths = rng.uniform(0.3, 1.0, WAVES)
        count = int(rng.integers(3, 6))
        places = rng.uniform((9, 0, -12), (25, 16, 18), (count, 3))
        radii = rng.uniform(2.0, 4.2, count)
        return cls(
            shift=rng.uniform(-3, 3, (4, 3)),
            size=rng.uniform(0.88, 1.12, 4),
            tilt=float(rng.uniform(-0.15, 0.15)),
            waves=np.column_stack([directions, phases, strengths]),
            nodules=np.column_stack([places, radii]),
        )

    def tissues(self, points: Points) -> list[tuple[int, Points]]:
        """Place in `TISSUES` and depth in mm below the surface (...), negative outside, from the outermost
        tissue to the innermost. points: (..., 3)."""
        return [(number, shape(self, self._turned(points))) for number, shape in _SHAPES]

    def labels(self, points: Points) -> NDArray[np.uint8]:
        """The label at each point (..., 3); 0 is the background."""
        found = np.zeros(points.shape[:-1], np.uint8)
        for number, depth in self.tissues(points):
            found[depth > 0] = max(0, number - 3)
        return found

    def image(self, points: Points, modality: Modality, rng: np.random.Generator) -> Points:
        """Brightness at each point (..., 3), with texture, shading and noise: HU, or arbitrary units."""
        bright = np.full(points.shape[:-1], TISSUES[modality][0])
        inside = np.zeros_like(bright)
        for number, depth in self.tissues(points):
            share = np.clip(0.5 + depth / (2 * EDGE_MM), 0, 1)
            bright += share * (TISSUES[modality][number] - bright)
            inside = np.maximum(inside, share)
        bright += inside * TEXTURE[modality] * self._texture(points)
        noise = rng.normal(0, NOISE[modality], (2, *bright.shape))
        if modality == "CT":
            bright += noise[0]
            return bright
        # The magnitude of a complex signal (Gudbjartsson and Patz 1995): noise never falls below 0.
        shaded = bright * (1 + SHADING * np.sin(points @ np.array([0.017, 0.024, -0.011]) + 0.6))
        magnitude: Points = np.hypot(shaded + noise[0], noise[1])
        return magnitude

    def _turned(self, points: Points) -> Points:
        sine, cosine = np.sin(self.tilt), np.cos(self.tilt)
        turned: Points = points @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        return turned

    def _texture(self, points: Points) -> Points:
        total = np.zeros(points.shape[:-1])
        for *wave, phase, strength in self.waves:
            total += strength * np.sin(points @ np.array(wave) + phase)
        total /= np.sqrt(0.5 * (self.waves[:, 4] ** 2).sum())
        return total


def _ellipsoid(points: Points, centre: Points, radii: tuple[float, float, float]) -> Points:
    """Depth below the surface, exact on it and near enough around it."""
    scaled = (points - centre) / radii
    depth: Points = (1 - np.linalg.norm(scaled, axis=-1)) * min(radii)
    return depth


def _outline(body: Body, points: Points) -> Points:
    taper = 1 - 0.0022 * np.abs(points[..., 2])
    across = np.abs(points[..., 0] / (50 * taper)) ** 2.4 + np.abs(points[..., 1] / (38 * taper)) ** 2.4
    depth: Points = (1 - across ** (1 / 2.4)) * 38
    return depth


def _muscle(body: Body, points: Points) -> Points:
    fat = 4.5 + 1.5 * np.sin(points[..., 0] / 13) * np.cos(points[..., 2] / 19)
    return _outline(body, points) - fat


def _bone(body: Body, points: Points) -> Points:
    place = points - np.array([0.0, -22.0, 0.0])
    disc = np.cos(2 * np.pi * points[..., 2] / 17)  # narrower and absent between the bodies of the column
    radius = np.hypot(place[..., 0], 1.15 * place[..., 1])
    return np.where(disc > -0.7, 7.5 + 1.2 * disc - radius, -1.0)


def _lobe(body: Body, points: Points) -> Points:
    scale = body.size[0]
    centre = np.array([18.0, 6.0, 3.0]) + body.shift[0]
    bulk = _ellipsoid(points, centre, (19 * scale, 18 * scale, 25 * scale))
    hollow = _ellipsoid(points, centre + np.array([-16.0, 8.0, -14.0]), (14, 14, 16))
    return np.minimum(bulk, -hollow)


def _bean(body: Body, points: Points) -> Points:
    scale = body.size[1]
    centre = np.array([-22.0, -3.0, -2.0]) + body.shift[1]
    bulk = _ellipsoid(points, centre, (10.5 * scale, 9.5 * scale, 17 * scale))
    notch = _ellipsoid(points, centre + np.array([10.0, 1.0, 0.0]), (6.5, 7, 6))
    return np.minimum(bulk, -notch)


def _tube(body: Body, points: Points) -> Points:
    z = points[..., 2]
    x = -3 + body.shift[2, 0] + 5 * np.sin(z / 15 + body.shift[2, 1])
    y = -8 + body.shift[2, 2] + 0.0035 * z**2
    radius = 4.3 * body.size[2] - 0.02 * z
    depth: Points = radius - np.hypot(points[..., 0] - x, points[..., 1] - y)
    depth = np.minimum(depth, 38 - np.abs(z))
    return depth


def _nodules(body: Body, points: Points) -> Points:
    depths = [radius - np.linalg.norm(points - place, axis=-1) for *place, radius in body.nodules]
    found: Points = np.max(depths, axis=0)
    return found


_SHAPES: tuple[tuple[int, Callable[[Body, Points], Points]], ...] = (
    (1, _outline),
    (2, _muscle),
    (3, _bone),
    (4, _lobe),
    (5, _bean),
    (6, _tube),
    (7, _nodules),
)
