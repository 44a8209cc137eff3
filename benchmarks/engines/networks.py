"""Whole networks on either engine: from coordinates to scores, and one step of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.engines.convolution import numbers, row_order
from benchmarks.engines.workloads import WORKLOADS, wafer_maps
from pipelines.common.models import find_model
from pipelines.wafer.model.trained import TASK, load_trained
from sparse_backbones.minkunet import MinkowskiUNet

IN_CHANNELS, CLASSES = 3, 20
LEARNING_RATE = 1e-4
WAFER_MODEL = "wm811k"


@dataclass(frozen=True, slots=True)
class Run:
    """A network and its input.

    scores: a forward pass, coordinate maps built anew, in the engine's order of rows. targets: int64, in that
    order. compared: scores in an order that is the same for every engine.
    """

    network: nn.Module
    scores: Callable[[], Tensor]
    targets: Tensor
    compared: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer

    def inference(self) -> Tensor:
        self.network.eval()
        with torch.no_grad():
            return self.scores()

    def training_step(self) -> float:
        """One step of gradient descent; the loss before it."""
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(self.scores(), self.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def result(self) -> tuple[Tensor, Tensor]:
        """Scores before training, in an order for all, and the loss of a first step of it, float32 (1,)."""
        scores = self.compared(self.inference())
        torch.manual_seed(0)  # for dropout
        return scores, torch.tensor([self.training_step()])


def _run(
    network: nn.Module, scores: Callable[[], Tensor], targets: Tensor, compared: Callable[[Tensor], Tensor]
) -> Run:
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    return Run(network, scores, targets, compared, optimizer)


def unet(engine: ModuleType, workload: str, data: Path, *, quick: bool, variant: str = "34C") -> Run:
    """A MinkowskiUNet with a class for every site of the workload."""
    coordinates = WORKLOADS[workload].coordinates(data, quick=quick)
    torch.manual_seed(0)
    network = MinkowskiUNet(engine, IN_CHANNELS, CLASSES, variant=variant, dimension=coordinates.shape[1] - 1)
    features = numbers(len(coordinates), IN_CHANNELS, 1)
    targets = torch.randint(CLASSES, (len(coordinates),), generator=torch.Generator().manual_seed(2))
    x = engine.SparseTensor(features, coordinates)
    # The engine's order: what is at each of its rows is what is at that place in the given order.
    given, own = row_order(coordinates), row_order(x.C)
    ordered = torch.empty_like(targets)
    ordered[own] = targets[given]

    def scores() -> Tensor:
        output: Tensor = network(engine.SparseTensor(features, coordinates)).F
        return output

    return _run(network, scores, ordered, lambda found: found[own])


def wafer(engine: ModuleType, data: Path, *, quick: bool) -> Run:
    """The bundled die-level wafer network on real maps, encoded beforehand; a class for every map."""
    maps = wafer_maps(data, 16) if quick else wafer_maps(data)
    name = engine.__name__.rpartition(".")[2]
    model = load_trained(find_model(TASK, WAFER_MODEL), engine=name)
    batch = model.kind.encode(maps)

    def scores() -> Tensor:
        logits: Tensor = model.network(batch)[0]
        return logits

    targets = torch.arange(len(maps)) % len(model.labels)
    return _run(model.network, scores, targets, lambda found: found)


@dataclass(frozen=True, slots=True)
class Network:
    """workload: whose sites the network gets. build: it on an engine, from the data's folder and `quick`."""

    workload: str
    build: Callable[[ModuleType, Path, bool], Run]


NETWORKS = {
    "unet34c_3d_surface": Network(
        "3d_surface", lambda engine, data, quick: unet(engine, "3d_surface", data, quick=quick)
    ),
    "unet34c_3d_random": Network(
        "3d_random", lambda engine, data, quick: unet(engine, "3d_random", data, quick=quick)
    ),
    "wafer_network": Network("wafer", lambda engine, data, quick: wafer(engine, data, quick=quick)),
}
