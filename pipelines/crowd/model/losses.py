"""What the published networks minimise. Sums run over the pixels of a map, means over a batch's images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

ATTENTION_ABOVE = 1e-3  # people per 2 x 2 px: more is what SFANet's attention should find
ATTENTION_WEIGHT = 0.1

MAP_WEIGHTS = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0)  # HMoDE: experts, pairs, the whole mixture
DENSITY_SCALE = 100.0  # HMoDE predicts people per px, times this
HMODE_ATTENTION_ABOVE = 1e-5  # people per px
HMODE_STRIDE = 4  # px, of HMoDE's maps
LOCAL_SIDE = 16  # px, of the cells of the relative local counting loss
HARDEST = 9  # cells, in three groups of three


def squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    """The sum of squared differences of an image, mean over images: (B, h, w) both, to a scalar.

    Raises ValueError if the shapes differ.
    """
    _same_shape(predicted, target)
    return (predicted - target).square().sum((1, 2)).mean()


def sfanet_loss(density: Tensor, attention: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Squared error of the density, and 0.1 of the cross entropy of attention (SFANet, Zhu et al., 2019).

    density, target: float32 (B, h, w), people per cell of 2 x 2 px. attention: logits (B, h, w); it should be
    1 where the target is above 0.001. Returns `loss`, `density` and `attention`.
    """
    error = squared_error(density, target)
    entropy = _cross_entropy(attention, target > ATTENTION_ABOVE)
    return {"loss": error + ATTENTION_WEIGHT * entropy, "density": error, "attention": entropy}


def hmode_loss(
    maps: Sequence[Tensor],
    gates: Sequence[Tensor],
    attention: Tensor,
    target: Tensor,
    *,
    relative_weight: float = 1.0,
) -> dict[str, Tensor]:
    """The loss of HMoDE (Du et al., IEEE TIP 2023).

    maps: seven of float32 (B, h, w) at stride 4, in people per px times 100: three experts, three pairs, the
        mixture of the pairs. gates: weights (B, K, h', w') that sum to 1 over K. attention: logits (B, h, w).
    target: float32 (B, h, w), people per cell of 4 x 4 px.
    relative_weight: of the relative local counting loss; 0 leaves it out.

    A map that is blown up to full resolution by repeating its cells has, pixel by pixel, the squared error
    that its cells have against the target's means, times 16, and a number that does not depend on it. So
    this is the published loss, at a sixteenth of the cost. Returns `loss` and the parts `density`,
    `relative`, `importance` and `attention`.
    """
    if len(maps) != len(MAP_WEIGHTS):
        raise ValueError(f"there must be {len(MAP_WEIGHTS)} maps, not {len(maps)}")
    pixels = HMODE_STRIDE**2
    wanted = target * (DENSITY_SCALE / pixels)
    weighted = list(zip(MAP_WEIGHTS, maps, strict=True))
    density = sum((w * pixels * squared_error(one, wanted) for w, one in weighted), target.new_zeros(()))
    relative = sum((w * relative_local_counting(one, wanted) for w, one in weighted), target.new_zeros(()))
    importance = sum((squared_variation(gate) for gate in gates), target.new_zeros(()))
    entropy = pixels * _cross_entropy(attention, target > HMODE_ATTENTION_ABOVE * pixels)
    return {
        "loss": density + relative_weight * relative + importance + entropy,
        "density": density,
        "relative": relative,
        "importance": importance,
        "attention": entropy,
    }


def squared_variation(gate: Tensor) -> Tensor:
    """Squared coefficient of variation of the experts' importance (Shazeer et al., 2017), mean over images.

    gate: (B, K, h, w), the weight of each of K experts at each place. An expert's importance is the sum of
    its weights; 0 is where all have the same.
    """
    importance = gate.sum((2, 3))
    average = importance.mean(1)
    return (importance.var(1, unbiased=False) / average.square().clamp(min=1e-10)).mean()


def relative_local_counting(predicted: Tensor, target: Tensor) -> Tensor:
    """Whether the hardest cells of an image are predicted in their true order (HMoDE's relative loss).

    predicted, target: (B, h, w) at stride 4, in people per px times 100; h and w are cut to whole cells of
    16 x 16 px. Of each image the HARDEST cells, by squared error, are ranked by their true sum and dealt into
    groups of three, rank by rank, so that the members of a group lie far apart. In each group every pair
    whose predicted sums are in the wrong order costs by how much they are. Sum over pairs, mean over images.
    The choice of cells has no gradient. Fewer than three cells cost nothing.
    """
    _same_shape(predicted, target)
    side = LOCAL_SIDE // HMODE_STRIDE
    error = _cell_sums((predicted - target).square(), side).detach()
    count = min(HARDEST, error.shape[1]) // 3 * 3
    if not count:
        return predicted.new_zeros(())
    hardest = error.topk(count, 1).indices
    pixels = HMODE_STRIDE**2
    ours = (_cell_sums(predicted, side) * pixels).gather(1, hardest)
    true = (_cell_sums(target, side) * pixels).gather(1, hardest)
    ranked = ours.gather(1, true.argsort(dim=1, descending=True, stable=True))
    most, middle, least = ranked.reshape(len(ranked), 3, -1).unbind(1)
    wrong = (middle - most).relu() + (least - most).relu() + (least - middle).relu()
    return wrong.sum(1).mean()


def _cell_sums(values: Tensor, side: int) -> Tensor:
    """(B, h, w) to the sums of its whole cells of side x side: (B, cells)."""
    rows, columns = values.shape[1] // side, values.shape[2] // side
    cells = values[:, : rows * side, : columns * side].reshape(-1, rows, side, columns, side)
    return cells.sum((2, 4)).reshape(len(values), -1)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    _same_shape(logits, target)
    return binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="sum") / len(logits)


def _same_shape(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.ndim != 3:
        raise ValueError(
            f"prediction and target must both be (B, h, w), not {tuple(predicted.shape)} and"
            f" {tuple(target.shape)}"
        )
