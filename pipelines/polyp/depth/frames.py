"""Frames with maps of depth, as squares; changed at random, as batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.media.record import Pixels
from pipelines.polyp.data.record import Camera
from pipelines.polyp.depth.config import DepthConfig
from pipelines.polyp.depth.view import picture_fit, rays_of, squared_map, squared_picture
from pipelines.polyp.lesion.augment import saturated
from pipelines.polyp.train.batches import recoloured
from pipelines.polyp.train.store import StoredFrame, StoredPolyp

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class DepthFrame:
    """A frame in a square of side S. pixels: uint8 (S, S, 3). rays: float32 (2, S / 2, S / 2). depth: float32
    (S / 2, S / 2), mm, 0 where unknown. lesion: bool (S / 2, S / 2). polyp: its number."""

    pixels: Pixels
    rays: Floats
    depth: Floats
    lesion: NDArray[np.bool_]
    polyp: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """pixels: uint8 (B, S, S, 3). rays: float32 (B, 2, S / 2, S / 2). depth: float32 (B, S / 2, S / 2), mm, 0
    where unknown. lesion: float32 of the same shape, 1 on the lesion."""

    pixels: Tensor
    rays: Tensor
    depth: Tensor
    lesion: Tensor


def depth_frames(polyps: Sequence[StoredPolyp], side: int) -> list[DepthFrame]:
    """The usable frames of polyps that have a map of depth and a camera; some 110 kB each at 128 px."""
    return [
        _squared(frame, frame.depth, frame.camera, side, number)
        for number, polyp in enumerate(polyps)
        for frame in polyp.usable
        if frame.depth is not None and frame.camera is not None
    ]


def _squared(frame: StoredFrame, depth: Floats, camera: Camera, side: int, polyp: int) -> DepthFrame:
    pixels, known = np.asarray(frame.pixels), np.array(depth)
    known[~np.isfinite(known)] = 0
    fit = picture_fit(pixels, side)
    lesion = np.zeros(depth.shape, np.float32) if frame.mask is None else frame.mask.astype(np.float32)
    return DepthFrame(
        squared_picture(pixels, fit, side),
        rays_of(camera, fit, side),
        squared_map(known, fit, side),
        squared_map(lesion, fit, side) > 0,
        polyp,
    )


def draw_batch(frames: Sequence[DepthFrame], config: DepthConfig, rng: np.random.Generator) -> Batch:
    """`batch_size` frames; the same generator gives the same ones."""
    numbers = rng.integers(len(frames), size=config.batch_size)
    return batch_of([changed(frames[int(one)], config, rng) for one in numbers])


def batch_of(frames: Sequence[DepthFrame]) -> Batch:
    """Frames as they are."""
    return Batch(
        torch.from_numpy(np.stack([one.pixels for one in frames])),
        torch.from_numpy(np.stack([one.rays for one in frames])),
        torch.from_numpy(np.stack([one.depth for one in frames])),
        torch.from_numpy(np.stack([one.lesion for one in frames])).float(),
    )


def changed(frame: DepthFrame, config: DepthConfig, rng: np.random.Generator) -> DepthFrame:
    """A frame flipped, turned by quarters, and in other colours; depths stay what they are."""
    found = replace(
        frame,
        pixels=recoloured(saturated(frame.pixels, config.colour, rng), config.colour, rng),
    )
    if rng.random() < config.flip:
        found = flipped(found)
    for _ in range(int(rng.integers(4)) if rng.random() < config.flip else 0):
        found = turned(found)
    return found


def flipped(frame: DepthFrame) -> DepthFrame:
    """Left and right exchanged."""
    x, y = frame.rays[:, :, ::-1]
    return replace(
        frame,
        pixels=np.ascontiguousarray(frame.pixels[:, ::-1]),
        rays=np.stack([-x, y]),
        depth=np.ascontiguousarray(frame.depth[:, ::-1]),
        lesion=np.ascontiguousarray(frame.lesion[:, ::-1]),
    )


def turned(frame: DepthFrame) -> DepthFrame:
    """A quarter turn to the left: what was at the right is at the top, and its x is minus its new y."""
    x, y = np.rot90(frame.rays, axes=(1, 2))
    return replace(
        frame,
        pixels=np.ascontiguousarray(np.rot90(frame.pixels)),
        rays=np.stack([y, -x]),
        depth=np.ascontiguousarray(np.rot90(frame.depth)),
        lesion=np.ascontiguousarray(np.rot90(frame.lesion)),
    )
