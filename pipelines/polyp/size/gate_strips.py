"""What each gate of a network lets through, as strips of colours."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

ACROSS: Final = 512  # px of a strip
TALL: Final = 18


@dataclass(frozen=True, slots=True)
class Strip:
    """One gate. place: in words. picture: a PNG as a data URI: one column a channel, from the most open to
    the least; black is shut, light is open. mean, least, most: 0 to 1."""

    place: str
    channels: int
    picture: str
    mean: float
    least: float
    most: float


def strips(gates: Mapping[str, Sequence[float]]) -> list[Strip]:
    """A strip for each gate that has channels, in the order of the network."""
    return [_strip(place_of(name), values) for name, values in gates.items() if len(values)]


def place_of(name: str) -> str:
    """Where a gate is, in words, from its name in the network: `streams.crop.gates.0` is `crop, stage 1`."""
    if name == "hidden.before":
        return "embeddings and numbers of the camera, joined"
    if name == "hidden.gate":
        return "hidden layer"
    match = re.fullmatch(r"streams\.(\w+)\.gates\.(\d)", name)
    if match:
        return f"{match[1]}, {'embedding' if match[2] == '4' else f'stage {int(match[2]) + 1}'}"
    match = re.fullmatch(r"streams\.(\w+)\.blocks\.(\d+)\.gates\.([01])", name)
    if match:
        return f"{match[1]}, block {int(match[2]) + 1}, {'attention' if match[3] == '0' else 'MLP'}"
    match = re.fullmatch(r"backbone\.stages\.(\d+)\.1\.gate", name)
    if match:
        return f"lesion's pixels, stage {int(match[1]) + 1}"
    match = re.fullmatch(r"streams\.(\w+)\.gate", name)
    return f"{match[1]}, embedding" if match else name


def _strip(place: str, values: Sequence[float]) -> Strip:
    ordered = np.sort(np.asarray(values, np.float32))[::-1]
    columns = np.minimum(np.arange(ACROSS) * len(ordered) // ACROSS, len(ordered) - 1)
    gray = np.tile((np.clip(ordered[columns], 0, 1) * 255).round().astype(np.uint8), (TALL, 1))
    _, content = cv2.imencode(".png", cv2.applyColorMap(gray, cv2.COLORMAP_INFERNO))
    picture = "data:image/png;base64," + base64.b64encode(content.tobytes()).decode("ascii")
    return Strip(
        place,
        len(ordered),
        picture,
        float(ordered.mean()),
        float(ordered[-1]),
        float(ordered[0]),
    )
