"""What the answers of a trained network are measured against: temperature, mixtures, thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.wafer.calibrate import fit_temperature
from pipelines.wafer.data.record import WaferMap
from pipelines.wafer.mixture import Fit, Mixture, fit_mixture
from pipelines.wafer.model.kinds import Kind
from pipelines.wafer.model.look import look
from pipelines.wafer.novelty import Novelty, Seen
from pipelines.wafer.train_config import TrainConfig

MIXTURE_MAPS: Final = 20_000
OF_EACH_CLASS: Final = 200  # maps of a rare class that are among them whatever is drawn

Classes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """temperature: see `pipelines.wafer.calibrate`. mixture: of latents; tried: those it was chosen from.

    rows: the training maps that the mixtures were fitted to. seen, held: what the network says of these and
    of the held-out maps, not calibrated; on the CPU.
    """

    temperature: float
    mixture: Mixture
    tried: list[Fit]
    novelty: Novelty
    rows: Classes
    seen: Seen
    held: Seen

    @property
    def latent(self) -> NDArray[np.float32]:
        """The latents (rows, L) of the maps that the mixtures were fitted to."""
        return self.seen.latent.float().numpy()


def refer(
    network: nn.Module,
    kind: Kind,
    train: tuple[Sequence[WaferMap], Classes],
    held: tuple[Sequence[WaferMap], Classes],
    config: TrainConfig,
    *,
    shift: Tensor,
    device: torch.device,
    progress: Callable[[str], None],
    most: int = MIXTURE_MAPS,
) -> Reference:
    """The reference of a network from training maps and held-out maps, each with their classes.

    Mixtures are fitted to at most about `most` of the training maps; temperature and thresholds to the
    held-out ones, which trained nothing. Every class needs a training map.
    """
    cpu = torch.device("cpu")  # where the mixtures are fitted, whatever the network is on
    progress("calibrating on held-out maps")
    known = look(network, kind, held[0], shift=shift, device=device).to(cpu)
    temperature = fit_temperature(known.logits.numpy(), held[1])
    progress("fitting the Gaussian mixtures")
    rows = mixture_rows(train[1], most, config.seed)
    seen = look(network, kind, [train[0][row] for row in rows], shift=shift, device=device).to(cpu)
    mixture, tried = fit_mixture(
        seen.latent.float().numpy(),
        components=config.components,
        covariances=config.covariances,
        dimension=config.novelty_dimension,
        seed=config.seed,
    )
    novelty = Novelty.fit(
        seen.calibrated(temperature), train[1][rows], known.calibrated(temperature), seed=config.seed
    )
    return Reference(temperature, mixture, tried, novelty, rows, seen, known)


def mixture_rows(classes: Classes, most: int, seed: int) -> Classes:
    """Rows of the classes (N,): `most` of them at random, and OF_EACH_CLASS of every class, or all it has."""
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    rare = [shuffled[classes[shuffled] == number][:OF_EACH_CLASS] for number in np.unique(classes)]
    return np.union1d(shuffled[:most], np.concatenate(rare))
