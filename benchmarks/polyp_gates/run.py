"""Each network without gates, with gates that learn with the rest, and with gradient routing."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import Row, Section, Sections, print_report
from benchmarks.polyp_gates.digits import CLASSES, SIDE, Digits, cluttered_digits
from pipelines.common.precision import autocast
from pipelines.common.training.optimise import one_cycle
from pipelines.polyp.model.gates import FeatureGate, begin_at, gates_of
from pipelines.polyp.model.resnet import ResNet18
from pipelines.polyp.model.routing import make_optimisers, step
from pipelines.polyp.model.vit import ViT

CPU = torch.device("cpu")
WAYS = ("none", "gates", "gates, routed")  # gates begin near a half
OPEN_WAYS = ("open gates", "open gates, routed")  # gates begin at OPEN
OPEN = 0.95
RATES = {"resnet18": 1e-3, "vit-tiny": 3e-4}
GATE_RATE, WEIGHT_DECAY, WARM_UP, BATCH = 1.5e-3, 0.05, 0.1, 32
HIDDEN, VIT_DEPTH = 128, 6


@dataclass(frozen=True, slots=True)
class Settings:
    target: Path
    networks: tuple[str, ...] = ("resnet18", "vit-tiny")
    seeds: int = 3
    training: int = 400
    steps: int = 400
    threads: int = 2


class Classifier(nn.Module):
    """A backbone, a hidden layer and ten classes, with a gate on the hidden layer where the backbone has
    some."""

    def __init__(self, name: str, *, gated: bool) -> None:
        super().__init__()
        self.backbone = (
            ResNet18(gated=gated) if name == "resnet18" else ViT(SIDE, gated=gated, depth=VIT_DEPTH)
        )
        self.hidden = nn.Linear(self.backbone.width, HIDDEN)
        self.gate = FeatureGate(HIDDEN) if gated else nn.Identity()
        self.last = nn.Linear(HIDDEN, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits float32 (B, CLASSES) of images (B, 3, SIDE, SIDE)."""
        logits: Tensor = self.last(self.gate(torch.relu(self.hidden(self.backbone(images)))))
        return logits


def run(settings: Settings) -> dict[str, Any]:
    """Train and test everything, print and write it. A run that was broken off goes on."""
    torch.set_num_threads(settings.threads)
    facts: dict[str, Any] = {
        name: getattr(settings, name) for name in ("networks", "seeds", "training", "steps", "threads")
    }
    facts["networks"] = list(settings.networks)
    sections = Sections(settings.target, facts, say=partial(print, file=sys.stderr, flush=True))
    for network in settings.networks:
        for seed in range(settings.seeds):
            sections.run(f"{network}, seed {seed}", partial(_one_seed, network, seed, WAYS, settings))
            name = f"{network}, seed {seed}, open gates"
            sections.run(name, partial(_one_seed, network, seed, OPEN_WAYS, settings))
    rows = [row for section in sections.done.values() for row in section.rows]
    sections.run("means", lambda: Section([], summary(rows)))
    report = sections.finish()
    print_report(report)
    return report


def _one_seed(network: str, seed: int, ways: tuple[str, ...], settings: Settings) -> Section:
    train, test = cluttered_digits(settings.training, seed)
    rows: list[Row] = []
    for way in ways:
        began = time.perf_counter()
        model = trained(network, way, train, seed=seed, steps=settings.steps)
        seconds = time.perf_counter() - began
        openness = [float(one.open().detach().mean()) for one in gates_of(model).values()]
        rows.append(
            {
                "network": network,
                "way": way,
                "seed": seed,
                "accuracy": accuracy(model, test),
                "gates_open": float(np.mean(openness)) if openness else None,
                "seconds": seconds,
            }
        )
    return Section(rows, {})


def trained(network: str, way: str, data: Digits, *, seed: int, steps: int) -> Classifier:
    """A classifier after so many steps; the same batches for every way. way: one of WAYS or OPEN_WAYS."""
    torch.manual_seed(seed)
    model = Classifier(network, gated=way != "none")
    if way in OPEN_WAYS:
        begin_at(model, OPEN)
    optimisers = make_optimisers(
        model, RATES[network], WEIGHT_DECAY, gate_rate=GATE_RATE, routed=way.endswith("routed")
    )
    draw = torch.Generator().manual_seed(seed)
    model.train()
    for number in range(steps):
        optimisers.set_rates(one_cycle(number / steps, WARM_UP))
        chosen = torch.randint(len(data.labels), (BATCH,), generator=draw)
        images, labels = data.images[chosen], data.labels[chosen]

        def loss(images: Tensor = images, labels: Tensor = labels) -> Tensor:
            with autocast("auto", CPU):
                logits = model(images)
            return nn.functional.cross_entropy(logits.float(), labels)

        step(loss, optimisers)
    return model.eval()


@torch.inference_mode()
def accuracy(model: Classifier, data: Digits) -> float:
    """The share of digits that are told right."""
    right = 0
    for start in range(0, len(data.labels), 128):
        part = slice(start, start + 128)
        with autocast("auto", CPU):
            logits = model(data.images[part])
        right += int((logits.argmax(1) == data.labels[part]).sum())
    return right / len(data.labels)


def summary(rows: list[Row]) -> dict[str, float]:
    """Means over seeds, and mean and deviation of what gates add to the same seed without."""
    found: dict[str, float] = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        by_way = {
            way: np.array([row["accuracy"] for row in rows if (row["network"], row["way"]) == (network, way)])
            for way in dict.fromkeys(row["way"] for row in rows)
        }
        for way, scores in by_way.items():
            name = f"{network}_{way.replace(', ', '_').replace(' ', '_')}"
            found[f"accuracy_{name}"] = float(scores.mean())
            if way != "none":
                gain = scores - by_way["none"]
                found[f"gain_{name}"] = float(gain.mean())
                found[f"gain_deviation_{name}"] = float(gain.std(ddof=1)) if len(gain) > 1 else 0.0
    return found
