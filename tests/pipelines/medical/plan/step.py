"""Two training steps in a process alone: `python -m tests.pipelines.medical.plan.step NAME SIDE BATCH`.

Prints the peak of resident memory in MiB.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from pipelines.common.engines import load_engine
from pipelines.medical.config import Foreground, NetworkPlan, Plan
from pipelines.medical.model.trained import network_of
from pipelines.medical.train.config import TrainConfig
from pipelines.medical.train.fit import make_optimizer
from pipelines.medical.train.loss import DeepSupervision

OCCUPANCY = 0.5


def plan_of(name: str, side: int, batch: int) -> Plan:
    network = NetworkPlan(name=name)  # type: ignore[arg-type]
    rule = Foreground(rule="nonzero", occupancy=OCCUPANCY) if name == "sparse-unet" else Foreground()
    return Plan(
        labels={"a": 1, "b": 2}, patch=(side,) * 3, batch_size=batch, network=network, foreground=rule
    )


def main(name: str, side: int, batch: int) -> None:
    plan = plan_of(name, side, batch)
    network = network_of(plan, load_engine("native")).train()
    optimizer = make_optimizer(network, TrainConfig())
    for _ in range(2):
        images = torch.randn(batch, 1, side, side, side)
        labels = torch.randint(0, 3, (batch, side, side, side))
        active = torch.zeros_like(labels, dtype=torch.bool)
        active[:, : int(side * OCCUPANCY)] = True
        loss = DeepSupervision()(network(images, active), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
