"""How each network is trained: the same images, crops and random changes; its own loss and optimiser.

The published networks are made to start from an ImageNet encoder; here all begin at random. Steps are chosen
so that a training takes half an hour to an hour of one core for ShanghaiTech A, and a fifth of that for
Beijing-BRT. The large networks have not converged by then: they show what such a time gives.
"""

from __future__ import annotations

from typing import Any, Final

from pipelines.crowd.config import NetworkPlan
from pipelines.crowd.train.config import TrainConfig

# Epochs, and steps in each, for ShanghaiTech A.
STEPS: Final = {
    "sparse-counter": (200, 50),
    "dense-counter": (200, 50),
    "mcnn": (100, 50),
    "m-segnet": (100, 20),
    "m-sfanet": (100, 10),
    "hmode": (100, 6),
}
SHARE: Final = {"sha": 1.0, "brt": 0.2, "both": 1.0}  # of the steps
# All that matters is said here, since what is trained is kept under what is said.
CROPS: Final[dict[str, Any]] = {"held_out": 0.2, "crop": 256, "flip": 0.5, "gray": 0.1, "gamma": 0.4}
# Heads in photographs of dense crowds are a few px wide, and most of such a photograph is decoded.
ENLARGE: Final = {"sha": 1.3, "brt": 1.0, "both": 1.3}
DECODER: Final = {"sha": [48, 72, 96], "brt": [64, 96, 128], "both": [48, 72, 96]}
OURS: Final[dict[str, Any]] = {
    "gray": 0.2,
    "scale": 1.4,
    "batch_size": 8,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.02,
    "ema_decay": 0.998,
    "gate_recall": 0.9,  # more opens more blocks, and the counts stay the same
}
PUBLISHED: Final[dict[str, Any]] = {
    "scale": 1.4,
    "batch_size": 4,
    "optimizer": "adam",
    "learning_rate": 3e-4,
    "ema_decay": 0.99,
}


def recipe(network: str, data: str, *, quick: bool, seed: int, threads: int) -> TrainConfig:
    """The settings of a training. Large networks are measured at the end only."""
    ours = network.endswith("-counter")
    settings: dict[str, Any] = CROPS | (OURS | {"enlarge": ENLARGE[data]} if ours else PUBLISHED)
    if network == "mcnn":
        settings |= {"batch_size": 8}
    epochs, steps = (1, 2) if quick else STEPS[network]
    return TrainConfig(
        network=NetworkPlan.model_validate({"name": network, **({"decoder": DECODER[data]} if ours else {})}),
        seed=seed,
        threads=threads,
        epochs=epochs,
        steps_per_epoch=steps if quick else max(1, round(steps * SHARE[data])),
        validate_every=20 if ours else 0,
        **settings,
    )
