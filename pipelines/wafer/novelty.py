"""Novelty: how surprising a map is, by what the network says of it and by how it looks.

Two scores see different strangers. The free energy of the logits is high where no class is supported, and
blind to what the network never had to look at. The mixture sees the latent together with the numbers of
`pipelines.wafer.shape`, which hold whatever the classes are, and asks how usual they are for the classes that
the network takes the map for. Each score is turned into how surprising it is among held-out maps of known
classes; the novelty is the mean of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.wafer.class_mixture import ClassMixture
from pipelines.wafer.open_set import Combined

QUANTILES: Final = 4_001
LATENT_WEIGHT: Final = 0.7  # of a number of the latent in the mixture; one of the shape has 1
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a network says of B maps, and how they look.

    logits: (B, C), calibrated. latent: (B, L). shape: (B, S), of `pipelines.wafer.shape`.
    """

    logits: Tensor
    latent: Tensor
    shape: Tensor

    def calibrated(self, temperature: float) -> Seen:
        """The same with the logits divided by a temperature."""
        return replace(self, logits=self.logits / temperature)

    def probabilities(self) -> Floats:
        """Of the classes, (B, C)."""
        return self.logits.double().softmax(1).cpu().numpy()

    def to(self, device: torch.device) -> Seen:
        return Seen(self.logits.to(device), self.latent.to(device), self.shape.to(device))

    def numbers(self) -> Tensor:
        """Latent and shape side by side, (B, L + S)."""
        return torch.cat([self.latent, self.shape.to(self.latent)], dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """What tells new patterns from known ones.

    mixture: on latent and shape, class by class. offsets: float64 (2, C), by how much both scores of a class
    lie too high; 0 but for classes that were taught after the training. parts: float64 (2, M), energy and
    mixture score of held-out maps of known classes, each rising. known: float64 (QUANTILES,), quantiles of
    their novelty, rising.
    """

    mixture: ClassMixture
    offsets: Floats
    parts: Floats
    known: Floats

    @classmethod
    def fit(cls, seen: Seen, classes: NDArray[np.int64], held: Seen, *, seed: int = 0) -> Novelty:
        """The mixture from training maps and their classes (N,), the rest from held-out maps."""
        weight = np.repeat([LATENT_WEIGHT, 1.0], [seen.latent.shape[1], seen.shape.shape[1]])
        numbers = seen.numbers().float().cpu().numpy()
        mixture = ClassMixture.fit(numbers, classes, weight=weight, seed=seed)
        untaught = np.zeros((2, seen.logits.shape[1]))
        return cls(mixture, untaught, np.zeros((2, 2)), np.zeros(2)).with_known(held)

    def with_known(self, held: Seen) -> Novelty:
        """This novelty measured against other held-out maps of known classes."""
        parts = np.quantile(self.scores(held), _places(len(held.logits)), axis=1).T
        renewed = replace(self, parts=parts)
        return replace(renewed, known=np.quantile(renewed.score(held), np.linspace(0, 1, QUANTILES)))

    def with_classes(self, seen: Seen, classes: NDArray[np.int64], *, seed: int = 0) -> Novelty:
        """This novelty, for which more maps are usual in their classes (N,).

        seen: what a network says of them that was taught the new classes among them. It supports these less
        than those that it grew up with, so their scores are moved to where those of the known maps lie.
        """
        numbers = seen.numbers().float().cpu().numpy()
        before, after = self.offsets.shape[1], seen.logits.shape[1]
        offsets = np.pad(self.offsets, ((0, 0), (0, after - before)))
        grown = replace(self, mixture=self.mixture.with_classes(numbers, classes, seed=seed), offsets=offsets)
        scores, usual = grown.scores(seen), np.median(self.parts, axis=1)
        for number in range(before, after):
            offsets[:, number] = np.maximum(np.median(scores[:, classes == number], axis=1) - usual, 0)
        return replace(grown, offsets=offsets)

    def score(self, seen: Seen) -> Floats:
        """The novelty (B,) of maps, 0 or more: the mean over both scores of their `surprise`."""
        return Combined(tuple(self.parts), (1.0, 1.0)).score(list(self.scores(seen)))

    def scores(self, seen: Seen) -> Floats:
        """Energy and mixture score (2, B) of maps; the higher, the more novel."""
        logits = seen.logits.double()
        found = torch.stack([-logits.logsumexp(1), self.mixture.score(seen.numbers(), logits.log_softmax(1))])
        scores: Floats = found.cpu().numpy() - self.offsets @ seen.probabilities().T
        return scores

    def place(self, seen: Seen) -> NDArray[np.float32]:
        """Where maps lie among the known ones, (B, D); see `ClassMixture.standardise`."""
        return self.mixture.standardise(seen.numbers()).float().cpu().numpy()

    def threshold(self, false_alarm_rate: float) -> float:
        """The novelty that this share of held-out known maps exceeds."""
        return float(np.interp(1 - false_alarm_rate, np.linspace(0, 1, len(self.known)), self.known))

    def facts(self) -> dict[str, int]:
        """The sizes of the mixture, for a model's metrics."""
        components, dimension = self.mixture.centres.shape
        return {"components": components, "dimension": dimension}

    def to(self, device: torch.device) -> Novelty:
        return replace(self, mixture=self.mixture.to(device))

    def tensors(self) -> dict[str, Tensor]:
        return {
            "novelty.offsets": torch.from_numpy(self.offsets),
            "novelty.parts": torch.from_numpy(self.parts),
            "novelty.known": torch.from_numpy(self.known),
            **self.mixture.tensors("novelty.mixture"),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], classes: int) -> Novelty:
        """What `tensors` gave. Raises KeyError for a missing one, ValueError for what does not fit."""
        offsets, parts, known = (
            tensors[f"novelty.{name}"].double().numpy() for name in ("offsets", "parts", "known")
        )
        if offsets.shape != (2, classes):
            raise ValueError(f"novelty.offsets must hold two numbers for each of the {classes} classes")
        if parts.ndim != 2 or len(parts) != 2 or parts.shape[1] < 2 or (np.diff(parts) < 0).any():
            raise ValueError("novelty.parts must hold two scores of two maps or more, in rising order")
        if known.ndim != 1 or len(known) < 2 or (np.diff(known) < 0).any():
            raise ValueError("novelty.known must hold two scores or more, in rising order")
        return cls(ClassMixture.from_tensors(tensors, "novelty.mixture", classes), offsets, parts, known)


def _places(count: int) -> Floats:
    """Quantiles that keep every one of `count` scores, or QUANTILES of them."""
    return np.linspace(0, 1, min(max(count, 2), QUANTILES))
