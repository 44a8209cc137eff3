"""Synthetic die-level maps: which dies of a wafer passed the test, as the classes of WM-811K show them.

The class names and looks are those of Wu, Jang and Chen, IEEE Trans. Semiconductor Manufacturing, 2015.
Each pattern gives every die its chance to fail, float64 (N,), from the die centres, float64 (N, 2) in units
of the wafer's radius, y up, notch down, and from the size of a die in the same units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.generate.shapes import Points, along, arc, polar, segment, turned

NO_DIE, PASS, FAIL = 0, 1, 2
EDGE_EXCLUSION_MM = 3.0

Chances = NDArray[np.float64]
DiePattern = Callable[[np.random.Generator, Points, float], Chances]


@dataclass(frozen=True, slots=True, eq=False)
class DieMap:
    """One tested wafer, notch down.

    status: uint8 (rows, cols), row 0 on top; 0 no die, 1 pass, 2 fail.
    pitch_mm: width and height of a die in mm.
    """

    status: NDArray[np.uint8]
    pitch_mm: tuple[float, float]
    diameter_mm: float


def make_die_map(rng: np.random.Generator, pattern: str, dies: int, diameter_mm: float = 300.0) -> DieMap:
    """A wafer with about `dies` dies and a pattern of DIE_PATTERNS.

    Raises ValueError for another name.
    """
    if pattern not in DIE_PATTERNS:
        raise ValueError(f"there is no die pattern {pattern!r}; the patterns are {', '.join(DIE_PATTERNS)}")
    exists, pitch = _layout(rng, dies, diameter_mm)
    rows, cols = exists.shape
    row, col = np.nonzero(exists)
    x = (col - (cols - 1) / 2) * pitch[0]
    y = ((rows - 1) / 2 - row) * pitch[1]
    centres = np.stack([x, y], axis=1) / (diameter_mm / 2)
    chance = DIE_PATTERNS[pattern](rng, centres, max(pitch) / (diameter_mm / 2))
    if pattern not in {"Random", "Near-full"}:
        chance = np.maximum(chance, rng.uniform(0.015, 0.13))
    status = np.zeros(exists.shape, dtype=np.uint8)
    status[row, col] = np.where(rng.random(len(row)) < chance, FAIL, PASS)
    return DieMap(status, pitch, diameter_mm)


def _layout(
    rng: np.random.Generator, dies: int, diameter_mm: float
) -> tuple[NDArray[np.bool_], tuple[float, float]]:
    """Which dies (rows, cols) lie wholly within the usable radius, and their pitch in mm (to 1 um)."""
    radius = diameter_mm / 2 - EDGE_EXCLUSION_MM
    area = np.pi * radius**2 / (dies * (1 + 1.6 / np.sqrt(dies)))
    shape = np.exp(rng.uniform(-0.4, 0.4))
    pitch = (round(float(np.sqrt(area * shape)), 3), round(float(np.sqrt(area / shape)), 3))
    rows, cols = int(2 * radius / pitch[1]), int(2 * radius / pitch[0])
    right = (np.abs(np.arange(cols) - (cols - 1) / 2) + 0.5) * pitch[0]
    top = (np.abs(np.arange(rows) - (rows - 1) / 2) + 0.5) * pitch[1]
    exists = np.hypot(top[:, None], right[None, :]) <= radius
    return exists[exists.any(axis=1)][:, exists.any(axis=0)], pitch


def center(rng: np.random.Generator, at: Points, die: float) -> Chances:
    size = rng.uniform(0.16, 0.34)
    away = np.hypot(*(at - rng.normal(0, 0.04, 2)).T)
    return _soft(away, size, 0.05 + die / 2, rng.uniform(0.8, 0.97))


def donut(rng: np.random.Generator, at: Points, die: float) -> Chances:
    middle, half = rng.uniform(0.38, 0.55), rng.uniform(0.1, 0.16)
    at = at - rng.normal(0, 0.05, 2)
    towards = np.arctan2(at[:, 1], at[:, 0]) - rng.uniform(0, 2 * np.pi)
    weaker = 1 - rng.uniform(0, 0.5) * (0.5 + 0.5 * np.cos(towards))
    return _soft(np.abs(np.hypot(*at.T) - middle), half, 0.03, 0.9) * weaker


def edge_loc(rng: np.random.Generator, at: Points, die: float) -> Chances:
    towards = polar(np.ones(1), rng.uniform(0, 2 * np.pi, 1))[0]
    angle = np.arccos(np.clip(at @ towards / (np.hypot(*at.T) + 1e-9), -1, 1))
    deep = max(rng.uniform(0.12, 0.3), 1.5 * die)
    return _soft(angle, rng.uniform(0.25, 0.6), 0.08, 1.0) * _soft(_from_rim(at), deep, 0.05, 0.92)


def edge_ring(rng: np.random.Generator, at: Points, die: float) -> Chances:
    chance = _soft(_from_rim(at), die * rng.uniform(1.0, 1.8), 0.01, rng.uniform(0.75, 0.97))
    gap = np.cos(np.arctan2(at[:, 1], at[:, 0]) - rng.uniform(0, 2 * np.pi)) > np.cos(rng.uniform(0, 0.6))
    return np.where(gap, 0.3 * chance, chance)


def loc(rng: np.random.Generator, at: Points, die: float) -> Chances:
    where = polar(rng.uniform(0.35, 0.6, 1), rng.uniform(0, 2 * np.pi, 1))[0]
    away = np.hypot(*(turned(at - where, rng.uniform(0, np.pi)) / [1.0, rng.uniform(0.6, 1.0)]).T)
    return _soft(away, rng.uniform(0.14, 0.26), 0.04, rng.uniform(0.8, 0.95))


def near_full(rng: np.random.Generator, at: Points, die: float) -> Chances:
    return np.full(len(at), rng.uniform(0.85, 0.98))


def none(rng: np.random.Generator, at: Points, die: float) -> Chances:
    return np.zeros(len(at))


def random(rng: np.random.Generator, at: Points, die: float) -> Chances:
    return rng.uniform(0.35, 0.55) + rng.uniform(-0.12, 0.12) * at[:, 0]


def scratch(rng: np.random.Generator, at: Points, die: float) -> Chances:
    """A thin line, straight or bent, one die wide."""
    length = rng.uniform(0.5, 1.1)
    if rng.random() < 0.4:
        line = segment((-length / 2, 0.0), (length / 2, 0.0))
    else:
        bend = rng.uniform(0.7, 2.0) * length
        line = arc(bend, np.pi / 2 - length / bend / 2, np.pi / 2 + length / bend / 2, (0.0, -bend))
    line = turned(line, rng.uniform(0, 2 * np.pi)) + polar(np.full(1, 0.4), rng.uniform(0, 2 * np.pi, 1))
    steps = along(rng, line, int(6 * length / die), regular=1.0)
    nearest = np.hypot(*(at[:, None] - steps[None]).transpose(2, 0, 1)).min(axis=1)
    return np.where(nearest < 0.45 * die, rng.uniform(0.88, 1.0), 0.0)


def _from_rim(at: Points) -> Chances:
    """How far each die is from the outermost dies in its direction, at least nearly."""
    away = np.hypot(*at.T)
    return np.asarray(away.max() - away)


def _soft(distance: Chances, reach: float, fade: float, most: float) -> Chances:
    """`most` below `reach`, then falling to 0 over about `fade`."""
    return np.asarray(most / (1 + np.exp(np.clip((distance - reach) / (fade / 2 + 1e-9), -50, 50))))


DIE_PATTERNS: dict[str, DiePattern] = {
    "Center": center,
    "Donut": donut,
    "Edge-Loc": edge_loc,
    "Edge-Ring": edge_ring,
    "Loc": loc,
    "Near-full": near_full,
    "None": none,
    "Random": random,
    "Scratch": scratch,
}
