"""What each hit looks like before light falls on it: its colour, its fine normal, how glossy it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.polyp.render.anatomy import HIGH, LOW
from pipelines.polyp.render.lesion import Lesion, directions
from pipelines.polyp.render.march import Hits
from pipelines.polyp.render.scene import POOL, STALK, TOOL, WALL, Scene, Touch
from pipelines.polyp.render.skin import Skin
from pipelines.polyp.render.tool import Tool
from pipelines.polyp.render.vectors import column, dot, length, unit

# Absorption of red, green and blue light by the blood of usual mucosa, by bile, and what tissue scatters back
# without either. Blood takes little red; narrow-band light is 540 nm (shown as red) and 415 nm (green and
# blue), where blood absorbs most.
BLOOD, BILE, BARE = (0.13, 1.02, 1.12), (0.03, 0.16, 0.75), (0.92, 0.82, 0.68)
NARROW_BLOOD, NARROW_BILE, NARROW_BARE = (0.75, 1.5, 1.45), (0.05, 0.5, 0.5), (0.52, 0.8, 0.70)
MUCUS = (0.80, 0.74, 0.52)
POOL_COLOUR = (0.30, 0.20, 0.05)
POOL_CLEAR_MM = 3.5
COIL_MM = 0.7
RIPPLE = 0.02


@dataclass(frozen=True)
class Surface:
    """colour: (3, N) reflectance, linear red, green, blue; normals, film: (3, N), of the tissue and of the
    wet film on it; gloss: (N,), 1 is mucosa that is usually wet."""

    colour: Tensor
    normals: Tensor
    film: Tensor
    gloss: Tensor


def look(scene: Scene, skin: Skin, hits: Hits, touch: Touch, normals: Tensor) -> Surface:
    """The surface at the hits (N), whose smooth normals are (3, N)."""
    along, around = _tangents(normals, touch.angle)
    blood, bile, mucus, slope_z, slope_a, *bubbles = skin.wall.at(touch.angle, hits.points[2])
    arc = touch.angle * skin.around
    # Detail finer than a pixel averages out; left in, it would glitter.
    fine = torch.exp(-((hits.footprint / 0.16) ** 2))
    grain, fine_z, fine_a = fine * skin.tile.at(
        0.86 * arc + 0.5 * hits.points[2], 0.86 * hits.points[2] - 0.5 * arc
    )
    coarse = torch.exp(-((hits.footprint / 0.5) ** 2))
    bump = (coarse * slope_z + fine_z) * along + (coarse * slope_a + fine_a) * around
    blood = blood + grain * (1 - mucus)
    if scene.lesion is not None and skin.polyp is not None:
        near = (touch.body < 1.5).nonzero()[:, 0]
        if len(near):
            own = _on_polyp(
                scene.lesion, skin, hits, touch, near, (along[:, near], around[:, near], normals[:, near])
            )
            soft = 0.02 * scene.lesion.size + 0.05
            share = torch.sigmoid((touch.gap[near] - touch.body[near]) / soft)
            share = torch.where(
                touch.label[near] == STALK, torch.exp(-touch.body[near].clamp_min(0) / 0.5), share
            )
            blood[near] += share * (own[0] - blood[near])
            mucus[near] += share * (own[1] - mucus[near])
            bile[near] *= 1 - 0.6 * share
            bump[:, near] += share * (fine[near] * own[2:] - bump[:, near])
    stalk = touch.label == STALK
    mucus = torch.where(stalk, 0.0, mucus)
    colour = _tissue(blood.clamp_min(0.05), bile, mucus, skin.narrow)
    gloss = skin.wet * (0.75 + 0.5 * mucus)
    gloss = torch.where((hits.points[2] > HIGH - 1) | (hits.points[2] < LOW + 1), 0.0, gloss)
    if scene.pool is not None:
        mine = touch.label == POOL
        # Deeper liquid hides more of the wall under it.
        through = torch.exp(-touch.gap.clamp_min(0) / POOL_CLEAR_MM)
        turbid = torch.tensor(POOL_COLOUR)[:, None] * (1 + 0.6 * grain)
        colour = torch.where(mine, turbid + through * (colour - turbid), colour)
        bump = torch.where(mine, 0.5 * bump + RIPPLE * torch.sin(0.9 * hits.points[[1, 2, 0]]), bump)
    if scene.tool is not None:
        mine = touch.label == TOOL
        colour = torch.where(mine, _tool(scene.tool, hits), colour)
        bump = torch.where(mine, 0.0, bump)
        gloss = torch.where(mine, 0.8, gloss)
    film = 0.6 * bump
    if bubbles:  # clear: only what they mirror is seen of them
        film = film + torch.where(
            touch.label == WALL, coarse * (bubbles[0] * along + bubbles[1] * around), 0.0
        )
    return Surface(colour, _tilted(normals, bump), _tilted(normals, film), gloss)


def _tool(tool: Tool, hits: Hits) -> Tensor:
    """Reflectance (3, N) of the instrument: plastic, or the windings of a coil."""
    axis = (tool.tip - tool.start) / np.linalg.norm(tool.tip - tool.start)
    along = dot(hits.points - column(tool.start, hits.points), column(axis, hits.points))
    stripes = torch.sin(along * (2 * torch.pi / COIL_MM)) * torch.exp(-((hits.footprint / 0.25) ** 2))
    depth = 0.35 if tool.kind == "forceps" else 0.0
    return torch.tensor(tool.colour)[:, None] * (1 + depth * stripes)


def _tissue(blood: Tensor, bile: Tensor, mucus: Tensor, narrow: bool) -> Tensor:
    """Reflectance (3, N) by Beer and Lambert's law over a path of fixed length, then mucus in front of it."""
    taken, tint, bare = (NARROW_BLOOD, NARROW_BILE, NARROW_BARE) if narrow else (BLOOD, BILE, BARE)
    rows = [
        scattered * torch.exp(-absorbed * blood - yellow * bile)
        for absorbed, yellow, scattered in zip(taken, tint, bare, strict=True)
    ]
    colour = torch.stack(rows)
    cover = 0.55 * mucus
    return colour + cover * (
        torch.tensor(MUCUS)[:, None] * torch.exp(-torch.tensor(tint)[:, None] * bile) - colour
    )


