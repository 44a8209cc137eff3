"""How each network is trained: the same frames and random changes, with or without gates or depths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.polyp.aggregate import Scale
from pipelines.polyp.config import NetworkPlan
from pipelines.polyp.train.config import TrainConfig

EPOCHS = 10
HELD_OUT = 0.15  # of the polyps to train on, to calibrate the intervals with
OWN_DEPTH = 0.25  # of the frames are seen with their true depths where others are estimated
HALF_OPEN, OPEN = 0.5, 0.95  # how far gates are open in the beginning
RATES = {"resnet18": 5e-4, "vit-tiny": 3e-4, "sparse-resnet": 1e-3}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A network. gates: none, or ones that begin half open or nearly open, trained by gradient routing.
    depth: which map in mm it sees, if any, the true one or what another network reads from the colours."""

    backbone: str
    gates: Literal["", "gates", "open gates"] = ""
    depth: Literal["", "depth", "estimated depth"] = ""

    @property
    def name(self) -> str:
        """As the tables have it."""
        return ", ".join(filter(None, (self.backbone, self.gates, self.depth)))

    @property
    def estimated(self) -> bool:
        """Whether it sees estimated depths."""
        return self.depth == "estimated depth"

    @property
    def scale(self) -> Scale:
        """What it is told of a frame, beside the colours."""
        return "map" if self.depth == "depth" else "camera"

    @property
    def frames(self) -> str:
        """The folder of the frames that it is trained on."""
        return f"training-{self.depth.removesuffix(' depth')}" if self.depth else "training"


def recipe(contestant: Contestant, *, steps: int, seed: int, threads: int) -> TrainConfig:
    """The settings of a training. All that matters is said: what is trained is kept under what is said."""
    sparse = contestant.backbone == "sparse-resnet"
    chosen = {
        "backbone": contestant.backbone,
        "gated": bool(contestant.gates),
        "streams": ("crop", "frame"),
        "side": 160 if sparse else 96,
    }
    if contestant.depth:
        chosen |= {"depth": True}
    plan = NetworkPlan.model_validate(chosen)
    own_depth = {"own_depth": OWN_DEPTH} if contestant.estimated else {}
    return TrainConfig(
        **own_depth,
        network=plan,
        seed=seed,
        threads=threads,
        held_out=HELD_OUT,
        max_side=512,
        frames_per_polyp=64,
        jitter=0.05,
        flip=0.5,
        colour=1.0,
        epochs=min(EPOCHS, steps),
        steps_per_epoch=max(1, round(steps / EPOCHS)),
        batch_size=16,
        learning_rate=RATES[contestant.backbone],
        weight_decay=0.02,
        routed=bool(contestant.gates),
        gate_rate=1e-3,
        gate_start=OPEN if contestant.gates == "open gates" else HALF_OPEN,
        ema_decay=0.99,
        validate_every=0,
    )
