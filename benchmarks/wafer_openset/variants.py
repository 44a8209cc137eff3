"""Other ways to train the die network, to see what helps against unknown classes; a study, not a product.

Each follows the suite's optimisation (AdamW, one cycle, moving average of the weights, classes drawn by the
root of their counts) and changes one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, normalize
from torch.optim.swa_utils import AveragedModel

from benchmarks.wafer_openset import outliers
from benchmarks.wafer_openset.networks import ARCHITECTURE, Grid, Network, Say, as_map, of_die_network
from benchmarks.wafer_openset.splits import Split
from pipelines.common.training.optimise import one_cycle, weight_groups
from pipelines.wafer.augment import augment_dies
from pipelines.wafer.fit import MAX_GRADIENT, drawing_chances
from pipelines.wafer.model.dies import encode_dies
from pipelines.wafer.model.kinds import Dies, die_status
from pipelines.wafer.train_config import TrainConfig
from sparse_backbones import engines

Exposure = Literal["none", "synthetic", "merged", "both"]


@dataclass(frozen=True, slots=True)
class Variant:
    """What a training changes.

    label_smoothing: of the cross-entropy. contrast: weight of the supervised contrastive loss on the latent
    (Khosla et al., 2020). centre: weight of the centre loss (Wen et al., 2016). exposure: what outliers are
    shown (Hendrycks et al., 2019), `exposure_weight` of their loss, `outliers` of them a batch; `background`
    teaches them as one more class in place of the uniform answer.
    """

    name: str
    label_smoothing: float = 0.0
    contrast: float = 0.0
    centre: float = 0.0
    exposure: Exposure = "none"
    exposure_weight: float = 0.5
    outliers: int = 16
    background: bool = False


VARIANTS = (
    Variant("plain"),
    Variant("label smoothing 0.1", label_smoothing=0.1),
    Variant("supervised contrastive", contrast=0.5),
    Variant("centre loss", centre=0.01),
    Variant("exposed, uniform", exposure="both"),
    Variant("exposed, own class", exposure="both", background=True),
)


def train(
    grids: Sequence[Grid],
    classes: NDArray[np.int64],
    split: Split,
    variant: Variant,
    *,
    epochs: int,
    say: Say,
    config: TrainConfig | None = None,
) -> Network:
    """The network of a variant on maps of known classes; what is random follows from the split's seed."""
    config = config or TrainConfig(kind="dies", engine="native", device="cpu", batch_size=64)
    known = len(split.labels)
    torch.manual_seed(split.seed)
    network = Dies().build(engines.load("native"), known + variant.background, ARCHITECTURE)
    centres = nn.Parameter(torch.zeros(known, 128)) if variant.centre else None
    groups = weight_groups(network, config.weight_decay)
    if centres is not None:
        groups.append({"params": [centres], "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
    average = AveragedModel(network, avg_fn=partial(_moving, config.ema_decay), use_buffers=True)
    chance, shift = drawing_chances(classes, known, config.sampling_power)
    steps = max(1, len(grids) // config.batch_size)
    draw = outlier_source(grids, classes, split, variant.exposure)
    for epoch in range(epochs):
        rng = np.random.default_rng([split.seed, epoch])
        torch.manual_seed(split.seed * 100_003 + epoch)
        network.train()
        total = 0.0
        for step in range(steps):
            done = (epoch * steps + step) / (epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * one_cycle(done, config.warm_up)
            chosen = rng.choice(len(grids), config.batch_size, p=chance)
            batch = [die_status(as_map(grids[i])) for i in chosen]
            if variant.exposure != "none":
                batch += [draw(rng) for _ in range(variant.outliers)]
            logits, latent = network(encode_dies([augment_dies(grid, rng) for grid in batch], 32))
            targets = torch.from_numpy(classes[chosen])
            loss = loss_of(logits, latent, targets, variant, centres)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT)
            optimizer.step()
            average.update_parameters(network)
            total += loss.item()
        say(f"{variant.name}: epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}")
    if variant.background:
        shift = np.append(shift, 0.0)
    return of_die_network(average.module, shift)


def _moving(decay: float, average: Tensor, now: Tensor, number: Tensor | int) -> Tensor:
    # As in the suite's own: the average forgets the first steps quickly, however short the training.
    kept = min(decay, (1 + int(number)) / (10 + int(number)))
    return average * kept + now * (1 - kept)


def loss_of(
    logits: Tensor, latent: Tensor, targets: Tensor, variant: Variant, centres: Tensor | None
) -> Tensor:
    """The loss of a batch whose first rows are known maps, of `targets`, and whose others are outliers."""
    n = len(targets)
    loss = cross_entropy(logits[:n], targets, label_smoothing=variant.label_smoothing)
    if variant.contrast:
        loss = loss + variant.contrast * supervised_contrastive(latent[:n], targets)
    if centres is not None:
        loss = loss + variant.centre * (latent[:n] - centres[targets]).square().sum(1).mean() / 2
    if len(logits) > n:
        others = log_softmax(logits[n:], dim=1)
        exposed = -others[:, -1].mean() if variant.background else -others.mean()
        loss = loss + variant.exposure_weight * exposed
    return loss


def supervised_contrastive(latent: Tensor, targets: Tensor, temperature: float = 0.1) -> Tensor:
    """Khosla et al., 2020, equation 2, on one view each; maps alone in their class count for nothing."""
    unit = normalize(latent, dim=1)
    alike = unit @ unit.T / temperature
    itself = torch.eye(len(targets), dtype=torch.bool)
    log_prob = alike - torch.logsumexp(alike.masked_fill(itself, -torch.inf), dim=1, keepdim=True)
    same = (targets[:, None] == targets[None]) & ~itself
    count = same.sum(1)
    some = count > 0
    if not some.any():
        return latent.sum() * 0
    return -((log_prob * same).sum(1)[some] / count[some]).mean()


def outlier_source(
    grids: Sequence[Grid], classes: NDArray[np.int64], split: Split, exposure: Exposure
) -> Callable[[np.random.Generator], Grid]:
    """What draws outliers: synthetic patterns on real wafers without a pattern, or two known maps in one."""
    patterns = outliers.allowed_patterns(split.left_out)
    plain = split.labels.index("None") if "None" in split.labels else None
    bare = np.flatnonzero(classes == plain) if plain is not None else np.arange(len(grids))
    marked = np.flatnonzero(classes != plain)

    def draw(rng: np.random.Generator) -> Grid:
        kind = str(rng.choice(["synthetic", "merged"])) if exposure == "both" else exposure
        if kind == "synthetic":
            return outliers.synthetic(rng, die_status(as_map(grids[rng.choice(bare)])), patterns)
        one = int(rng.choice(marked))
        other = int(rng.choice(marked[classes[marked] != classes[one]]))
        return outliers.merged(*(die_status(as_map(grids[i])) for i in (one, other)))

    return draw
