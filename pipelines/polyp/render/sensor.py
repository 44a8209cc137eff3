"""From light to the 8-bit frame: focus, motion, glare, exposure, noise, sharpening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.render.camera import Camera
from pipelines.polyp.render.filters import Image, blur, moved, shrunk, smeared, stretched

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
GAMMA = 1 / 2.2
SHARPEST_PX = 0.55  # blur of the lens and the mosaic at their best


@dataclass(frozen=True, slots=True)
class Sensor:
    """Of one video. brightness: of the mean, after exposure; peak: how much of the frame may burn out;
    balance: (3,) gains of the colours; aperture: mm, what the lens blurs out of focus; focus: mm; grain:
    noise at usual gain; sharpen: 0 to 1; split: the colours are exposed one after the other; bloom: part of
    the light that scatters."""

    brightness: float
    peak: float
    balance: tuple[float, float, float]
    aperture: float
    focus: float
    grain: float
    sharpen: float
    split: bool
    bloom: float
    saturation: float


def draw_sensor(rng: np.random.Generator) -> Sensor:
    red, blue = rng.uniform(0.85, 1.1), rng.uniform(0.85, 1.25)
    return Sensor(
        brightness=float(rng.uniform(0.12, 0.36)),
        peak=float(rng.uniform(0.9, 0.985)),
        balance=(float(red), 1.0, float(blue)),
        aperture=float(rng.uniform(0.08, 0.25)),
        focus=float(rng.uniform(9, 22)),
        grain=float(rng.uniform(0.004, 0.016)),
        sharpen=float(rng.uniform(0.0, 0.9)),
        split=bool(rng.random() < 0.2),
        bloom=float(rng.uniform(0.01, 0.06)),
        saturation=float(rng.uniform(0.85, 1.2)),
    )


def develop(
    rng: np.random.Generator,
    sensor: Sensor,
    camera: Camera,
    light: Image,
    depth: Image,
    seen: NDArray[np.bool_],
    motion: tuple[float, float] = (0.0, 0.0),
    defocus: float = 0.0,
) -> NDArray[np.uint8]:
    """The frame (height, width, 3), red first.

    light: (height, width, 3), linear; depth: (height, width) mm; motion: px, x and y, during the exposure;
    defocus: px, more blur than the distance explains.
    """
    gain = _gain(sensor, light[seen])
    image = np.clip(light, 0, 40 / gain)  # electrons spill no further
    glare = blur(shrunk(image, 4), camera.height / 60)
    image = image + sensor.bloom * stretched(glare, camera.width, camera.height)
    image = _focused(sensor, camera, image, depth, defocus)
    image = _moved(image, motion, sensor.split)
    image = gain * image * np.array(sensor.balance, np.float32)
    # Light comes in quanta; amplified, when it is dark, so is the noise.
    amplified = np.float32(np.sqrt(np.clip(gain, 0.3, 30)))
    sigma = sensor.grain * amplified * np.sqrt(0.05 + np.clip(image, 0, 1))
    noise = rng.standard_normal(image.shape, np.float32)
    image = np.clip(image + sigma * (0.6 * noise + 0.8 * blur(noise, 0.8)), 0, None)
    # Linear almost to the top, then full: highlights burn out.
    image = image / (1 + image**5) ** np.float32(0.2)
    grey = (image @ LUMA)[..., None]
    image = np.clip(grey + sensor.saturation * (image - grey), 0, 1) ** GAMMA
    if sensor.sharpen:
        image = image + sensor.sharpen * (image - blur(image, 1.3))
    found: NDArray[np.uint8] = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return found


def _gain(sensor: Sensor, light: Image) -> float:
    """As the automatic exposure chooses it: the mean, unless too much would burn out."""
    luma = light @ LUMA
    mean = float(np.minimum(luma, 6 * np.median(luma) + 1e-6).mean())
    bright = float(np.quantile(luma[::7], sensor.peak))
    return float(np.clip(min(sensor.brightness / max(mean, 1e-6), 1.6 / max(bright, 1e-6)), 0.02, 60))


def _focused(sensor: Sensor, camera: Camera, image: Image, depth: Image, defocus: float) -> Image:
    """Blurred by the circle of confusion of a thin lens, mixed from a few even blurs."""
    away = np.where(depth > 0, depth, np.float32(sensor.focus))
    spot = sensor.aperture * camera.fx * np.abs(1 / away - 1 / sensor.focus) * 0.35 + SHARPEST_PX
    soft = blur(np.hypot(spot, defocus), 2.0)
    levels = [level for level in (SHARPEST_PX, 1.2, 2.4, 4.8) if level < 2 * soft.max()]
    if defocus > levels[-1]:
        levels.append(defocus)
    blurred = [blur(image, level) for level in levels]
    found = blurred[0]
    for low, high, softer in zip(levels[:-1], levels[1:], blurred[1:], strict=True):
        share = np.clip((soft - low) / (high - low), 0, 1)[..., None]
        found = found + share * (softer - found)
    return found


def _moved(image: Image, motion: tuple[float, float], split: bool) -> Image:
    """Smeared along a straight way, or each colour a third of the way further on."""
    x, y = motion
    if np.hypot(x, y) < 0.5:
        return image
    if split:
        steps = zip(range(3), (-0.4, 0.0, 0.4), strict=True)
        image = np.stack([moved(image[..., channel], x * part, y * part) for channel, part in steps], axis=-1)
        x, y = x / 3, y / 3
    return smeared(image, x, y)
