"""Which numbers of an image are black and which are white. Free of Streamlit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Level and width in HU, as radiologists set them.
CT = {
    "soft tissue": (40.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
}
SHARES = {"1 to 99%": (1.0, 99.0), "0.1 to 99.9%": (0.1, 99.9)}
ALL = "all values"
AIR = -900.0  # an image of unknown kind that goes below this is taken for CT
SAMPLES = 500_000  # voxels that percentiles are taken of

Window = tuple[float, float]


def presets(array: NDArray[Any], modality: str) -> dict[str, Window]:
    """Level and width by name, the best first. array: (A, B, C); modality: `CT`, `MR` or unknown."""
    step = max(1, math.ceil((array.size / SAMPLES) ** (1 / 3)))
    values = array[::step, ::step, ::step].ravel()
    lowest, highest = float(array.min()), float(array.max())
    inside = values[values != 0] if lowest >= 0 else values  # the background of most MR is 0
    inside = inside if len(inside) else values
    shares = {name: window(*np.percentile(inside, limits).tolist()) for name, limits in SHARES.items()}
    whole = {ALL: window(lowest, highest)}
    if modality == "CT" or (modality == "" and lowest < AIR):
        return CT | whole
    return shares | whole


def window(low: float, high: float) -> Window:
    """Level and width, with four digits, that span two numbers."""
    width = high - low if high > low else 1.0
    return float(f"{low + width / 2:.4g}"), float(f"{width:.4g}")


def grey(values: NDArray[Any], level: float, width: float) -> NDArray[np.uint8]:
    """What is drawn for numbers of an image: black below the window, white above it."""
    scaled = (values.astype(np.float32) - (level - width / 2)) * np.float32(255 / max(width, 1e-9))
    painted: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return painted
