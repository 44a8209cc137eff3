"""What the processes of a training tell each other, in one process and in two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipelines.common.errors import UserError
from pipelines.common.training.spread.world import ALONE, ProcessLost, World
from tests.pipelines.common.training.spread.two import in_two


class Spoken:
    """A store that knows what the first process said."""

    def __init__(self, value: str) -> None:
        self.value = value

    def check(self, keys: list[str]) -> bool:
        return True

    def get(self, key: str) -> bytes:
        return self.value.encode()


class Gone:
    """A store that nobody holds any more."""

    def check(self, keys: list[str]) -> bool:
        raise RuntimeError("Connection reset by peer\nException raised from nowhere")


def test_a_single_process_gives_back_its_own() -> None:
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    layer = nn.Linear(2, 1)
    layer.weight.grad = torch.ones(1, 2)
    assert ALONE.is_first
    assert ALONE.share([3, 0, 1]) == [0, 1, 2]
    assert ALONE.seed(5) == 5
    assert ALONE.sum(2.5) == 2.5
    assert ALONE.total(values) is values
    assert ALONE.first(lambda: (1, 2)) == (1, 2)
    ALONE.check_same("a", "thing")
    ALONE.reduce_gradients(layer.parameters())
    assert layer.weight.grad.tolist() == [[1, 1]]
    assert layer.bias.grad is None
    norm = nn.Sequential(nn.BatchNorm1d(2))
    with ALONE.synchronised(norm):
        assert type(norm[0]) is nn.BatchNorm1d


def test_a_batch_has_an_item_for_every_process() -> None:
    world = World(1, 3)
    assert world.share([1, 1, 1]) == [1]
    with pytest.raises(UserError, match=r"a batch of 2 cannot be divided between 3 processes"):
        world.share([1, 1])


def test_every_process_draws_by_itself() -> None:
    assert len({World(rank, 4).seed(7) for rank in range(4)}) == 4
    assert World(0, 4).seed(7) == 7


def test_another_state_than_that_of_the_first_process_is_told() -> None:
    store: Any = Spoken('"one"')
    World(1, 2, None, store).check_same("one", "data set")
    with pytest.raises(UserError, match=r"process 1 .* another data set .* a disk that they share"):
        World(1, 2, None, store).check_same("two", "data set")


def test_a_first_process_that_has_gone_is_told() -> None:
    store: Any = Gone()
    with pytest.raises(ProcessLost, match=r"does not answer: Connection reset by peer$"):
        World(1, 2, None, store).first(lambda: 1)


def together(world: World) -> dict[str, Any]:
    """Every method of a world of two; see the tests."""
    layer = nn.Linear(2, 1)
    frozen = nn.Parameter(torch.zeros(3), requires_grad=False)
    unused = nn.Parameter(torch.zeros(3))
    only_here = nn.Parameter(torch.zeros(2))
    layer.weight.grad = torch.full((1, 2), world.rank + 1.0)
    layer.bias.grad = torch.tensor([10.0 * world.rank])
    if world.rank:
        only_here.grad = torch.tensor([3.0, 4.0])
    world.reduce_gradients([*layer.parameters(), frozen, unused, only_here])
    values = torch.tensor([1.0 + world.rank, 2.0], requires_grad=True)
    total = world.total(values)
    total.square().sum().backward()
    called: list[int] = []

    def told() -> dict[str, Any]:
        called.append(world.rank)
        return {"names": ["a"], "value": 0.1, "none": None}

    def listed(value: Tensor | None) -> list[float] | None:
        return None if value is None else value.flatten().tolist()

    return {
        "gradients": [listed(p.grad) for p in (layer.weight, layer.bias, frozen, unused, only_here)],
        "total": listed(total.detach()),
        "gradient_of_total": listed(values.grad),
        "sum": world.sum(world.rank + 0.25),
        "first": [world.first(told), world.first(lambda: world.rank)],
        "called": called,
        "share": world.share([4, 1, 1, 2]),
    }


def test_two_processes(tmp_path: Path) -> None:
    one, other = in_two(together, tmp_path)
    for found in (one, other):
        assert found["gradients"] == [[3, 3], [10], None, None, [3, 4]]
        assert found["total"] == [3, 4]
        assert found["gradient_of_total"] == [6, 8]
        assert found["sum"] == 1.5
        assert found["first"] == [{"names": ["a"], "value": 0.1, "none": None}, 0]
    assert [one["called"], other["called"]] == [[0], []]
    assert [one["share"], other["share"]] == [[0], [1, 2, 3]]
