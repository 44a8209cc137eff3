"""The endoscope of one video: intrinsics, field, lamps, sensor, and what its processor writes beside the
picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.render.camera import Camera, Field, FieldShape, last_radius
from pipelines.polyp.render.filters import blur
from pipelines.polyp.render.light import Lamps
from pipelines.polyp.render.sensor import Sensor, draw_sensor
from pipelines.polyp.render.styles import Style

WORDS = 0.4  # part of the videos with text burned in
CHANNEL_MM = 4.2  # from the lens to where instruments come out


@dataclass(frozen=True)
class Optics:
    """panel: uint8 (height, width, 3), what is shown outside the field; channel: (x, y) mm in camera axes,
    where instruments come from; quality: of the JPEG; words: whether text is burned in."""

    camera: Camera
    field: Field
    lamps: Lamps
    sensor: Sensor
    panel: NDArray[np.uint8]
    channel: tuple[float, float]
    quality: int
    words: bool

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which pixels (height, width) the optics leave open."""
        return self.field.inside(self.camera.width, self.camera.height)

    def half_angle(self) -> float:
        """Radians from the optical axis to the rim of the field."""
        rays = self.camera.rays().reshape(3, self.camera.height, self.camera.width)
        row = int(np.clip(self.field.centre[1], 0, self.camera.height - 1))
        return float(np.arccos(rays[2, row][self.seen[row]].min()))

    def framed(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture (height, width, 3) within the field, with what is written around it."""
        share = blur(self.seen, 0.7)[..., None]
        return np.rint(share * image + (1 - share) * self.panel).astype(np.uint8)


def draw_optics(rng: np.random.Generator, style: Style, size: int, lens: np.random.Generator) -> Optics:
    """size: height of the frames in px; lens: where the intrinsics and the field come from, so that videos
    can share them."""
    drawn = lens.random()
    shape: FieldShape = "cropped" if drawn > 0.85 else "octagon" if drawn < style.octagons else "circle"
    wide = lens.random() < WORDS / 2
    width = 2 * round(0.65 * size) if wide else size
    radius = size * lens.uniform(
        *{"circle": (0.46, 0.5), "octagon": (0.46, 0.495), "cropped": (0.54, 0.62)}[shape]
    )
    middle = (width - 0.505 * size if wide else (width - 1) / 2, (size - 1) / 2)
    rim = {"circle": radius, "octagon": 1.085 * radius, "cropped": min(radius, size * 0.7072)}[shape]
    k1 = -float(lens.uniform(0, 0.4))
    most = min(np.tan(np.radians(lens.uniform(42, 60))), 0.93 * last_radius(k1))
    fx = rim / (most * (1 + k1 * most**2))
    cx, cy = np.array(middle) + np.clip(lens.normal(0, 0.004 * size, 2), -0.01 * size, 0.01 * size)
    camera = Camera(
        width=width,
        height=size,
        fx=round(float(fx), 3),
        fy=round(float(fx * lens.uniform(0.99, 1.01)), 3),
        cx=round(float(cx), 3),
        cy=round(float(cy), 3),
        k1=round(k1, 5),
    )
    field = Field(shape, middle, float(radius))
    count = len(style.lamps)
    powers = rng.dirichlet(np.full(count, 30.0))
    shifts = rng.normal(0, 0.15, (count, 2))
    offsets = tuple((float(x + a), float(y + b)) for (x, y), (a, b) in zip(style.lamps, shifts, strict=True))
    lamps = Lamps(offsets, float(rng.uniform(1.0, 3.0)), tuple(powers.tolist()))
    angle = rng.uniform(0.25, 0.75) * np.pi
    words = wide or rng.random() < WORDS / 2 / (1 - WORDS / 2)
    seen = field.inside(width, size)
    panel = _panel(rng, seen, words)
    channel = (float(CHANNEL_MM * np.cos(angle)), float(CHANNEL_MM * np.sin(angle)))
    return Optics(
        camera, field, lamps, draw_sensor(rng), panel, channel, int(rng.integers(72, 96)), bool(words)
    )


def _panel(rng: np.random.Generator, seen: NDArray[np.bool_], words: bool) -> NDArray[np.uint8]:
    """Black or nearly so; with made-up text, marks and a coloured box where there is room."""
    height, width = seen.shape
    panel = np.full((height, width, 3), int(rng.choice([0, 0, 3, 10, 18])), np.uint8)
    if not words:
        return panel
    scale = height / 384 * rng.uniform(0.28, 0.36)
    bright = int(rng.integers(170, 256))
    step = max(round(34 * scale), 8)
    free = ~seen
    for place, lines in ((0.02, _lines(rng)), (rng.uniform(0.72, 0.9), _lines(rng)[-2:])):
        for number, line in enumerate(lines):
            where = (3, round(place * height) + step * (number + 1))
            cv2.putText(panel, line, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (bright,) * 3, 1, cv2.LINE_AA)
    if width > height and rng.random() < 0.4:
        left, top, wide = 4, round(0.5 * height), round(0.2 * height)
        colour = [int(value) for value in rng.integers(40, 220, 3)]
        cv2.rectangle(panel, (left, top), (left + wide, top + round(0.7 * wide)), colour, -1)
    if rng.random() < 0.5:
        cv2.rectangle(panel, (width - 10, height - 9), (width - 4, height - 4), (bright,) * 3, 1)
    found: NDArray[np.uint8] = panel * free[..., None].astype(np.uint8)
    return found


def _lines(rng: np.random.Generator) -> list[str]:
    """What a processor writes, about nobody."""
    day, month, year = rng.integers(1, 29), rng.integers(1, 13), rng.integers(2005, 2024)
    hour, minute, second = rng.integers(0, 24), rng.integers(0, 60), rng.integers(0, 60)
    return [
        f"ID:{rng.integers(10_000, 9_999_999)}",
        "Name:NOBODY",
        f"Sex:{'MF'[int(rng.integers(2))]} Age:{rng.integers(20, 95)}",
        f"{day:02d}/{month:02d}/{year}",
        f"{hour:02d}:{minute:02d}:{second:02d}",
        f"Gr:N CVP:{rng.integers(1, 9)}",
        f"Eh:A{rng.integers(1, 9)} Cm:{rng.integers(0, 3)}",
    ]
