"""Random walls and polyps."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.polyp.render.lesion import Floats, Kind, Lesion, Stalk
from pipelines.polyp.render.noise import band, step
from pipelines.polyp.render.sampling import Chart, on_sphere, sphere_grid
from pipelines.polyp.render.styles import Body, Style
from pipelines.polyp.render.wall import Wall

LOW, HIGH = -90.0, 110.0  # mm, the ends of the tube; the polyp sits near 0
ROWS, COLUMNS = 601, 360
NARROWEST = 5.0  # mm, radius between folds


def draw_wall(rng: np.random.Generator, style: Style, size: float, angle: float) -> Wall:
    """A wall whose folds make room for a polyp of `size` mm at z = 0 and `angle`."""
    radius = float(np.exp(rng.uniform(np.log(15), np.log(30))))
    radius = max(radius, 10 + 0.62 * size)
    z = np.linspace(LOW, HIGH, ROWS)[:, None]
    around = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)[None]
    spacing = ((HIGH - LOW) / ROWS, 2 * np.pi * radius / COLUMNS)
    first = float(rng.uniform(-np.pi, np.pi))
    triangle = rng.uniform(0.02, 0.07) * np.cos(3 * (around - first) + rng.uniform(-0.01, 0.01) * z)
    slow = rng.uniform(0.3, 1.3) * band(rng, (ROWS, COLUMNS), spacing, 9, 60, 1.0)
    fine = rng.uniform(0.02, 0.07) * band(rng, (ROWS, COLUMNS), spacing, 2.5, 9, 1.0)
    folds = _folds(rng, style, radius, first, z, around)
    turn = (around - angle + np.pi) % (2 * np.pi) - np.pi
    away = np.hypot(z, radius * turn).astype(np.float32)
    under = 1 - 0.94 * step(0.6 * size + rng.uniform(3, 7), 0.5 * size, away)
    radii = radius * (1 + triangle) + slow + (fine - folds) * under
    bends = np.zeros((2, 2, 3))
    lengths = rng.uniform(130, 320, (2, 2))
    bends[..., 1] = 2 * np.pi / lengths
    bends[..., 0] = rng.uniform(0.01, 0.055, (2, 2)) * lengths
    bends[..., 2] = rng.uniform(0, 2 * np.pi, (2, 2))
    return Wall.of(np.maximum(radii, NARROWEST).astype(np.float32), LOW, HIGH, bends)


def _folds(
    rng: np.random.Generator, style: Style, radius: float, first: float, z: Floats, around: Floats
) -> NDArray[np.float32]:
    """Heights (rows, columns) in mm of the half-moon folds between the three bands of muscle."""
    total = np.zeros((ROWS, COLUMNS), np.float32)
    at = LOW + rng.uniform(0, 10)
    tall = rng.uniform(0.12, 0.42)
    gap = rng.uniform(9, 26) * (radius / 21) ** 0.5
    while at < HIGH:
        middle = first + 2 * np.pi / 3 * rng.integers(3) + rng.normal(0, 0.35)
        turn = (around - middle + np.pi) % (2 * np.pi) - np.pi
        half = rng.uniform(0.75, 1.7)
        height = radius * min(tall * rng.uniform(0.6, 1.3), 0.5)
        wide = max(rng.uniform(*style.ridge), height / 3.2)
        shifted = z - at - rng.uniform(-3, 3) * np.sin(turn) - rng.uniform(-2, 2) * np.cos(2 * turn)
        crest = np.cos(np.clip(turn / half, -1, 1) * np.pi / 2) ** rng.uniform(0.8, 1.6)
        total = np.maximum(total, height * crest * (1 + (shifted / wide) ** 2) ** -1.6)
        at += gap * rng.uniform(0.55, 1.4)
    return total.astype(np.float32)


def draw_lesion(
    rng: np.random.Generator, style: Style, wall: Wall, kind: Kind, size: float, angle: float
) -> Lesion:
    """A polyp of exactly `size` mm at z = 0 and `angle`."""
    body = style.bodies[int(rng.integers(len(style.bodies)))]
    slim = rng.uniform(0.68, 1.0)
    axes: Floats | None = None
    stalk: Stalk | None = None
    centre = wall.place(*(torch.tensor([value]) for value in (angle, 0.0, 0.0)))[:, 0].double().numpy()
    around = float(wall.radii.at(torch.tensor([angle]), torch.tensor([0.0]))[0, 0])
    if kind == "sessile":
        half = np.array([1.0, slim, rng.uniform(0.45, 0.95)])
        lift, flatness = half[2] * rng.uniform(-0.15, 0.25), rng.uniform(2.0, 2.6)
    elif kind == "flat":
        half = np.array([1.0, slim, 0.0])
        half[2] = 2 * np.clip(size * rng.uniform(0.1, 0.2), 0.35, 2.4) / size
        lift, flatness = 0.0, rng.uniform(2.4, 4.5)
    else:
        half = np.array([1.0, rng.uniform(0.72, 1.0), rng.uniform(0.72, 1.0)])
        lift, flatness = 0.0, 2.0
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        axes[:, 0] *= np.sign(np.linalg.det(axes))
        height = min(size * rng.uniform(0.6, 1.1) + rng.uniform(0, 3), around - 0.5 * size - 1)
        height = max(height, 0.54 * size)
        lean = rng.uniform(-0.7, 0.7) * size + rng.uniform(-3, 3)
        places = [(0.0, -0.5), (0.15 * lean, 0.7 * height), (lean, height)]
        foot, knee, centre = (
            wall.place(*(torch.tensor([value]) for value in (angle, z, up)))[:, 0].double().numpy()
            for z, up in places
        )
        part = np.linspace(0, 1, 7)[:, None]
        nodes = (1 - part) ** 2 * foot + 2 * part * (1 - part) * knee + part**2 * centre
        thick = max(size * rng.uniform(0.1, 0.21), 0.5)
        stalk = Stalk(nodes, thick * (1 + rng.uniform(0.1, 0.6) * (1 - part[:, 0]) ** 3))
    lesion = Lesion(
        kind=kind,
        size=size,
        angle=angle,
        z=0.0,
        half=half * size / 2,
        lift=lift * size / 2,
        spin=float(rng.uniform(0, 2 * np.pi)),
        flatness=flatness,
        radii=Chart.of(_radii(rng, body, kind)[None], 0.0, np.pi),
        fillet=float(np.clip(size * rng.uniform(0.03, 0.1), 0.1, 0.8)) * (0.6 if kind == "flat" else 1.0),
        centre=centre,
        reach=size,
        around=around,
        axes=axes,
        stalk=stalk,
    )
    return lesion.fitted(wall)


def _radii(rng: np.random.Generator, body: Body, kind: Kind) -> NDArray[np.float32]:
    """Radius by direction (rows, columns) of a body of about unit size."""
    grid = sphere_grid(193, 384)
    volume = band(rng, (48, 48, 48), 1 / 48, 1 / 5, 1.0, 1.2)
    where = (grid + rng.uniform(0, 9, (3, 1, 1)).astype(np.float32)).astype(np.float32)
    slow = on_sphere(volume, where, rng.uniform(0.11, 0.16))
    quick = on_sphere(volume, where[::-1].copy(), rng.uniform(0.4, 0.65))
    radii = 1 + rng.uniform(0.03, 0.07) * slow + rng.uniform(0.0, 0.015) * quick
    x, y, z = grid
    if body == "lobed":
        radii += rng.uniform(0.06, 0.12) * slow
    elif body == "egg":
        radii += rng.uniform(0.1, 0.22) * (x * np.cos(one := rng.uniform(0, 6.3)) + y * np.sin(one))
    elif body == "cauliflower":
        radii += rng.uniform(0.06, 0.12) * (0.9 - np.abs(quick)) + 0.05 * slow
    elif body == "dented":
        radii -= rng.uniform(0.15, 0.35) * step(rng.uniform(0.6, 0.8), 1.0, z)
    elif body == "bean":
        bent = x * np.cos(one := rng.uniform(0, 6.3)) + y * np.sin(one)
        radii += rng.uniform(0.08, 0.16) * (2 * bent**2 - 1) - rng.uniform(0.1, 0.25) * step(0.5, 1.0, bent)
    if kind == "flat":
        edge = band(rng, (384,), 1 / 384, 1 / 9, 1.0, 0.8)
        radii *= 1 + rng.uniform(0.03, 0.12) * edge[None] * np.sqrt(np.clip(1 - z**2, 0, 1))
    return np.clip(radii, 0.35, 2.0).astype(np.float32)
