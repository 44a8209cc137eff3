"""Gates, and gradient routing: neither pass touches what is not its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipelines.polyp.model.gates import FeatureGate, begin_at, gates_of, split_parameters
from pipelines.polyp.model.routing import make_optimisers, step


class Small(nn.Module):
    """Two layers with a gate between; counts its forward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.gate = FeatureGate(5)
        self.last = nn.Linear(5, 1)
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        found: Tensor = self.last(torch.tanh(self.gate(self.first(x))))
        return found


def setting() -> tuple[Small, Tensor, Tensor]:
    torch.manual_seed(0)
    return Small(), torch.randn(16, 6), torch.randn(16, 1)


@pytest.mark.parametrize(("axis", "shape"), [(1, (2, 4, 3, 5)), (-1, (2, 7, 4)), (1, (3, 4))])
def test_each_channel_is_multiplied_by_its_own_weight(axis: int, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    gate = FeatureGate(4, axis)
    x = torch.randn(shape)
    moved, expected = gate(x).movedim(axis, -1), x.movedim(axis, -1)
    assert torch.allclose(moved, expected * torch.sigmoid(gate.score[0]))
    assert gate.open().tolist() == pytest.approx([0.5] * 4, abs=0.35)


def test_gates_that_begin_open_leave_a_network_nearly_as_it_is() -> None:
    network, x, _ = setting()
    plain = network.last(torch.tanh(network.first(x)))
    half = (network(x) - plain).abs().max()
    begin_at(network, 0.999)
    assert network.gate.open().tolist() == pytest.approx([0.999] * 5, abs=1e-3)
    assert (network(x) - plain).abs().max() < half / 50


def test_every_parameter_is_a_gates_or_not() -> None:
    network = Small()
    gates, rest = split_parameters(network)
    assert list(gates_of(network)) == ["gate"]
    assert [id(one) for one in gates] == [id(network.gate.score)]
    assert len(gates) + len(rest) == len(list(network.parameters()))


def test_the_first_pass_changes_gates_alone_and_the_second_everything_else() -> None:
    network, x, y = setting()
    optimisers = make_optimisers(network, 0.01, 0.0, gate_rate=0.1, routed=True)
    seen: list[dict[str, Tensor]] = []

    def loss() -> Tensor:
        seen.append({name: one.detach().clone() for name, one in network.named_parameters()})
        assert all(one.grad is None for one in network.parameters()), "a gradient of the pass before"
        error: Tensor = (network(x) - y).square().mean()
        return error

    step(loss, optimisers)
    assert network.passes == 2
    before, between = seen
    after = dict(network.named_parameters())
    for name in before:
        first = not torch.equal(before[name], between[name])
        second = not torch.equal(between[name], after[name].detach())
        assert (first, second) == ((True, False) if name == "gate.score" else (False, True)), name


def test_a_routed_step_is_two_plain_ones_with_the_other_part_held() -> None:
    """Against optimisers that are written out, one with the network frozen and one with the gates frozen."""
    network, x, y = setting()
    step(
        lambda: (network(x) - y).square().mean(),
        make_optimisers(network, 0.01, 0.0, gate_rate=0.1, routed=True),
        limit=1e9,
    )
    other, _, _ = setting()
    gate = torch.optim.Adam([other.gate.score], lr=0.1)
    (other(x) - y).square().mean().backward()
    gate.step()
    other.zero_grad()
    rest = [one for name, one in other.named_parameters() if name != "gate.score"]
    (other(x) - y).square().mean().backward()
    torch.optim.AdamW(rest, lr=0.01, weight_decay=0.0).step()
    for (name, one), two in zip(network.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-7), name


def test_each_part_has_a_limit_of_its_own() -> None:
    network, x, y = setting()
    optimisers = make_optimisers(network, 1.0, 0.0, gate_rate=1.0, routed=True)
    for one in optimisers.all():
        one.__class__ = torch.optim.SGD  # a step is the gradient itself
        for group in one.param_groups:
            group |= {"momentum": 0, "dampening": 0, "nesterov": False, "weight_decay": 0}
    before = {name: one.detach().clone() for name, one in network.named_parameters()}
    step(lambda: 1e6 * (network(x) - y).square().mean(), optimisers, limit=0.5)
    moved = {name: (one - before[name]).square().sum() for name, one in network.named_parameters()}
    gate = moved.pop("gate.score")
    assert float(gate.sqrt().detach()) == pytest.approx(0.5, rel=1e-3)
    assert float(sum(moved.values(), torch.zeros(())).sqrt().detach()) == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("routed", [True, False])
def test_a_feature_that_does_not_help_is_closed_and_one_that_does_is_not(routed: bool) -> None:
    """Four features of which one is the answer, and a noisy rest; only the gates may learn."""
    torch.manual_seed(0)
    gate = FeatureGate(4)
    last = nn.Linear(4, 1, bias=False).requires_grad_(False)
    last.weight.fill_(1.0)
    network = nn.Sequential(gate, last)
    optimisers = make_optimisers(network, 0.05, 0.0, gate_rate=0.05, routed=routed)
    for _ in range(300):
        x = torch.randn(64, 4)
        step(lambda x=x: (network(x)[:, 0] - x[:, 2]).square().mean(), optimisers)  # type: ignore[misc]
    opened = gate.open().tolist()
    assert opened[2] > 0.9
    assert max(opened[0], opened[1], opened[3]) < 0.1
