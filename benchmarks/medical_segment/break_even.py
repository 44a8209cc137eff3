"""At which share of active voxels sparse and dense take equally long, in training and in segmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.common import Row, Section, Summary, interleaved
from pipelines.common.precision import autocast
from pipelines.medical.model.networks import Network
from pipelines.medical.prepare import Prepared
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.fit import make_optimizer
from pipelines.medical.train.loss import DeepSupervision

OCCUPANCIES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
SPARSE = "sparse"
DENSE = {"float32": "dense", "bfloat16": "dense_bfloat16"}


def box_of(prepared: Prepared, side: int) -> tuple[Tensor, Tensor]:
    """A cube from the middle of the brain: images (1, C, side, side, side) and distances from its centre."""
    assert prepared.active is not None
    middle = prepared.active.nonzero().float().mean(0).long().tolist()
    begins = [
        min(max(0, centre - side // 2), length - side)
        for centre, length in zip(middle, prepared.active.shape, strict=True)
    ]
    x, y, z = (slice(begin, begin + side) for begin in begins)
    axis = torch.arange(side) - (side - 1) / 2
    distances = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    return prepared.images[None, :, x, y, z].contiguous(), distances


def region(distances: Tensor, share: float) -> Tensor:
    """One connected region that holds this share of the voxels, those nearest to the centre: bool."""
    count = max(1, round(share * distances.numel()))
    active = torch.zeros(distances.numel(), dtype=torch.bool)
    active[torch.sort(distances.flatten(), stable=True).indices[:count]] = True
    return active.view(distances.shape)


def segmenting(network: Network, images: Tensor, active: Tensor, precision: str) -> Callable[[], object]:
    """One pass over the cube, to class indices."""

    @torch.inference_mode()
    def call() -> Tensor:
        network.eval()
        with autocast(precision, torch.device("cpu")):
            found: Tensor = network(images, active[None])[0]
        return found.argmax(1)

    return call


def training_step(network: Network, images: Tensor, active: Tensor, precision: str) -> Callable[[], object]:
    """One step on the cube: forward, loss, backward, optimiser."""
    labels = (images[:, 0] > images[:, 0].mean()).long() * active[None]
    optimizer, loss_of = make_optimizer(network, TrainConfig()), DeepSupervision()

    def call() -> float:
        network.train()
        with autocast(precision, torch.device("cpu")):
            heads = network(images, active[None])
        loss = loss_of(heads, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return call


def measure(
    what: str,
    sparse: Network,
    dense: Network,
    prepared: Prepared,
    side: int,
    *,
    occupancies: Sequence[float] = OCCUPANCIES,
    repeats: int,
    clock: Callable[[], float],
) -> Section:
    """what: `segmenting` or `training`."""
    images, distances = box_of(prepared, side)
    make = segmenting if what == "segmenting" else training_step
    calls = {}
    for share in occupancies:
        active = region(distances, share)
        calls[f"{SPARSE} {share:g}"] = make(sparse, images, active, "float32")
    whole = torch.ones_like(distances, dtype=torch.bool)
    for precision, name in DENSE.items():
        calls[name] = make(dense, images, whole, precision)
    timings = interleaved(calls, repeats=repeats, warm_up=1, clock=clock)
    rows: list[Row] = []
    for share in occupancies:
        row: Row = {"what": what, "side": side, "contestant": SPARSE, "occupancy": share}
        rows.append({**row, **timings[f"{SPARSE} {share:g}"].columns()})
    for name in DENSE.values():
        rows.append({"what": what, "side": side, "contestant": name, **timings[name].columns()})
    taken = [timings[f"{SPARSE} {share:g}"].median for share in occupancies]
    summary: Summary = {
        f"break_even_{what}_{precision}": crossing(occupancies, taken, timings[name].median)
        for precision, name in DENSE.items()
    }
    return Section(rows, summary)


def crossing(shares: Sequence[float], seconds: Sequence[float], level: float) -> float:
    """The share at which `seconds`, linear between shares and 0 at 0, first reaches `level`; or 1."""
    below, before = 0.0, 0.0
    for share, spent in zip(shares, seconds, strict=True):
        if spent >= level:
            return below + (share - below) * (level - before) / (spent - before)
        below, before = share, spent
    return 1.0
