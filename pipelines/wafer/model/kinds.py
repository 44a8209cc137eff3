"""The two kinds of input, die results and defect coordinates, behind one small interface."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pipelines.wafer.augment import augment_defects, augment_dies
from pipelines.wafer.data.record import FAIL, NO_DIE, PASS, WaferMap
from pipelines.wafer.model.dies import DieBatch, DieNetwork, crop, encode_dies
from pipelines.wafer.model.fullres import DefectBatch, DefectNetwork, encode_defects
from pipelines.wafer.shape import shapes

# Places across the wafer of the grid on which the shape of defect coordinates is measured.
SHAPE_PLACES = 64
# A map is seen from four sides, the first of which is as it lies. Die grids are mirrored, by steps down and
# across: a quarter turn would swap the width and the height of the dies, as if it were another product.
SIDES = 4
MIRRORED = ((1, 1), (1, -1), (-1, 1), (-1, -1))
# Positions (N, 2) times these are turned anticlockwise by so many quarters.
TURNED = np.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]])

KindName = Literal["dies", "coordinates"]
Batch = DieBatch | DefectBatch


class UnsuitableMap(ValueError):
    """A map lacks what a model needs. The message is meant for the user."""


@dataclass(frozen=True, slots=True)
class Dies:
    """Die results on the wafer's own grid. cells: side of the fixed grid of the network's second part."""

    cells: int = 32
    name: KindName = "dies"

    def build(self, engine: ModuleType, num_classes: int, architecture: Mapping[str, Any]) -> nn.Module:
        return DieNetwork(engine, num_classes, cells=self.cells, **architecture)

    def encode(
        self,
        maps: Sequence[WaferMap],
        rng: np.random.Generator | None = None,
        *,
        sides: Sequence[int] | None = None,
    ) -> DieBatch:
        """The batch of these maps; each seen from its side, 0 to 3, or changed at random by `rng`."""
        grids = [die_status(wafer) for wafer in maps]
        if sides is not None:
            steps = [MIRRORED[side] for side in sides]
            grids = [grid[::down, ::across] for grid, (down, across) in zip(grids, steps, strict=True)]
        if rng is not None:
            grids = [augment_dies(grid, rng) for grid in grids]
        return encode_dies(grids, self.cells)

    def shapes(self, maps: Sequence[WaferMap]) -> NDArray[np.float32]:
        """What `pipelines.wafer.shape` says of each map, (N, SHAPE_FEATURES)."""
        return shapes([die_status(wafer) for wafer in maps])

    def settings(self) -> dict[str, Any]:
        return {"cells": self.cells}

    def sizes(self) -> list[str]:
        """What `architecture` may hold."""
        return _sizes(DieNetwork)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Defect coordinates. resolution: sites across the wafer's diameter."""

    resolution: int = 20_000
    name: KindName = "coordinates"

    def build(self, engine: ModuleType, num_classes: int, architecture: Mapping[str, Any]) -> nn.Module:
        return DefectNetwork(engine, num_classes, resolution=self.resolution, **architecture)

    def encode(
        self,
        maps: Sequence[WaferMap],
        rng: np.random.Generator | None = None,
        *,
        sides: Sequence[int] | None = None,
    ) -> DefectBatch:
        """The batch of these maps; each seen from its side, 0 to 3, or changed at random by `rng`."""
        defects = [wafer.defects for wafer in maps]
        if sides is not None:
            defects = [each @ TURNED[side] for each, side in zip(defects, sides, strict=True)]
        diameters = [wafer.diameter_mm for wafer in maps]
        if rng is not None:
            defects = [
                augment_defects(each, size, rng) for each, size in zip(defects, diameters, strict=True)
            ]
        return encode_defects(defects, diameters, self.resolution)

    def shapes(self, maps: Sequence[WaferMap]) -> NDArray[np.float32]:
        """What `pipelines.wafer.shape` says of each map, (N, SHAPE_FEATURES), on a grid of SHAPE_PLACES."""
        return shapes([on_grid(wafer.defects, wafer.diameter_mm, SHAPE_PLACES) for wafer in maps])

    def settings(self) -> dict[str, Any]:
        return {"resolution": self.resolution}

    def sizes(self) -> list[str]:
        """What `architecture` may hold."""
        return _sizes(DefectNetwork)


Kind = Dies | Coordinates
KINDS: dict[str, type[Dies] | type[Coordinates]] = {"dies": Dies, "coordinates": Coordinates}


def _sizes(network: type[nn.Module]) -> list[str]:
    parameters = inspect.signature(network).parameters.values()
    own = {"cells", "resolution"}
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in own]


def die_status(wafer: WaferMap) -> NDArray[np.uint8]:
    """uint8 (rows, cols): the dies of a map, cropped to those that exist; a die with a defect has failed."""
    if wafer.dies is None:
        raise UnsuitableMap(
            "this model classifies die results, and the file does not say which dies there are"
        )
    status = wafer.dies.status
    if not wafer.die_level:
        status = np.minimum(status, 1)
        (x, y), (wide, high) = wafer.dies.origin_mm, wafer.dies.pitch_mm
        col = np.rint((wafer.defects[:, 0] - x) / wide)
        row = np.rint((y - wafer.defects[:, 1]) / high)
        inside = (row >= 0) & (row < status.shape[0]) & (col >= 0) & (col < status.shape[1])
        row, col = row[inside].astype(np.int64), col[inside].astype(np.int64)
        real = status[row, col] != NO_DIE
        status[row[real], col[real]] = FAIL
    return crop(status)


def on_grid(defects: NDArray[np.float64], diameter_mm: float, side: int) -> NDArray[np.uint8]:
    """uint8 (side, side): the wafer cut into squares, of which those fail that hold a defect or more."""
    place = (2 * np.arange(side) + 1) / side - 1
    status = np.where(np.hypot(place, place[:, None]) <= 1, PASS, NO_DIE).astype(np.uint8)
    col, row = np.floor((defects * [1, -1] / diameter_mm + 0.5) * side).astype(np.int64).T
    inside = (row >= 0) & (row < side) & (col >= 0) & (col < side)
    status[row[inside], col[inside]] = FAIL
    return status
