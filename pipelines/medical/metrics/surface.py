"""The surface of a mask as small flat elements with a place and an area in mm, on any grid.

Between eight neighbouring voxel centres lies a cell. Where some of the eight are in the mask and some are
not, the surface crosses the cell: it cuts every cell edge between an inside and an outside voxel half way.
These cuts are joined to closed loops, and each loop is filled with triangles around its centre. This is the
idea of marching cubes (Lorensen and Cline, 1987); where a face of a cell has two inside voxels in opposite
corners, each is cut off for itself, so that neighbouring cells agree. The table of the 256 patterns is worked
out here. Areas follow the grid's true metric, so that a voxel of 0.5 x 0.5 x 7.5 mm counts by its faces, and
a sheared grid is measured as it lies.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.medical.data.record import VolumeError

MAX_ELEMENTS: Final = 40_000_000  # about 4 GB of work; a real organ has a hundredth of it
Corner = tuple[int, ...]
Edge = frozenset[Corner]
CORNERS: Final[tuple[Corner, ...]] = tuple(itertools.product((0, 1), repeat=3))


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """points: float64 (N, 3) in mm, from the centre of voxel 0, 0, 0 of the mask, along x, y, z of the metric
    that it was made with. areas: float64 (N,) in mm². N is 0 for an empty mask only.
    """

    points: NDArray[np.float64]
    areas: NDArray[np.float64]


def steps_of(spacing: Any) -> NDArray[np.float64]:
    """The metric of a grid as (3, 3): column a is the step in mm along array axis a.

    spacing: three sizes in mm of a grid with orthogonal axes, a (3, 3) matrix of steps, or a (4, 4) affine.
    Raises ValueError for another shape, and for steps that span no volume.
    """
    given = np.asarray(spacing, np.float64)
    if given.shape not in ((3,), (3, 3), (4, 4)):
        raise ValueError(f"spacing must have the shape (3,), (3, 3) or (4, 4), not {given.shape}")
    steps = np.diag(given) if given.shape == (3,) else given[:3, :3]
    if not np.isfinite(steps).all() or np.linalg.det(steps) == 0:
        raise ValueError(f"the steps of a grid must be finite and span a volume, not {given.tolist()}")
    return steps


def surface_of(mask: NDArray[np.bool_], spacing: Any) -> Surface:
    """The surface of a mask, bool (I, J, K). What lies outside of the array counts as outside of the mask.

    spacing: see `steps_of`. Raises VolumeError if the surface has more than MAX_ELEMENTS elements.
    """
    steps = steps_of(spacing)
    codes = _codes(mask)
    crossed = np.flatnonzero((codes != 0) & (codes != 255))
    if len(crossed) > MAX_ELEMENTS:
        raise VolumeError(
            f"the surface of a label has {len(crossed):,} elements; at most {MAX_ELEMENTS:,} are measured:"
            " it looks like noise rather than a structure"
        )
    areas, centres = _elements(tuple(steps.ravel().tolist()))
    code = codes.ravel()[crossed]
    cell = np.stack(np.unravel_index(crossed, codes.shape), axis=1).astype(np.float64)
    cell += centres[code] - 1.0  # cell 0 lies before voxel 0
    return Surface(cell @ steps.T, areas[code])


def _codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The pattern of each cell, uint8 (I + 1, J + 1, K + 1): bit c is set if its corner c is inside."""
    bits = mask.view(np.uint8)
    codes = np.zeros(tuple(side + 1 for side in mask.shape), np.uint8)
    for bit, corner in enumerate(CORNERS):
        # Cell n lies between voxels n - 1 and n; corner 1 of an axis is voxel n.
        part = codes[tuple(slice(None, -1) if at else slice(1, None) for at in corner)]
        part |= bits << np.uint8(bit)
    return codes


@lru_cache(maxsize=8)
def _elements(flat_steps: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area in mm² (256,) and centre (256, 3) in cell units of each pattern, on a grid of these nine steps."""
    steps = np.reshape(flat_steps, (3, 3))
    crosses, middles = _table()
    cofactor = np.linalg.det(steps) * np.linalg.inv(steps).T  # how a vector that stands for an area changes
    areas = np.linalg.norm(crosses @ cofactor.T, axis=2) / 2
    total = areas.sum(1)
    centres = (areas[..., None] * middles).sum(1) / np.where(total > 0, total, 1.0)[:, None]
    return total, centres


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per pattern its triangles on the unit cell: cross products of two sides, and centres; (256, 12, 3).

    Unused places are zero: a pattern has as many triangles as it cuts edges, 12 at most.
    """
    crosses, middles = np.zeros((256, 12, 3)), np.zeros((256, 12, 3))
    for code in range(256):
        inside = {corner: bool(code >> bit & 1) for bit, corner in enumerate(CORNERS)}
        place = 0
        for loop in _loops(inside):
            cuts = np.array([np.mean(sorted(edge), axis=0) for edge in loop])
            centre = cuts.mean(0)
            for first, second in zip(cuts, np.roll(cuts, -1, axis=0), strict=True):
                crosses[code, place] = np.cross(first - centre, second - centre)
                middles[code, place] = (first + second + centre) / 3
                place += 1
    return crosses, middles


def _loops(inside: dict[Corner, bool]) -> list[list[Edge]]:
    """The closed loops of cut edges of a cell."""
    joined: dict[Edge, list[Edge]] = {}
    for axis, side in itertools.product(range(3), (0, 1)):
        ring = [_with(axis, side, a, b) for a, b in ((0, 0), (0, 1), (1, 1), (1, 0))]
        edges = [frozenset((ring[at], ring[(at + 1) % 4])) for at in range(4)]
        cut = [edge for edge in edges if len({inside[corner] for corner in edge}) == 2]
        if len(cut) == 2:
            pairs = [(cut[0], cut[1])]
        else:  # none, or all four: then each inside corner is cut off by the two edges that meet in it
            pairs = [(edges[at - 1], edges[at]) for at in range(4) if cut and inside[ring[at]]]
        for one, other in pairs:
            joined.setdefault(one, []).append(other)
            joined.setdefault(other, []).append(one)
    loops = []
    while joined:
        loop = [next(iter(joined))]
        while loop[-1] in joined:
            following = [edge for edge in joined.pop(loop[-1]) if edge in joined]
            if following:
                loop.append(following[0])
        loops.append(loop)
    return loops


def _with(axis: int, side: int, a: int, b: int) -> Corner:
    rest = [a, b]
    rest.insert(axis, side)
    return tuple(rest)
