"""Maps in the layout of WM-811K (Wu, Jang and Chen, IEEE Trans. Semicond. Manuf. 2015), many to a file.

An .npz file of the arrays `flat` uint8 (all maps one after the other: 0 no die, 1 pass, 2 fail), `offsets`
(n or n + 1,) with the start of each map in `flat`, `shapes` (n, 2) with its rows and columns, and
optionally `label` (n,). The maps state neither the die pitch nor the diameter; they are drawn with the
notch down.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from .dies import ASSUMED_DIAMETER_MM, check_shape
from .limits import DEFAULT, Limits
from .npz import Npz
from .record import FAIL, DieGrid, FailedMap, WaferFileError, WaferMap

NAMES: Final = frozenset({"flat", "offsets", "shapes"})


def count(npz: Npz) -> int:
    """Number of maps in the file."""
    return len(npz.integers("shapes", (None, 2)))


def read_maps(npz: Npz, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """The maps of an opened file, in order. `label` is not looked at."""
    flat = npz.stored_integers("flat", (None,))
    shapes = npz.integers("shapes", (None, 2))
    offsets = npz.integers("offsets", (None,))
    n = len(shapes)
    if len(offsets) not in (n, n + 1):
        raise WaferFileError(f"{len(offsets)} offsets for {n} maps; there must be one for each map")
    values_fit = bool(len(flat) == 0 or (flat.min() >= 0 and flat.max() <= FAIL))
    for position, (start, (rows, cols)) in enumerate(zip(offsets[:n].tolist(), shapes.tolist(), strict=True)):
        try:
            check_shape(rows, cols, limits.max_dies)
            if start < 0 or start + rows * cols > len(flat):
                raise WaferFileError(
                    f"the map needs the values {start} to {start + rows * cols} of {len(flat)}"
                )
            cells = flat[start : start + rows * cols]
            if not values_fit and (cells.min() < 0 or cells.max() > FAIL):
                raise WaferFileError("the map holds values other than 0 (no die), 1 (pass) and 2 (fail)")
            failing = np.flatnonzero(cells == FAIL)
            status = cells.reshape(rows, cols).astype(np.uint8, copy=False)
            grid = DieGrid.centred(status, ASSUMED_DIAMETER_MM)
            yield WaferMap(
                source=source,
                position=position,
                defects=grid.positions_mm(failing),
                source_rows=failing,
                diameter_mm=ASSUMED_DIAMETER_MM,
                die_level=True,
                diameter_assumed=True,
                dies=grid,
            )
        except WaferFileError as error:
            yield FailedMap(source, position, str(error))
