"""How each finder is trained: the same frames, steps and random changes; only the start differs."""

from __future__ import annotations

from typing import Any, Final

from pipelines.polyp.lesion.config import FinderPlan, LesionConfig, PretrainPlan

SCRATCH, PRETRAINED = "from scratch", "pretrained"
STARTS: Final = (SCRATCH, PRETRAINED)
STEPS: Final = 4_000
PRETRAINING_STEPS: Final = 1_000
EPOCH: Final = 50  # steps
# Another third than the one that was looked at while the tuning was chosen.
SPLIT: Final = 1
NETWORK = FinderPlan(side=128, widths=(24, 48, 96, 128, 160), blocks=(0, 1, 2, 2, 1), heads=2)


def recipe(start: str, *, steps: int, pretraining_steps: int, seed: int, threads: int) -> LesionConfig:
    """The settings of a training. All that matters is said: what is trained is kept under what is said."""
    plan = PretrainPlan(
        epochs=max(1, round(pretraining_steps / EPOCH)),
        steps_per_epoch=min(EPOCH, pretraining_steps),
        batch_size=8,
        learning_rate=1e-3,
        weight_decay=0.05,
        mask=(0.6, 0.6),
        targets="normalised",
    )
    settings: dict[str, Any] = {} if start == SCRATCH else {"pretraining": plan}
    return LesionConfig(
        seed=seed,
        threads=threads,
        network=NETWORK,
        held_out=1 / 3,
        tuned_on=0.12,
        frames_per_polyp=16,
        flip=0.5,
        turn=0.5,
        scale=0.3,
        colour=0.8,
        blur=0.2,
        epochs=max(1, round(steps / EPOCH)),
        steps_per_epoch=min(EPOCH, steps),
        batch_size=8,
        learning_rate=5e-4,
        weight_decay=0.02,
        ema_decay=0.998,
        **settings,
    )
