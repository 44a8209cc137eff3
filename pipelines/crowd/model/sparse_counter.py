"""Our counter: a light dense stem says where people may be, a sparse decoder counts there more finely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pipelines.crowd.density import block_counts
from pipelines.crowd.model import zero_inflated
from pipelines.crowd.model.gate import finer, training_gate, with_halo
from pipelines.crowd.model.network import Counts, CrowdNetwork, check_images
from pipelines.crowd.model.stem import Features, Stem
from sparse_backbones.convert import load_dense, to_dense
from sparse_backbones.unet import SparseUNet

COARSE, FINE = 16, 8  # px, sides of the blocks of the gate and of the decoder
RATIO = COARSE // FINE
STRIDES = (2, 2)  # of the decoder's levels
FIRST_ZERO, FIRST_RAW = 1.5, 0.5  # where training begins: most blocks are empty, others hold about one head
NEGATIVES = 0.1  # share of blocks without people that the decoder trains on
GATE_WEIGHT, COUNT_WEIGHT = 0.1, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Zero-inflated Poisson distributions of blocks; channel 0 is the logit of pi, 1 the logarithm of lambda.

    coarse: float32 (B, 2, H / 16, W / 16). fine: float32 (B, 2, H / 8, W / 8), meaningful where `refined`,
    which is bool (B, H / 8, W / 8), is True: whole coarse blocks.
    """

    coarse: Tensor
    fine: Tensor
    refined: Tensor


