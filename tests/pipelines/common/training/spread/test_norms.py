"""Batch norms over two processes against torch's own over all rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipelines.common.training.spread.norms import GlobalBatchNorm
from pipelines.common.training.spread.world import World
from sparse_backbones import engines
from sparse_backbones.resnet import SparseResNet
from tests.pipelines.common.training.spread.two import in_two

STEPS = 3
# Rows of the first process, of all rows; the shape of one row; what the norm is made with.
CASES: dict[str, tuple[int, int, tuple[int, ...], dict[str, Any]]] = {
    "features": (7, 11, (3,), {}),
    "no rows in the first": (0, 9, (3,), {}),
    "no rows in the second": (9, 9, (3,), {}),
    "one row each": (1, 2, (3,), {}),
    "one row in the second": (8, 9, (3,), {}),
    "without weights": (4, 9, (3,), {"affine": False}),
    "without running statistics": (4, 9, (3,), {"track_running_stats": False}),
    "a mean of all steps": (4, 9, (3,), {"momentum": None}),
    "maps": (1, 3, (3, 4, 5), {}),
    "volumes": (2, 3, (3, 2, 3, 4), {"eps": 1e-3}),
    "doubles": (4, 9, (3,), {"dtype": torch.float64}),
}
KINDS: dict[int, Any] = {1: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}


def a_norm(shape: tuple[int, ...], made: dict[str, Any]) -> nn.Sequential:
    torch.manual_seed(1)
    norm = KINDS[len(shape)](shape[0], **made)
    if norm.affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return nn.Sequential(norm)


def steps(network: nn.Module, parts: list[Tensor], wanted: list[Tensor]) -> list[Tensor]:
    """Outputs and gradients of each step, then of the parameters, and the statistics after all."""
    found = []
    for rows, factor in zip(parts, wanted, strict=True):
        x = rows.clone().requires_grad_()
        y = network(x)
        (y * factor).sum().backward()
        assert x.grad is not None
        found += [y.detach(), x.grad]
    return found


def case(world: World, name: str) -> list[float]:
    """How far off this process is: outputs, gradients, those of parameters, statistics, evaluation."""
    first, count, shape, made = CASES[name]
    generator = torch.Generator().manual_seed(2)
    dtype = made.get("dtype", torch.float32)
    rows, wanted = (
        [torch.randn(count, *shape, generator=generator, dtype=dtype) + mean for _ in range(STEPS)]
        for mean in (3, 0)
    )
    own = slice(0, first) if world.is_first else slice(first, None)
    whole, divided = a_norm(shape, made), a_norm(shape, made)
    expected = steps(whole, rows, wanted)
    before = divided[0]
    with world.synchronised(divided):
        assert isinstance(divided[0], GlobalBatchNorm)
        assert divided.state_dict().keys() == whole.state_dict().keys()
        found = steps(divided, [one[own] for one in rows], [one[own] for one in wanted])
        world.reduce_gradients(divided.parameters())
        evaluated = divided.eval()(rows[0])
    assert divided[0] is before
    assert not before.training
    pairs = [(a[own], b) for a, b in zip(expected, found, strict=True)]
    gradients = [(a.grad, b.grad) for a, b in zip(whole.parameters(), divided.parameters(), strict=True)]
    state = zip(whole.state_dict().values(), divided.state_dict().values(), strict=True)
    last = [(whole.eval()(rows[0]), evaluated)]
    return [
        max((float((a - b).abs().max()) for a, b in each if a is not None and a.numel()), default=0.0)
        for each in (pairs[::2], pairs[1::2], gradients, list(state), last)
    ]


def nothing_anywhere(world: World) -> list[float]:
    """Statistics after a step in which no process has a row."""
    network = a_norm((3,), {})
    with world.synchronised(network):
        steps(network, [torch.zeros(0, 3)], [torch.zeros(0, 3)])
    return [float(one.sum()) for one in list(network[0].buffers())]


def half(world: World) -> list[Any]:
    network = a_norm((3, 4, 5), {})
    with world.synchronised(network):
        found = network(torch.randn(2, 3, 4, 5).bfloat16())
    return [str(found.dtype), bool(found.isfinite().all())]


def losses(world: World, divided: bool) -> list[float]:
    """Some steps of a sparse residual network on items of very different numbers of sites."""
    engine = engines.load("native")
    torch.manual_seed(3)
    network = SparseResNet(engine, 2, 3, channels=(4, 6), blocks=(1, 1), latent=5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(4)
    found = []
    with world.synchronised(network):
        for _ in range(6):
            counts = [40, 3, 25, 1, 12, 0, 30, 8]
            sites = [torch.randint(0, 9, (n, 2), generator=generator).unique(dim=0) for n in counts]
            values = [torch.randn(len(one), 2, generator=generator) for one in sites]
            classes = torch.randint(0, 3, (len(counts),), generator=generator)
            mine = world.share([len(one) for one in sites]) if divided else list(range(len(counts)))
            places = torch.cat(
                [
                    torch.cat([torch.full((len(sites[item]), 1), row), sites[item]], 1)
                    for row, item in enumerate(mine)
                ]
            )
            x = engine.SparseTensor(torch.cat([values[item] for item in mine]), places.int())
            logits, _ = network(x, len(mine))
            loss = nn.functional.cross_entropy(logits, classes[mine]) * (len(mine) / len(counts))
            optimizer.zero_grad()
            loss.backward()
            world.reduce_gradients(network.parameters())
            optimizer.step()
            found.append(world.sum(float(loss.detach())))
    return found


def everything(world: World) -> dict[str, Any]:
    return {
        **{name: case(world, name) for name in CASES},
        "nothing": nothing_anywhere(world),
        "half": half(world),
        "losses": losses(world, True),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return in_two(everything, tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize("name", CASES)
def test_outputs_gradients_and_statistics_are_those_of_one_process(
    name: str, found: list[dict[str, Any]]
) -> None:
    for one in found:
        assert one[name] == pytest.approx([0, 0, 0, 0, 0], abs=5e-5)


def test_a_step_without_any_row_leaves_the_statistics(found: list[dict[str, Any]]) -> None:
    for one in found:
        assert one["nothing"] == [0, 3, 0]


def test_half_precision_stays_half(found: list[dict[str, Any]]) -> None:
    for one in found:
        assert one["half"] == ["torch.bfloat16", True]


def test_losses_of_a_sparse_network_are_those_of_one_process(found: list[dict[str, Any]]) -> None:
    alone = losses(World(), False)
    assert len(set(alone)) == 6
    for one in found:
        assert one["losses"] == pytest.approx(alone, abs=1e-5)
