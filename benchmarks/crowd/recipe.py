"""How each network is trained: the same images, crops and random changes; its own loss and optimiser.

The published networks are made to start from an ImageNet encoder; here all begin at random. Steps are chosen
so that a training takes about an hour on one core for ShanghaiTech A, and half of that for Beijing-BRT. The
large networks have not converged by then: they show what the same computing time gives.
"""

from __future__ import annotations

from typing import Any, Final

from pipelines.crowd.config import NetworkPlan
from pipelines.crowd.train.config import TrainConfig

EPOCHS: Final = 100
STEPS: Final = {
    "sparse-counter": 10_000,
    "dense-counter": 10_000,
    "mcnn": 8_000,
    "m-segnet": 2_000,
    "m-sfanet": 1_300,
    "hmode": 1_000,
}
SHARE: Final = {"sha": 1.0, "brt": 0.5, "both": 1.0}  # of the steps
# All that matters is said here, since what is trained is kept under what is said.
CROPS: Final[dict[str, Any]] = {"held_out": 0.2, "crop": 256, "flip": 0.5, "gray": 0.1, "gamma": 0.4}
OURS: Final[dict[str, Any]] = {
    "scale": 1.4,
    "batch_size": 8,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.02,
    "ema_decay": 0.998,
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
    settings: dict[str, Any] = CROPS | (OURS if ours else PUBLISHED)
    if network == "mcnn":
        settings |= {"batch_size": 8}
    epochs = 1 if quick else EPOCHS
    steps = 2 if quick else round(STEPS[network] * SHARE[data] / EPOCHS)
    return TrainConfig(
        network=NetworkPlan.model_validate({"name": network}),
        seed=seed,
        threads=threads,
        epochs=epochs,
        steps_per_epoch=steps,
        validate_every=10 if ours else 0,
        **settings,
    )