class SparseCounter(CrowdNetwork):
    """Counts with their variance, in blocks of 8 px.

    The stem gives each block of 16 px a zero-inflated Poisson distribution (`zero_inflated`). Where
    the probability of a structural zero leaves `threshold` or more for people, and within a halo of `halo`
    fine blocks as context, a sparse U-network refines it to a distribution for each block of 8 px. Its cost
    follows the blocks where people may be, not the image.

    A block that is not refined counts with its coarse expectation, shared out evenly, and not as 0. That
    expectation is trained on all blocks, so the sum stays right whatever the threshold is, and what the gate
    misses is not lost.

    dense: run the same decoder with the same weights on every block and refine all of them, to compare.
    widths, blocks: channels at strides 2, 4, 8, 16 and 32; residual blocks at 4, 8, 16 and 32. decoder,
    decoder_blocks: the same at 8, 16 and 32 px on active blocks.
    """

    stride = FINE
    multiple = 32
    smallest_batch = 1

    def __init__(
        self,
        engine: ModuleType,
        *,
        widths: Sequence[int] = (16, 32, 64, 128, 160),
        blocks: Sequence[int] = (1, 1, 2, 1),
        decoder: Sequence[int] = (64, 96, 128),
        decoder_blocks: Sequence[int] = (1, 1, 1),
        threshold: float = 0.05,
        halo: int = 1,
        dense: bool = False,
    ) -> None:
        super().__init__()
        self.engine, self.threshold, self.halo, self.dense = engine, threshold, halo, dense
        _, quarter, eighth, sixteenth, _ = widths
        self.stem = Stem(widths, blocks)
        self.coarse = nn.Conv2d(sixteenth, 2, 1)
        self.from_context = nn.Conv2d(sixteenth, eighth, 1)
        # Stride 4 is looked at where a block is active only: four places, side by side.
        self.from_quarter = nn.Linear(RATIO**2 * quarter, eighth, bias=False)
        sparse = SparseUNet(
            engine, eighth, 2, channels=decoder, blocks=decoder_blocks, strides=STRIDES, dimension=2
        )
        self._sparse = (sparse,)  # in a tuple: no part of the module, unless it is the decoder
        self.decoder = to_dense(sparse) if dense else sparse
        with torch.no_grad():
            nn.init.normal_(self.coarse.weight, std=0.01)
            self.coarse.bias.copy_(torch.tensor([FIRST_ZERO, FIRST_RAW]))  # type: ignore[union-attr]
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, gate: Tensor | None = None) -> Maps:
        """images: float32 (B, 3, H, W) with sides of multiples of 32.

        gate: bool (B, H / 16, W / 16), the blocks to refine; None leaves it to the stem. A dense decoder
        refines all, whatever the gate.
        """
        features, coarse = self.look(images)
        if gate is None:
            gate = self.gate(coarse)
        return self.refine(features, coarse, gate)

    def look(self, images: Tensor) -> tuple[Features, Tensor]:
        """Features of the stem, and the coarse distributions as in `Maps`."""
        features: Features = self.stem(images.contiguous(memory_format=torch.channels_last))
        with _single(images):
            features = Features(*(one.float() for one in features))
            zero, raw = self.coarse(features.context).unbind(1)
            return features, torch.stack([zero, zero_inflated.log_rate(raw)], 1)

    def gate(self, coarse: Tensor) -> Tensor:
        """bool (B, H / 16, W / 16): blocks where a structural zero is not as good as certain."""
        if self.dense:
            return torch.ones_like(coarse[:, 0], dtype=torch.bool)
        return zero_inflated.occupied(coarse[:, 0]) >= self.threshold

    def refine(self, features: Features, coarse: Tensor, gate: Tensor) -> Maps:
        """The distributions of finer blocks where the gate is open."""
        with _single(coarse):
            return self._refine(features, coarse, gate)

    def _refine(self, features: Features, coarse: Tensor, gate: Tensor) -> Maps:
        refined = torch.ones_like(finer(gate, RATIO)) if self.dense else finer(gate, RATIO)
        # The decoder changes each fine block's share of the coarse one, and leaves the coarse head alone.
        start = coarse.detach() - coarse.new_tensor([0.0, np.log(RATIO**2)])[:, None, None]
        start = start.repeat_interleave(RATIO, 2).repeat_interleave(RATIO, 3)
        context = self.from_context(features.context)
        if self.dense:
            change = self._dense_change(features, context)
        else:
            change = self._sparse_change(features, context, with_halo(refined, self.halo))
        zero, rate = (start + change).unbind(1)
        return Maps(coarse, torch.stack([zero, rate.clamp(max=20)], 1), refined)

    def _sparse_change(self, features: Features, context: Tensor, sites: Tensor) -> Tensor:
        """What the decoder adds at the sites, bool (B, H / 8, W / 8); 0 elsewhere. (B, 2, H / 8, W / 8)."""
        places = sites.nonzero()
        batch, row, column = places.unbind(1)
        images, _, rows, columns = features.eighth.shape
        grid = features.eighth.new_zeros(images, rows, columns, 2)
        if not len(places):
            return grid.movedim(3, 1)
        near = features.quarter.permute(0, 2, 3, 1).reshape(images, rows, RATIO, columns, RATIO, -1)
        near = near[batch, row, :, column].permute(0, 3, 1, 2).flatten(1)
        values = features.eighth.permute(0, 2, 3, 1)[batch, row, column] + self.from_quarter(near)
        values = values + context.permute(0, 2, 3, 1)[batch, row // RATIO, column // RATIO]
        (found,) = self.decoder(self.engine.SparseTensor(values, places.int().contiguous()))
        # By coordinates, since an engine may order its sites in its own way.
        return grid.index_put(tuple(found.C.long().unbind(1)), found.F).movedim(3, 1)

    def _dense_change(self, features: Features, context: Tensor) -> Tensor:
        weight = self.from_quarter.weight
        weight = weight.reshape(len(weight), -1, RATIO, RATIO)
        near = nn.functional.conv2d(features.quarter, weight, stride=RATIO)
        wide = nn.functional.interpolate(context, scale_factor=float(RATIO))
        (change,) = self.decoder(features.eighth + near + wide)
        found: Tensor = change
        return found

    def target(self, points: ArrayLike, height: int, width: int) -> NDArray[np.float32]:
        return block_counts(points, height, width, FINE).astype(np.float32)

    def losses(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Likelihoods of the coarse and of the refined blocks, the gate, and the sums of images.

        The likelihood alone leaves open whether an empty block has pi near 1 or lambda near 0; the cross
        entropy of the gate settles it, so that few blocks are let through. A bias too small to be seen in a
        block adds up over thousands of them, hence the error of the sum, in Poisson deviations.
        """
        check_images(images, self.multiple)
        features, coarse = self.look(images)
        people = nn.functional.avg_pool2d(target[:, None], RATIO)[:, 0] * RATIO**2
        gate = training_gate(self.gate(coarse).detach(), people, NEGATIVES)
        if self.world.size > 1 and not gate.any():
            gate[0, 0, 0] = True  # the norms of the decoder wait for every process
        maps = self.refine(features, coarse, gate)
        likelihood = zero_inflated.negative_log_likelihood
        coarse_loss = likelihood(coarse[:, 0], coarse[:, 1], people).mean()
        chosen = maps.refined
        fine_loss = likelihood(maps.fine[:, 0][chosen], maps.fine[:, 1][chosen], target[chosen])
        fine_mean = fine_loss.sum() / self._refined_here(chosen).clamp(min=1)
        gate_loss = nn.functional.binary_cross_entropy_with_logits(-coarse[:, 0], (people > 0).float())
        true = target.sum((1, 2))
        off = expectation(maps).sum((1, 2)) - true
        count_loss = (off.abs() / (true + 1).sqrt()).mean()
        return {
            "loss": coarse_loss + fine_mean + GATE_WEIGHT * gate_loss + COUNT_WEIGHT * count_loss,
            "coarse": coarse_loss,
            "fine": fine_mean,
            "gate": gate_loss,
            "count": count_loss,
        }

    def _refined_here(self, chosen: Tensor) -> Tensor:
        """How many blocks are refined; of several processes, this one's share, by images, of those of all.

        So their sums, weighted by images, make the mean over all blocks.
        """
        blocks = chosen.sum()
        if self.world.size == 1:
            return blocks
        own = torch.stack([blocks, blocks.new_tensor(len(chosen))]).double()
        total = self.world.total(own)
        return total[0] * len(chosen) / total[1]

    def block_counts(self, images: Tensor) -> Counts:
        check_images(images, self.multiple)
        maps = self(images)
        return Counts(expectation(maps), FINE, spread(maps), maps.refined)

    def shared_weights(self) -> dict[str, Tensor]:
        """The weights under the names and in the layout of the sparse network."""
        own = dict(self.state_dict())
        if not self.dense:
            return own
        load_dense(self._sparse[0], self.decoder.state_dict())
        rest = {name: value for name, value in own.items() if not name.startswith("decoder.")}
        return rest | {f"decoder.{name}": value for name, value in self._sparse[0].state_dict().items()}

    def load_shared(self, weights: dict[str, Tensor]) -> None:
        if not self.dense:
            self.load_state_dict(weights)
            return
        sparse = self._sparse[0]
        part = {n.removeprefix("decoder."): v for n, v in weights.items() if n.startswith("decoder.")}
        sparse.load_state_dict(part)
        rest = {name: value for name, value in weights.items() if not name.startswith("decoder.")}
        made = {f"decoder.{name}": value for name, value in to_dense(sparse).state_dict().items()}
        self.load_state_dict(rest | made)


def _single(values: Tensor) -> torch.autocast:
    """Single precision, whatever the stem computes in: for sums of many blocks, and sparse convolutions."""
    return torch.autocast(values.device.type, enabled=False)


def expectation(maps: Maps) -> Tensor:
    """Expected people per block of 8 px, float32 (B, H / 8, W / 8)."""
    coarse = finer(zero_inflated.mean(maps.coarse[:, 0], maps.coarse[:, 1]) / RATIO**2, RATIO)
    return torch.where(maps.refined, zero_inflated.mean(maps.fine[:, 0], maps.fine[:, 1]), coarse)


def spread(maps: Maps) -> Tensor:
    """Variance of the people in each block of 8 px, float32 (B, H / 8, W / 8).

    A block that is not refined has its share of the coarse one's.
    """
    coarse = finer(zero_inflated.variance(maps.coarse[:, 0], maps.coarse[:, 1]) / RATIO**2, RATIO)
    return torch.where(maps.refined, zero_inflated.variance(maps.fine[:, 0], maps.fine[:, 1]), coarse)