def _tangents(normals: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (3, N) in the surface: nearly along the tube, and round it with growing angle."""
    x, y, z = normals
    along = torch.stack([-z * x, -z * y, 1 - z * z])
    along = unit(along)
    around = torch.stack([-angle.sin(), angle.cos(), torch.zeros_like(angle)])
    around = unit(around - dot(around, normals) * normals)
    return along, around


def _on_polyp(
    lesion: Lesion, skin: Skin, hits: Hits, touch: Touch, near: Tensor, frame: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """Blood, mucus and the relief's gradient (5, M), the gradient in the world, at the hits `near` (M,)."""
    assert skin.polyp is not None
    local = lesion.local(hits.points[:, near], touch.angle[near], touch.gap[near])
    scaled = local / column(lesion.half, local)
    polar, azimuth = directions(scaled, length(scaled).clamp_min(1e-6))
    blood, mucus, *slopes = skin.polyp.at(azimuth, polar)
    x, y, z = slopes
    if lesion.axes is not None:
        gradient = torch.as_tensor(lesion.axes, dtype=local.dtype) @ torch.stack([x, y, z])
    else:
        along, around, up = frame
        cosine, sine = np.cos(lesion.spin), np.sin(lesion.spin)
        gradient = (cosine * x - sine * y) * along + (sine * x + cosine * y) * around + z * up
    return torch.cat([blood[None], mucus[None], gradient])


def _tilted(normals: Tensor, gradient: Tensor) -> Tensor:
    """Normals (3, N) of a relief with this gradient on a surface with these normals."""
    return unit(normals - gradient + dot(gradient, normals) * normals)
