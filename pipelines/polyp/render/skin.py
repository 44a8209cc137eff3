"""Maps of what colours and roughens the surfaces: blood, bile, mucus, bubbles, pits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.render.anatomy import HIGH, LOW
from pipelines.polyp.render.filters import blur, stretched
from pipelines.polyp.render.lesion import Lesion
from pipelines.polyp.render.noise import Field, band, step
from pipelines.polyp.render.sampling import Chart, Tile, on_sphere, sphere_grid
from pipelines.polyp.render.styles import Pits, Style
from pipelines.polyp.render.vessels import mesh, trees

SCALE = 6.0  # px per mm on the wall
COARSER = 3
PALEST = 0.62  # blood of a polyp: less is white
TILE_MM, TILE_PX = 9.0, 384


@dataclass(frozen=True)
class Skin:
    """wall: chart of blood, bile, mucus and the slopes of the relief along and around, with
    bubbles also those of their clear film; tile: fine detail of
    the wall, blood and two slopes, which repeats; polyp: chart by direction of blood, mucus and the relief's
    gradient in the polyp's axes; around: mm per radian round the wall; wet: gloss of all, 1 is usual; narrow:
    narrow-band light."""

    wall: Chart
    tile: Tile
    polyp: Chart | None
    around: float
    wet: float
    narrow: bool


def draw_skin(rng: np.random.Generator, style: Style, lesion: Lesion | None, around: float) -> Skin:
    """Maps for one video. around: mm per radian round the wall."""
    return Skin(
        wall=_wall(rng, style, around),
        tile=_tile(rng),
        polyp=None if lesion is None else _polyp(rng, style, lesion),
        around=around,
        wet=float(np.exp(rng.uniform(np.log(0.6), np.log(4.0)))),
        narrow=bool(rng.random() < 0.06),
    )


def _wall(rng: np.random.Generator, style: Style, around: float) -> Chart:
    shape = (round((HIGH - LOW) * SCALE), round(2 * np.pi * around * SCALE))
    blood = np.full(shape, rng.uniform(*style.blood), np.float32)
    blood *= 1 + rng.uniform(0.05, 0.16) * _slow(rng, shape, 3, 50, 0.7)
    if style.net == "trees":
        count = int(rng.uniform(0.002, 0.012) * shape[0] * shape[1] / SCALE**2)
        vessels = trees(rng, shape, SCALE, count)
    else:
        vessels = mesh(rng, shape, SCALE, rng.uniform(2.5, 5.0))
        vessels = np.maximum(vessels, 0.8 * trees(rng, shape, SCALE, 40))
    vessels = blur(vessels, rng.uniform(0.6, 1.6))
    blood += rng.choice([0.15, 0.5, 0.9, 1.3]) * rng.uniform(0.6, 1.2) * vessels
    if rng.random() < 0.15:  # small spots of redness
        spots = band(rng, shape, 1 / SCALE, 0.8, 3)
        blood += rng.uniform(0.3, 1.0) * step(1.6, 2.4, spots)
    patches = _slow(rng, shape, 4, 40, 1.0)
    bile = rng.uniform(*style.yellow) * (0.6 + 0.4 * step(-1, 1, patches[::-1]))
    edge = rng.uniform(1.3, 5.0)
    mucus = step(edge, edge + 1.2, patches + 0.25 * band(rng, shape, 1 / SCALE, 0.6, 4, 0.7))
    bile = bile + mucus * rng.uniform(0, 1.2)
    relief = 0.03 * rng.uniform(0.2, 1.0) * band(rng, shape, 1 / SCALE, 0.7, 5, 1.0) * (1 - 0.7 * mucus)
    relief += 0.25 * mucus
    layers = [blood, bile, mucus, *np.gradient(relief, 1 / SCALE)]
    if rng.random() < 0.3:
        layers += np.gradient(_bubbles(rng, shape, int(np.exp(rng.uniform(3, 7)))), 1 / SCALE)
    return Chart.of(np.stack(layers).astype(np.float32), LOW, HIGH)


def _slow(
    rng: np.random.Generator, shape: tuple[int, int], shortest: float, longest: float, slope: float
) -> Field:
    """`noise.band` for wavelengths of some mm, made on fewer points."""
    few = (shape[0] // COARSER, shape[1] // COARSER)
    return stretched(band(rng, few, COARSER / SCALE, shortest, longest, slope), shape[1], shape[0])


def _bubbles(rng: np.random.Generator, shape: tuple[int, int], count: int) -> Field:
    """Caps of bubbles (rows, columns), mm high, in a few heaps."""
    relief = np.zeros(shape, np.float32)
    heaps = rng.uniform(0, 1, (4, 2)) * shape
    for _ in range(count):
        radius = float(np.exp(rng.uniform(np.log(0.2), np.log(0.9)))) * SCALE
        heap = heaps[int(rng.integers(4))]
        row, column = (heap + rng.normal(0, 8 * SCALE, 2)).astype(int) % shape
        reach = int(radius) + 1
        rows, columns = slice(max(row - reach, 0), row + reach), slice(max(column - reach, 0), column + reach)
        part = relief[rows, columns]
        y, x = np.ogrid[
            rows.start : rows.start + part.shape[0], columns.start : columns.start + part.shape[1]
        ]
        cap = np.sqrt(np.clip(radius**2 - (y - row) ** 2 - (x - column) ** 2, 0, None))
        np.maximum(part, (0.7 / SCALE * cap).astype(np.float32), out=part)
    return relief


def _tile(rng: np.random.Generator) -> Tile:
    """Fine detail: rows of pits or an irregular grain of some tenths of a millimetre."""
    shape, spacing = (TILE_PX, TILE_PX), TILE_MM / TILE_PX
    wave = rng.uniform(0.25, 0.5)
    grain = band(rng, shape, spacing, wave, 1.7 * wave)
    fine = band(rng, shape, spacing, 0.08, 0.5, 0.6)
    relief = rng.uniform(0.002, 0.012) * grain + 0.003 * fine
    along, across = np.gradient(relief, spacing)
    blood = rng.uniform(0.0, 0.1) * grain + 0.05 * fine
    return Tile.of(np.stack([blood, along, across]).astype(np.float32), TILE_MM)


def _polyp(rng: np.random.Generator, style: Style, lesion: Lesion) -> Chart:
    """Pits, vessels and caps of mucus on the polyp, from a volume of noise that its surface cuts."""
    half = lesion.half * (1.0, 1.0, 1.0 if lesion.kind != "flat" else 0.4)
    rows = int(np.clip(lesion.size * np.pi / 2 / 0.07, 96, 320))
    grid = sphere_grid(rows, 2 * rows)
    places = grid * half[:, None, None].astype(np.float32)
    places = places + rng.uniform(0, 50, (3, 1, 1)).astype(np.float32)
    wave = rng.uniform(*style.wave)
    cells = 8.0  # of the volume in one wave
    volume = band(rng, (72, 72, 72), 1.0, 0.75 * cells, 1.35 * cells)
    pattern = _pattern(volume, style.pits[int(rng.integers(len(style.pits)))])
    turns = cells / wave / 72
    slopes = [np.gradient(pattern, axis=axis) * cells / wave for axis in (2, 1, 0)]
    strength = rng.uniform(0.005, 0.03) * rng.uniform(0.4, 1.0)
    slow = band(rng, (48, 48, 48), 1.0, 10, 48, 0.7)
    patches = on_sphere(slow, places, 0.8 / max(lesion.size, 3.0))
    marks = on_sphere(pattern, places, turns)
    contrast = rng.uniform(0.0, 0.25)
    blood = max(rng.uniform(*style.blood) * rng.uniform(0.75, 1.35), PALEST) * (
        1 + 0.14 * patches - contrast * marks
    )
    veins = on_sphere(volume, places[[2, 0, 1]] + 0.2 * patches, 0.3 * turns)
    blood += rng.uniform(0, 0.7) * step(0.12, 0.0, np.abs(veins)) * step(-0.5, 0.8, patches[::-1])
    edge = rng.uniform(0.9, 4.0)
    mucus = step(edge, edge + 0.6, on_sphere(slow, places[::-1].copy(), 1.3 / max(lesion.size, 3.0)))
    gradient = [strength * on_sphere(slope.astype(np.float32), places, turns) for slope in slopes]
    layers: NDArray[np.float32] = np.stack([blood, mucus, *gradient]).astype(np.float32)
    return Chart.of(layers, 0.0, np.pi)


def _pattern(volume: Field, pits: Pits) -> Field:
    if pits == "dots":
        return step(0.9, 1.8, volume)
    if pits == "grains":
        return step(-1.2, 1.2, volume) - 0.5
    if pits == "gyri":
        return step(0.5, 0.0, np.abs(volume)) - 0.5
    cobbles: Field = np.sqrt(np.abs(volume)) - np.float32(0.8)
    return cobbles
