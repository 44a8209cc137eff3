"""Distances between two surfaces, each element weighted by its area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipelines.medical.metrics.surface import Surface

ROUNDING_MM: Final = 1e-6  # a distance that equals a tolerance but for rounding lies within it


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceDistances:
    """From each element of one surface to the nearest of the other, both ways, in mm, sorted; with areas.

    first, second: float64 (N,) and (M,). first_areas, second_areas: mm², in the same order.
    """

    first: NDArray[np.float64]
    first_areas: NDArray[np.float64]
    second: NDArray[np.float64]
    second_areas: NDArray[np.float64]

    def hausdorff(self, share: float = 1.0) -> float:
        """The larger of the two directed distances, in mm, that `share` of a surface's area does not exceed.

        1 is the Hausdorff distance, 0.95 is HD95 (Huttenlocher et al., 1993, for the ranked distance).
        """
        return max(
            _quantile(self.first, self.first_areas, share), _quantile(self.second, self.second_areas, share)
        )

    def average(self) -> float:
        """The mean distance over the areas of both surfaces together, in mm (symmetric ASD)."""
        total = self.first @ self.first_areas + self.second @ self.second_areas
        return float(total / (self.first_areas.sum() + self.second_areas.sum()))

    def within(self, tolerance_mm: float) -> float:
        """The share of both surfaces' area that lies within the tolerance of the other surface.

        Surface Dice, or NSD (Nikolov et al., 2021).
        """
        limit = tolerance_mm + ROUNDING_MM
        near = self.first_areas[self.first <= limit].sum() + self.second_areas[self.second <= limit].sum()
        return float(near / (self.first_areas.sum() + self.second_areas.sum()))


def surface_distances(first: Surface, second: Surface) -> SurfaceDistances:
    """Distances between elements of two surfaces that are not empty, centre to nearest centre."""
    if not (len(first.areas) and len(second.areas)):
        raise ValueError("an empty mask has no surface to measure a distance from")
    return SurfaceDistances(*_directed(first, second), *_directed(second, first))


def _directed(start: Surface, end: Surface) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    tree = cKDTree(end.points, balanced_tree=False, compact_nodes=False)
    distances, _ = tree.query(start.points)
    order = np.argsort(distances, kind="stable")
    return distances[order], start.areas[order]


def _quantile(distances: NDArray[np.float64], areas: NDArray[np.float64], share: float) -> float:
    """The smallest distance that at least `share` of the area does not exceed. distances: sorted."""
    covered = np.cumsum(areas)
    place = int(np.searchsorted(covered, share * covered[-1] * (1 - 1e-12)))
    return float(distances[min(place, len(distances) - 1)])
