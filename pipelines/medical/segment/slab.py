"""Probabilities of a few planes at a time, and from them label and certainty on the image's own grid.

Scores of all classes for a whole CT would take tens of GiB. They are held for the planes only that a tile
still reaches. Finished planes are interpolated class by class, keeping the best one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

CHUNK_BYTES = 16 * 2**20  # of one class on the target grid
WIDE_BYTES = 512 * 2**20  # of a slab in float32; a larger one is held in float16
CERTAIN = 255

Sink = Callable[[int, NDArray[np.uint8], NDArray[np.uint8]], None]


class Slab:
    """Adds up probabilities plane by plane and hands on the planes that are finished.

    Axes are in the order of the slab: the slow axis first. `shape` is that of the scored grid, `target` that
    of the grid that the answers are for, over the same field of view. sink: gets the first plane of the
    target, the best class uint8 (n, B, C), and how probable another one is, uint8 (n, B, C) in 1/255.
    """

    def __init__(
        self,
        classes: int,
        shape: Sequence[int],
        target: Sequence[int],
        depth: int,
        sink: Sink,
        device: torch.device | None = None,
    ) -> None:
        self.classes, self.shape, self.target, self.sink = classes, tuple(shape), tuple(target), sink
        depth = min(depth + 1, shape[0])  # one more: the plane that the next target lies between
        self.scores = torch.zeros(
            classes, depth, *shape[1:], dtype=slab_dtype(classes, depth, shape), device=device
        )
        self.first = 0  # the plane at scores[:, 0]
        self._next = 0  # the next plane of the target

    def window(self, start: int, stop: int) -> Tensor:
        """The scores of some planes, (K, stop - start, B, C), to be changed in place."""
        if start < self.first or stop > self.first + self.scores.shape[1]:
            raise ValueError(f"planes {start} to {stop} are not in the slab that begins at {self.first}")
        return self.scores[:, start - self.first : stop - self.first]

    def finish(self, end: int) -> None:
        """Planes before `end` are complete: hand on what they decide, and make room for those after them."""
        lower, upper, share = self._between()
        ready = int(np.searchsorted(upper, end))
        rows = max(self.target[1] * self.target[2], self.shape[1] * self.shape[2])
        step = max(1, CHUNK_BYTES // (4 * rows))
        for begin in range(self._next, ready, step):
            stop = min(begin + step, ready)
            self._decide(begin, lower[begin:stop], upper[begin:stop], share[begin:stop])
        self._next = ready
        self._move(end - 1)

    def _between(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """For each target plane the planes on both sides, and how much the upper one counts."""
        side, wanted = self.shape[0], self.target[0]
        place = np.maximum((np.arange(wanted) + 0.5) * (side / wanted) - 0.5, 0.0)
        lower = np.minimum(place.astype(np.int64), side - 1)
        share = np.where(lower + 1 < side, place - lower, 0.0).astype(np.float32)
        upper = np.where(share > 0, lower + 1, lower)
        return lower, upper, share

    def _decide(
        self, begin: int, lower: NDArray[np.int64], upper: NDArray[np.int64], share: NDArray[np.float32]
    ) -> None:
        first, last = int(lower[0]), int(upper.max()) + 1
        planes = self.window(first, last)
        best = self._on_target(planes[0], lower - first, upper - first, share)
        found = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
        for number in range(1, self.classes):
            if float(planes[number].max()) < 0.9 / self.classes:
                continue  # somewhere another class has at least 1 / K; 0.9 as half precision rounds
            one = self._on_target(planes[number], lower - first, upper - first, share)
            wins = one > best
            found.masked_fill_(wins, number)
            torch.maximum(one, best, out=best)
        doubt = best.clamp_(0, 1).neg_().add_(1).mul_(CERTAIN).round_().to(torch.uint8)
        self.sink(begin, found.cpu().numpy(), doubt.cpu().numpy())

    def _on_target(
        self, planes: Tensor, lower: NDArray[np.int64], upper: NDArray[np.int64], share: NDArray[np.float32]
    ) -> Tensor:
        """One class (n, B, C) on the target grid: linear between planes, bilinear within them."""
        below = planes[torch.from_numpy(lower)].float()
        if share.any():
            above = planes[torch.from_numpy(upper)].float()
            below.lerp_(above, torch.from_numpy(share).to(below.device)[:, None, None])
        if below.shape[1:] == self.target[1:]:
            return below
        size = list(self.target[1:])
        return functional.interpolate(below[None], size=size, mode="bilinear", align_corners=False)[0]

    def _move(self, first: int) -> None:
        """Let the slab begin at a later plane. Class by class, as a copy of all would double the memory."""
        by = min(max(first, self.first), self.shape[0] - self.scores.shape[1]) - self.first
        if by <= 0:
            return
        for scores in self.scores:
            kept = scores[by:].clone()
            scores[: len(kept)] = kept
            scores[len(kept) :] = 0
        self.first += by


def slab_dtype(classes: int, depth: int, shape: Sequence[int]) -> torch.dtype:
    """float32 for a small slab, float16 for a large one: probabilities to 3 digits."""
    wide = 4 * classes * depth * shape[1] * shape[2]
    return torch.float32 if wide <= WIDE_BYTES else torch.float16
