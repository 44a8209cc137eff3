"""Periodic random fields with a chosen range of wavelengths, made from a filtered spectrum."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Field = NDArray[np.float32]


def band(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    spacing: float | tuple[float, ...],
    shortest: float,
    longest: float,
    slope: float = 0.0,
) -> Field:
    """Noise of mean 0 and variance 1 on a grid, periodic along every axis.

    spacing: of the grid, along each axis; shortest, longest: wavelengths, in the same unit. Amplitudes go
    with the wavelength to the power `slope`.
    """
    steps = (spacing,) * len(shape) if isinstance(spacing, float | int) else spacing
    spectrum = scipy.fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    frequency = np.zeros(spectrum.shape, np.float32)
    for axis, (count, step) in enumerate(zip(shape, steps, strict=True)):
        last = axis == len(shape) - 1
        along = (scipy.fft.rfftfreq if last else scipy.fft.fftfreq)(count, step).astype(np.float32)
        frequency += along.reshape([-1 if other == axis else 1 for other in range(len(shape))]) ** 2
    frequency = np.sqrt(frequency)
    # Soft edges, half an octave wide: hard ones ring.
    octaves = np.log2(np.maximum(frequency, 1e-9))
    weight = _rise(octaves + np.log2(longest)) * _rise(-octaves - np.log2(shortest))
    weight *= np.maximum(frequency * shortest, 1e-6) ** -slope
    weight[(0,) * len(shape)] = 0
    field = scipy.fft.irfftn(spectrum * weight, s=shape)
    found: Field = (field / max(float(field.std()), 1e-12)).astype(np.float32)
    return found


def _rise(octaves: Field) -> Field:
    """From 0 at half an octave below to 1 at 0."""
    x = np.clip(2 * octaves + 1, 0, 1)
    risen: Field = x * x * (3 - 2 * x)
    return risen


def step(low: float, high: float, values: Field) -> Field:
    """A smooth step from 0 at `low` to 1 at `high`, which may be the smaller of the two."""
    x = np.clip((values - low) / (high - low), 0, 1)
    risen: Field = (x * x * (3 - 2 * x)).astype(np.float32)
    return risen
