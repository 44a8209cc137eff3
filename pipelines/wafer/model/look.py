"""What a network says of maps, those that it is unsure of seen from four sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.model.kinds import SIDES, Kind
from pipelines.wafer.novelty import Seen

# A class's probability below which a map is looked at again.
UNSURE: Final = 0.8
# As many maps go through the network at once as keep its intermediate results in the processor's cache.
CHUNK: Final = 64
# As many defects, or one map that has more: bounds the memory, and that of a second look as well.
CHUNK_DEFECTS: Final = 200_000


@torch.no_grad()
def look(
    network: nn.Module, kind: Kind, maps: Sequence[WaferMap], *, shift: Tensor, device: torch.device
) -> Seen:
    """Logits, latents and shapes of N maps.

    shift (K,) is added to the logits. Where no class then has a probability of UNSURE, the logits are the
    mean over the wafer's SIDES: how it lies means nothing, but may tip a doubtful answer. The latent is that
    of the map as it lies.
    """
    logits, latents = run_network(network, kind, maps, device=device)
    shifted = logits.double() + shift.to(device)
    doubtful = torch.nonzero(shifted.softmax(1).amax(1) < UNSURE)[:, 0]
    if len(doubtful):
        some = [maps[place] for place in doubtful.tolist()] * (SIDES - 1)
        sides = np.repeat(np.arange(1, SIDES), len(doubtful)).tolist()
        again, _ = run_network(network, kind, some, device=device, sides=sides)
        others = again.double().reshape(SIDES - 1, len(doubtful), -1) + shift.to(device)
        shifted[doubtful] = (shifted[doubtful] + others.sum(0)) / SIDES
    return Seen(shifted, latents, torch.from_numpy(kind.shapes(maps)).to(device))


@torch.no_grad()
def run_network(
    network: nn.Module,
    kind: Kind,
    maps: Sequence[WaferMap],
    *,
    device: torch.device,
    sides: Sequence[int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Logits (N, K) and latents (N, L) of a network in evaluation mode. sides (N,): see `Dies.encode`."""
    network.eval()
    found = []
    for part in chunks(maps):
        batch = kind.encode(maps[part], sides=None if sides is None else sides[part])
        found.append(network(batch.to(device)))
    logits, latents = (torch.cat(each) for each in zip(*found, strict=True))
    return logits, latents


def chunks(maps: Sequence[WaferMap]) -> Iterator[slice]:
    """Consecutive maps that go through the network at once; without any map a single chunk of none."""
    start, defects = 0, 0
    for place, wafer in enumerate(maps):
        count = len(wafer.defects)
        if place > start and (place - start == CHUNK or defects + count > CHUNK_DEFECTS):
            yield slice(start, place)
            start, defects = place, 0
        defects += count
    yield slice(start, len(maps))
