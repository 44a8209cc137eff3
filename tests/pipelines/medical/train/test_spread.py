"""A training on two processes: the losses of one with the whole batch, and no process waits for another."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from monai.losses.dice import DiceCELoss

from pipelines.common.training.spread.world import World
from pipelines.medical.config import Foreground, NetworkPlan, Plan
from pipelines.medical.data.dataset import read_dataset
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.loss import DeepSupervision
from pipelines.medical.train.run import train
from tests.pipelines.common.training.spread.two import in_two
from tests.pipelines.medical.builders import small_plan, write_dataset

CONFIG = TrainConfig(
    epochs=3, steps_per_epoch=1, folds=3, validate_every=3, seed=3, learning_rate=2e-3, precision="float32"
)
DEEP = NetworkPlan(
    name="dense-unet", channels=(4, 6, 8), blocks=(1, 1, 1), strides=((2, 2, 2), (2, 2, 2)), heads=2
)
PLANS: dict[str, Plan] = {
    "dense": small_plan(network=DEEP, batch_size=3),
    "sparse": small_plan("sparse-unet", batch_size=3, foreground=Foreground(rule="above", threshold=2.5)),
    # So few sites that a process often has none.
    "few sites": small_plan("sparse-unet", foreground=Foreground(rule="above", threshold=6.5, halo=0)),
}


def logs(world: World, data: str, out: str) -> dict[str, list[dict[str, float]]]:
    """The log of a training by each plan, a step an epoch."""
    found = {}
    for name, plan in PLANS.items():
        model = Path(out) / name
        steps = 6 if name == "few sites" else 1
        config = CONFIG.model_copy(update={"steps_per_epoch": steps, "fold": 0 if steps == 1 else "none"})
        train(read_dataset(Path(data)), plan, model, config, name="balls", world=world)
        (log,) = model.glob("log-*.csv")
        with log.open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[name] = [{key: float(row[key]) for key in ("loss", "dice") if row.get(key)} for row in rows]
    return found


def losses(world: World) -> list[float]:
    """The loss of some logits and its gradient, summed over processes, against MONAI's of the whole batch."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 3, 4, 4, 2, generator=generator)
    labels = torch.randint(0, 3, (5, 4, 4, 2), generator=generator)
    whole = logits.clone().requires_grad_()
    usual = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)
    expected = usual(whole, labels[:, None])
    expected.backward()
    rows = world.share([1.0] * 5)
    part = logits[rows].requires_grad_()
    loss = DeepSupervision(world)([part], labels[rows], len(rows) / 5)
    loss.backward()
    assert whole.grad is not None and part.grad is not None
    off = float((whole.grad[rows] - part.grad).abs().max())
    return [world.sum(float(loss.detach())) - float(expected.detach()), off]


def both(world: World, data: str, out: str) -> list[object]:
    return [losses(world), logs(world, data, out)]


@pytest.mark.slow
def test_losses_are_those_of_one_process(tmp_path: Path) -> None:
    data = str(write_dataset(tmp_path / "balls", 4))
    alone = logs(World(), data, str(tmp_path / "alone"))
    assert losses(World()) == [0, 0]
    (tmp_path / "world").mkdir()
    for off, found in in_two(both, tmp_path / "world", data, str(tmp_path / "both")):
        assert off == pytest.approx([0, 0], abs=1e-6)
        for name in ("dense", "sparse"):
            assert len({row["loss"] for row in alone[name]}) == 3
            for row, other in zip(alone[name], found[name], strict=True):
                assert other == pytest.approx(row, rel=1e-5, abs=1e-5)
        assert len(found["few sites"]) == 3
