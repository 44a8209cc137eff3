"""The record of a zone: polygons in the image, under one name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.crowd.data.record import Points

from .rings import area


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """outer: corners float64 (N, 2), x and y in px, the first not repeated. holes: rings that are cut out."""

    outer: Points
    holes: tuple[Points, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """Polygons that do not overlap, under one name; in px of the upright image, 0, 0 at its outer corner.

    Made by `checks.make_zone`, which checks them.
    """

    name: str
    polygons: tuple[Polygon, ...]
    notes: tuple[str, ...] = ()

    @property
    def area_px(self) -> float:
        """In square px, of what lies in the image and what does not."""
        return sum(area(one.outer) - sum(area(hole) for hole in one.holes) for one in self.polygons)

    def rings(self) -> list[tuple[Points, float]]:
        """Every ring, turned so that its signed area is above 0, with 1 if it adds area and -1 for a hole."""
        rings: list[tuple[Points, float]] = []
        for polygon in self.polygons:
            rings.append((_turned(polygon.outer), 1.0))
            rings += [(_turned(hole), -1.0) for hole in polygon.holes]
        return rings


def _turned(ring: Points) -> Points:
    x, y = ring.T
    signed = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    return ring if signed > 0 else ring[::-1]
