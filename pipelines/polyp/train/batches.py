"""Frames drawn polyp by polyp, changed at random, as a network encodes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pipelines.common.media.record import Pixels
from pipelines.common.training.spread.world import ALONE, World
from pipelines.polyp.metrics import size_class
from pipelines.polyp.model.network import Seen, Sizer
from pipelines.polyp.model.sites import Sites
from pipelines.polyp.model.views import Views
from pipelines.polyp.train.config import TrainConfig
from pipelines.polyp.train.store import StoredFrame, StoredPolyp


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """views: what the network takes. mm: float32 (B,). censored: bool (B,). share: of the frames of the whole
    batch, which several processes divide."""

    views: list[Views | Sites]
    mm: Tensor
    censored: Tensor
    share: float = 1.0


class Batches:
    """Draws batches; the same generator gives the same ones.

    The three classes of size are drawn equally often, then a polyp, then one of its usable frames: a polyp
    with many frames counts as one with few.
    """

    def __init__(self, polyps: Sequence[StoredPolyp], network: Sizer, config: TrainConfig) -> None:
        self.polyps, self.network, self.config = polyps, network, config
        classes = size_class([one.mm for one in polyps])
        self.classes = [np.flatnonzero(classes == one) for one in np.unique(classes)]

    def batch(self, rng: np.random.Generator, world: World = ALONE) -> Batch:
        """`batch_size` frames, or of these the ones that this process takes."""
        chosen = []
        for _ in range(self.config.batch_size):
            among = self.classes[int(rng.integers(len(self.classes)))]
            chosen.append(self.polyps[int(among[rng.integers(len(among))])])
        views = []
        for polyp in chosen:
            usable = polyp.usable
            frame = usable[int(rng.integers(len(usable)))]
            views.append(self.network.encode(changed(frame, self.config, rng)))
        rows = world.share([len(one.places) if isinstance(one, Sites) else 1 for one in views])
        own = [chosen[row] for row in rows]
        return Batch(
            [views[row] for row in rows],
            torch.tensor([one.mm for one in own], dtype=torch.float32),
            torch.tensor([one.censored for one in own]),
            len(rows) / len(views),
        )


def seen(frame: StoredFrame) -> Seen:
    """A stored frame as it is; estimated depths only if it has no others."""
    return Seen(
        np.asarray(frame.pixels),
        frame.box,
        frame.mask,
        frame.estimated if frame.depth is None else frame.depth,
        frame.camera,
        frame.depth is None and frame.estimated is not None,
    )


def changed(frame: StoredFrame, config: TrainConfig, rng: np.random.Generator) -> Seen:
    """A stored frame with its box moved a little, flipped, and in other colours; sizes stay what they are.

    Of one with two kinds of depths, one kind is seen.
    """
    if frame.depth is not None and frame.estimated is not None and rng.random() >= config.own_depth:
        frame = replace(frame, depth=None)
    x0, y0, x1, y1 = frame.box
    longer = max(x1 - x0, y1 - y0)
    moves = rng.normal(0, config.jitter * longer, 4) if config.jitter else np.zeros(4)
    moves = np.clip(moves, -longer / 4, longer / 4)
    box = (x0 + moves[0], y0 + moves[1], max(x1 + moves[2], x0 + moves[0] + 1), y1 + moves[3])
    found = replace(
        seen(frame),
        pixels=recoloured(np.asarray(frame.pixels), config.colour, rng),
        box=(box[0], box[1], box[2], max(box[3], box[1] + 1)),
    )
    if rng.random() < config.flip:
        found = flipped(found)
    for _ in range(int(rng.integers(4)) if rng.random() < config.flip else 0):
        found = turned(found)
    if config.forget_camera and rng.random() < config.forget_camera:
        found = replace(found, camera=None)
    return found


def flipped(one: Seen) -> Seen:
    """Left and right exchanged, for box, maps and camera too."""
    width = one.pixels.shape[1]
    x0, y0, x1, y1 = one.box
    camera = one.camera and replace(one.camera, cx=one.camera.width - one.camera.cx)
    return replace(
        one,
        pixels=np.ascontiguousarray(one.pixels[:, ::-1]),
        box=(width - x1, y0, width - x0, y1),
        mask=None if one.mask is None else np.ascontiguousarray(one.mask[:, ::-1]),
        depth=None if one.depth is None else np.ascontiguousarray(one.depth[:, ::-1]),
        camera=camera,
    )


def turned(one: Seen) -> Seen:
    """A quarter turn to the left: what was at the right is at the top."""
    width = one.pixels.shape[1]
    x0, y0, x1, y1 = one.box
    camera = one.camera and replace(
        one.camera,
        width=one.camera.height,
        height=one.camera.width,
        fx=one.camera.fy,
        fy=one.camera.fx,
        cx=one.camera.cy,
        cy=one.camera.width - one.camera.cx,
    )
    return replace(
        one,
        pixels=np.ascontiguousarray(np.rot90(one.pixels)),
        box=(y0, width - x1, y1, width - x0),
        mask=None if one.mask is None else np.ascontiguousarray(np.rot90(one.mask)),
        depth=None if one.depth is None else np.ascontiguousarray(np.rot90(one.depth)),
        camera=camera,
    )


def recoloured(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Another exposure, contrast and white balance at random; black stays black."""
    if not strength:
        return pixels
    gain = np.exp(rng.normal(0, 0.12 * strength)) * np.exp(rng.normal(0, 0.06 * strength, 3))
    gamma = np.exp(rng.normal(0, 0.15 * strength))
    levels = (np.arange(256) / 255.0) ** gamma * 255
    table = np.clip(np.rint(levels[:, None] * gain), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.stack([table[pixels[:, :, one], one] for one in range(3)], 2))
