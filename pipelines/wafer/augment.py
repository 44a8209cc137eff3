"""Random changes that leave a wafer's pattern what it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, PASS


def augment_dies(
    status: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    added: float = 0.02,
    dropped: float = 0.1,
) -> NDArray[np.uint8]:
    """One of the eight turns and mirrorings of a die grid (rows, cols), half of the time with dies changed.

    added, dropped: the largest share of passing dies made to fail, and of failing dies made to pass.
    """
    status = np.rot90(status, int(rng.integers(4)))
    if rng.random() < 0.5:
        status = status[:, ::-1]
    if rng.random() < 0.5:
        chance = rng.random(status.shape, dtype=np.float32)
        fails = status == FAIL
        status = status.copy()
        status[(status == PASS) & (chance < rng.random() * added)] = FAIL
        status[fails & (chance < rng.random() * dropped)] = PASS
    return status


def augment_defects(
    defects: NDArray[np.float64],
    diameter_mm: float,
    rng: np.random.Generator,
    *,
    shift_mm: float = 2.0,
    added: float = 0.1,
    kept: float = 0.15,
    enough: int = 100,
) -> NDArray[np.float64]:
    """Defects (N, 2) in mm turned by any angle, perhaps mirrored, shifted, thinned, and some added.

    What the shift moves off the wafer is lost. shift_mm: standard deviation of the shift.
    added: the largest share of defects added at random places.
    kept: the smallest share of defects that thinning leaves; it aims to leave `enough` of them.
    """
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        turn[:, 0] *= -1
    moved = defects @ turn + rng.normal(0, shift_mm, 2)
    if len(moved) > enough:
        # A pattern stays what it is at any density, so the share is drawn over orders of magnitude.
        share = np.exp(rng.uniform(np.log(max(kept, enough / len(moved))), 0))
        moved = moved[rng.random(len(moved)) < share]
    extra = rng.poisson(len(moved) * rng.random() * added)
    radius, direction = diameter_mm / 2 * np.sqrt(rng.random(extra)), rng.uniform(0, 2 * np.pi, extra)
    noise = np.stack([radius * np.cos(direction), radius * np.sin(direction)], axis=1)
    moved = np.concatenate([moved, noise])
    on_wafer: NDArray[np.float64] = moved[np.hypot(moved[:, 0], moved[:, 1]) <= diameter_mm / 2]
    return on_wafer
