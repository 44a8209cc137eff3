"""From pixels to a map of people: whole, or tile by tile where the image is large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from pipelines.common.errors import UserError
from pipelines.common.hardware import resolve_device
from pipelines.common.models import bundled_models, find_model
from pipelines.crowd.config import TASK, NetworkPlan
from pipelines.crowd.count import empty
from pipelines.crowd.count.config import PredictConfig
from pipelines.crowd.count.field import reach
from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.count.tiles import Box, tiles, whole
from pipelines.crowd.data.record import Pixels
from pipelines.crowd.density import grid_shape
from pipelines.crowd.model.network import Counts, as_input, filled_up
from pipelines.crowd.model.trained import TrainedModel, load_trained
from pipelines.crowd.train.images import fitted

SOME_HALO: Final = 256  # px around a tile for a network that sees the whole image
# Bytes that a network's features take per px at their peak, as measured on a CPU, rounded up; ours in its
# default widths.
BYTES_PER_PX: Final = {
    "sparse-counter": 120,
    "dense-counter": 120,
    "mcnn": 300,
    "m-segnet": 1400,
    "m-sfanet": 1400,
    "hmode": 700,
}
MOST_AT_ONCE: Final = 8  # small frames of a video: what each costs beside its sites is shared
USUAL_WIDTH: Final = 16  # channels at half resolution, where most of ours are


class Predictor:
    """A model that is loaded once and counts image after image.

    max_side: px, to which the longer side of larger images is reduced; 0 if none are. enlarge: how many times
    larger the others are made, as in the training. reach: px around a
    block that its count depends on; None if all of the image does, so that counts in tiles differ a little
    from those of the whole.
    """

    def __init__(self, model: TrainedModel, config: PredictConfig, engine: str = "native") -> None:
        self.model, self.config, self.engine = model, config, engine
        self.reach = reach(model.plan)
        self.halo = SOME_HALO if self.reach is None else self.reach
        trained = model.config.get("training", {})
        self.max_side = _positive(trained.get("max_side")) if config.max_side is None else config.max_side
        self.enlarge = _positive(trained.get("enlarge")) or 1.0
        self.most_pixels = config.memory_mib * 2**20 // bytes_per_px(model.plan)

    @classmethod
    def load(cls, config: PredictConfig) -> Predictor:
        """Load the model that the config names. Raises UserError."""
        dense = None if config.network == "auto" else config.network == "dense-counter"
        model = load_trained(
            find_model(TASK, config.model if config.model != "auto" else _bundled()),
            engine=config.engine,
            device=resolve_device(config.device),
            dense=dense,
        )
        return cls(model, config, "native" if config.engine == "auto" else config.engine)

    @property
    def has_gate(self) -> bool:
        """Whether a sparse decoder refines some of the blocks only."""
        return self.model.plan.name == "sparse-counter"

    def describe(self) -> dict[str, Any]:
        """The model, as `run.json` holds it."""
        return {
            "name": self.model.name,
            "sha256": self.model.sha256,
            "network": self.model.plan.name,
            "intervals": bool(self.model.calibration),
            "max_side": self.max_side,
            "enlarge": self.enlarge,
        }

    def predict(self, pixels: Pixels, told: Callable[[float], None] = lambda share: None) -> CountMap:
        """The map of an image, reduced if it is larger than the model is made for.

        pixels: RGB uint8 (H, W, 3). told: gets the share that is done, 0 to 1.
        """
        return self.predict_prepared(self.prepared(pixels), told)

    def prepared(self, pixels: Pixels) -> Pixels:
        """The image in the size in which it is counted; see `fitted`."""
        return fitted(pixels, self.max_side, self.enlarge)

    def predict_prepared(
        self, pixels: Pixels, told: Callable[[float], None] = lambda share: None
    ) -> CountMap:
        """The map of an image as `prepared` gives it."""
        if self.shows_nothing(pixels):
            return empty.shows_nothing(self.blank(*pixels.shape[:2]))
        return self.guarded(self.raw(pixels, told))

    def predict_many(self, images: Sequence[Pixels]) -> list[CountMap]:
        """The maps of prepared images of one size, such as frames of a video, computed together."""
        dark = [self.shows_nothing(one) for one in images]
        maps = iter(self._raw_many([one for one, is_dark in zip(images, dark, strict=True) if not is_dark]))
        return [
            empty.shows_nothing(self.blank(*one.shape[:2])) if is_dark else self.guarded(next(maps))
            for one, is_dark in zip(images, dark, strict=True)
        ]

    def at_once(self, height: int, width: int) -> int:
        """How many images of this size in px, not yet prepared, are computed together; at least one."""
        seen = self.whole(round(height * self.enlarge), round(width * self.enlarge))
        return max(1, min(MOST_AT_ONCE, self.most_pixels // (seen.bottom * seen.right)))

    def shows_nothing(self, pixels: Pixels) -> bool:
        """Whether the guard counts 0 without asking the network."""
        return self.config.empty_guard and empty.featureless(pixels)

    def guarded(self, found: CountMap) -> CountMap:
        """The map, or one with nobody where the model's own gate says so."""
        if not self.config.empty_guard or not self.has_gate:
            return found
        return empty.behind_the_gate(found, self.model.plan.threshold)

    def raw(self, pixels: Pixels, told: Callable[[float], None] = lambda share: None) -> CountMap:
        """The map of a prepared image as the network gives it."""
        boxes = self.tiles(*pixels.shape[:2])
        found = self.blank(*pixels.shape[:2])
        for number, box in enumerate(boxes):
            told(number / len(boxes))
            self.compute(pixels, box, self.halo, found)
        return replace(found, tiles=len(boxes))

    def tiles(self, height: int, width: int) -> list[Box]:
        """The parts in which an image of this size in px is computed."""
        return tiles(self.whole(height, width), self.most_pixels, self.halo)

    def blank(self, height: int, width: int) -> CountMap:
        """A map of an image of this size with nobody in it."""
        stride = self.model.network.stride
        shape = grid_shape(height, width, stride)
        ours = self.model.plan.name.endswith("-counter")
        return CountMap(
            np.zeros(shape, np.float32),
            *(stride, height, width),
            np.zeros(shape, np.float32) if ours else None,
            np.zeros(shape, np.bool_) if ours else None,
        )

    def compute(self, pixels: Pixels, box: Box, halo: int, into: CountMap) -> None:
        """Compute the blocks of `box`, which begins on GRID, into a map's arrays; halo: px seen around it."""
        height, width = pixels.shape[:2]
        seen = box.grown(halo, self.whole(height, width))
        self._place(self._ask([pixels], seen), 0, seen, box, into)

    def _raw_many(self, images: Sequence[Pixels]) -> list[CountMap]:
        if not images:
            return []
        height, width = images[0].shape[:2]
        boxes = self.tiles(height, width)
        if len(boxes) > 1:
            return [self.raw(one) for one in images]
        maps = [replace(self.blank(height, width), tiles=1) for _ in images]
        found = self._ask(images, boxes[0])
        for number, one in enumerate(maps):
            self._place(found, number, boxes[0], boxes[0], one)
        return maps

    def _place(self, found: Counts, number: int, seen: Box, box: Box, into: CountMap) -> None:
        """Put the blocks of `box` into a map's arrays: of one of the images of which `seen` was seen."""
        height, width, stride = into.height, into.width, into.stride
        end = grid_shape(min(box.bottom, height), min(box.right, width), stride)
        target = slice(box.top // stride, end[0]), slice(box.left // stride, end[1])
        source = tuple(
            slice(one.start - begin // stride, one.stop - begin // stride)
            for one, begin in zip(target, (seen.top, seen.left), strict=True)
        )
        into.counts[target] = found.counts[number].cpu().numpy()[source]
        if into.variance is not None and found.variance is not None:
            into.variance[target] = found.variance[number].cpu().numpy()[source]
        if into.gate is not None and found.gate is not None:
            into.gate[target] = found.gate[number].cpu().numpy()[source]

    def whole(self, height: int, width: int) -> Box:
        """An image of this size in px, filled up as the network needs it."""
        return whole(height, width, self.model.network.multiple)

    def _ask(self, images: Sequence[Pixels], box: Box) -> Counts:
        """The network's counts of a part of images of one size, filled up as the whole would be."""
        parts = np.stack([one[box.top : box.bottom, box.left : box.right] for one in images])
        with torch.inference_mode():
            seen = as_input(torch.from_numpy(parts).to(self.model.device))
            return self.model.network.block_counts(filled_up(seen, self.model.network.multiple))


def bytes_per_px(plan: NetworkPlan) -> int:
    """What a network of this plan takes for each px that it computes on at once."""
    wider = max(1.0, plan.widths[0] / USUAL_WIDTH) if plan.name.endswith("-counter") else 1.0
    return round(BYTES_PER_PX[plan.name] * wider)


def _positive(found: object) -> Any:
    """A number above 0 of a model's config; 0 if it is none."""
    return found if isinstance(found, int | float) and found > 0 else 0


def _bundled() -> str:
    """The bundled model that `auto` stands for. Raises UserError."""
    names = [path.name for path in bundled_models(TASK)]
    if len(names) == 1:
        return names[0]
    if not names:
        raise UserError("no model is bundled: name a model folder with --model")
    raise UserError(f"--model is needed, as several models are bundled: {', '.join(names)}")
