"""Light from the lamps beside the lens, and what comes back: diffuse, glints of the wet film, light between
walls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.polyp.render.camera import Camera, Pose
from pipelines.polyp.render.filters import Image, blur, shrunk, stretched
from pipelines.polyp.render.march import Hits
from pipelines.polyp.render.shadows import lit_parts
from pipelines.polyp.render.surface import Surface
from pipelines.polyp.render.vectors import column, dot, unit

REFERENCE_MM = 20.0  # a white wall at this distance, face on, sends back 1
WRAP = 0.12  # light that enters the tissue comes out beside where it fell
SOFT_MM = (0.9, 0.35, 0.25)  # how far red, green and blue light wander in tissue
BROAD = 0.25  # part of the film that is rough
BOUNCE = 0.25  # part of the light of its surroundings that falls on a place


@dataclass(frozen=True)
class Lamps:
    """offsets: (x, y) in mm from the lens in camera axes; spread: power of the cosine from the optical axis;
    powers: of each lamp, 1 together."""

    offsets: tuple[tuple[float, float], ...]
    spread: float
    powers: tuple[float, ...]


@dataclass(frozen=True)
class Beam:
    """Light of one lamp at N places. strength: (N,), in units of REFERENCE_MM, before the cosine; ahead: (3,
    N), unit vectors towards the lamp."""

    strength: Tensor
    ahead: Tensor


def beams(lamps: Lamps, pose: Pose, points: Tensor) -> list[Beam]:
    """Of each lamp at points (3, N): inverse square of the distance, and the lamp's own spread."""
    axes = torch.as_tensor(pose.axes, dtype=points.dtype)
    found = []
    for (x, y), power in zip(lamps.offsets, lamps.powers, strict=True):
        ahead = column(pose.place + pose.axes @ np.array([x, y, 0.0]), points) - points
        square = dot(ahead, ahead)
        ahead = ahead / square.sqrt()
        off = -dot(axes[:, 2:], ahead)
        found.append(Beam(power * REFERENCE_MM**2 / square * off.clamp_min(0.05) ** lamps.spread, ahead))
    return found


def irradiance(falling: list[Beam], normals: Tensor) -> Tensor:
    """What falls (N,) on surfaces with these normals (3, N): the cosine, a little of it round the edge."""
    total = torch.zeros(normals.shape[1])
    for beam in falling:
        total += beam.strength * ((1 - WRAP) * dot(normals, beam.ahead) + WRAP).clamp_min(0)
    return total


def glints(falling: list[Beam], rays: Tensor, surface: Surface, rough: float) -> Tensor:
    """Light (N,) that the wet film mirrors: Beckmann's distribution of slopes with Schlick's Fresnel term."""
    total = torch.zeros(rays.shape[1])
    for beam in falling:
        half = unit(beam.ahead - rays)
        square = dot(half, surface.film).clamp(1e-3, 1) ** 2
        slopes = torch.exp((square - 1) / (square * rough**2)) / (torch.pi * rough**2 * square * square)
        mirror = 0.03 + 0.97 * (1 - dot(half, beam.ahead).clamp(0, 1)) ** 5
        total += beam.strength * surface.gloss * mirror * slopes / 4
    return total


def lit(camera: Camera, pose: Pose, lamps: Lamps, hits: Hits, surface: Surface, rough: float) -> Image:
    """The light (height, width, 3) that reaches the lens, linear; 0 where no ray was followed."""
    parts = lit_parts(camera, pose, hits, lamps.offsets)
    bare = beams(lamps, pose, hits.points)
    shaded = [Beam(beam.strength * part, beam.ahead) for beam, part in zip(bare, parts, strict=True)]
    falling = irradiance(shaded, surface.normals)
    square = (hits.far / REFERENCE_MM) ** 2
    seen = _image(camera, hits.index, torch.ones_like(hits.far))
    shading = _image(camera, hits.index, falling * square)
    # Averaged as logarithms, as a far wall gets little from the near one that is beside it in the picture.
    logs = _image(camera, hits.index, falling.clamp(1e-3, 8.0).log())
    ambient = np.exp(_spread(logs, seen, camera.height / 16)).reshape(-1)[hits.index.numpy()]
    per_mm = 1 / float(hits.footprint.median())
    colours = []
    for channel, reach in enumerate(SOFT_MM):
        # Divided by the fall-off, so that a near edge does not glow on what lies far behind it.
        soft = 0.5 * (shading + blur(shading, float(np.clip(0.5 * reach * per_mm, 0.3, 6))))
        direct = soft.reshape(-1)[hits.index.numpy()] / square.numpy()
        colour = surface.colour[channel].numpy()
        colours.append(colour * (direct + BOUNCE * ambient * colour.mean()))
    shine = glints(shaded, hits.rays, surface, rough)
    shine += BROAD * glints(shaded, hits.rays, surface, 3.5 * rough)
    image = np.zeros((camera.height * camera.width, 3), np.float32)
    image[hits.index.numpy()] = (np.stack(colours) + shine.numpy()).T
    return image.reshape(camera.height, camera.width, 3)


def _image(camera: Camera, index: Tensor, values: Tensor) -> Image:
    image = np.zeros(camera.height * camera.width, np.float32)
    image[index.numpy()] = values.numpy()
    return image.reshape(camera.height, camera.width)


def _spread(image: Image, seen: Image, reach: float) -> Image:
    """A wide blur within what is seen, on an eighth of the pixels."""
    wide, share = (blur(shrunk(one, 8), reach / 8) for one in (image, seen))
    return stretched(np.asarray(wide / np.maximum(share, 1e-3), np.float32), image.shape[1], image.shape[0])
