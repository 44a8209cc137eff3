"""Which shapes, textures and colours are drawn. What one style has, another has not, so that a network can be
tested on what it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Range = tuple[float, float]
Body = Literal["smooth", "lobed", "egg", "cauliflower", "dented", "bean"]
Pits = Literal["dots", "gyri", "grains", "cobbles"]
Net = Literal["trees", "mesh"]


@dataclass(frozen=True, slots=True)
class Style:
    """bodies, pits: families of shapes and of surface patterns of polyps; net: how vessels run; wave: mm,
    wavelengths of the polyps' pattern; blood: how much haemoglobin the mucosa holds, 1 is usual; yellow: bile
    on it; lamps: mm from the lens to each lamp; ridge: mm, half widths of folds; octagons: part of the videos
    with cut corners."""

    bodies: tuple[Body, ...]
    pits: tuple[Pits, ...]
    net: Net
    wave: Range
    blood: Range
    yellow: Range
    lamps: tuple[tuple[float, float], ...]
    ridge: Range
    octagons: float


STYLES: dict[str, Style] = {
    "first": Style(
        bodies=("smooth", "lobed", "egg"),
        pits=("dots", "grains"),
        net="trees",
        wave=(0.35, 0.9),
        blood=(0.75, 1.35),
        yellow=(0.0, 0.5),
        lamps=((-3.6, 0.6), (3.6, 0.6)),
        ridge=(1.7, 3.2),
        octagons=0.5,
    ),
    "second": Style(
        bodies=("cauliflower", "dented", "bean"),
        pits=("gyri", "cobbles"),
        net="mesh",
        wave=(0.45, 1.2),
        blood=(0.6, 1.5),
        yellow=(0.1, 0.9),
        lamps=((-3.4, -1.4), (3.4, -1.4), (0.0, 3.8)),
        ridge=(1.4, 2.6),
        octagons=0.5,
    ),
}
